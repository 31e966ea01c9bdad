//! The messages that carry a FrameBatch.

use crate::decode::batch::{BatchParts, FrameBatchView};
use crate::decode::reader::{Field, Reader};
use crate::{DropCount, WireError};

/// A valid `IngestRequest`, read in place.
#[derive(Clone, Debug)]
pub struct IngestRequestView<'a> {
    /// The frames; `None` if the request has no batch.
    pub batch: Option<FrameBatchView<'a>>,
    /// Name of the driver to account under; empty if the sender left that to the server.
    pub driver: &'a str,
    /// Identity of a stream that may be resumed, of any length; empty: it may not.
    pub stream_id: &'a [u8],
}

impl<'a> IngestRequestView<'a> {
    /// Reads and checks an `IngestRequest`.
    ///
    /// # Errors
    /// As [`FrameBatchView::parse`]; [`WireError::Utf8`] for the driver's name.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let mut batch = EmbeddedBatch::default();
        let (mut driver, mut stream_id) = ("", &[][..]);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => batch.merge(&field, "IngestRequest.batch")?,
                2 => driver = string(&field, "IngestRequest.driver")?,
                3 => stream_id = field.bytes("IngestRequest.stream_id")?.bytes(),
                _ => {}
            }
        }
        Ok(Self { batch: batch.check()?, driver, stream_id })
    }
}

/// A valid `SubscribeResponse`, its batch read in place.
#[derive(Clone, Debug)]
pub struct SubscribeResponseView<'a> {
    /// The frames; `None` if the response only tells what was missed.
    pub batch: Option<FrameBatchView<'a>>,
    /// What the consumer missed since the previous response, by reason.
    pub missed: Vec<DropCount>,
}

impl<'a> SubscribeResponseView<'a> {
    /// Reads and checks a `SubscribeResponse`.
    ///
    /// # Errors
    /// As [`FrameBatchView::parse`].
    ///
    /// # Cost
    /// Allocates only if something was missed.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let mut batch = EmbeddedBatch::default();
        let mut missed = Vec::new();
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => batch.merge(&field, "SubscribeResponse.batch")?,
                2 => missed.push(drop_count(&field, "SubscribeResponse.missed")?),
                _ => {}
            }
        }
        Ok(Self { batch: batch.check()?, missed })
    }
}

/// An embedded `FrameBatch`, in as many pieces as the sender chose.
#[derive(Default)]
struct EmbeddedBatch<'a>(Option<BatchParts<'a>>);

impl<'a> EmbeddedBatch<'a> {
    fn merge(&mut self, field: &Field<'a>, name: &'static str) -> Result<(), WireError> {
        let piece = field.bytes(name)?.reader();
        self.0.get_or_insert_default().merge(piece)
    }

    fn check(self) -> Result<Option<FrameBatchView<'a>>, WireError> {
        self.0.map(BatchParts::check).transpose()
    }
}

fn string<'a>(field: &Field<'a>, name: &'static str) -> Result<&'a str, WireError> {
    let span = field.bytes(name)?;
    std::str::from_utf8(span.bytes())
        .map_err(|_| WireError::Utf8 { field: name, position: span.position })
}

fn drop_count(field: &Field<'_>, name: &'static str) -> Result<DropCount, WireError> {
    let mut reader = field.bytes(name)?.reader();
    let mut count = DropCount::default();
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => count.reason = field.varint32("DropCount.reason")?,
            2 => count.frames = field.varint("DropCount.frames")?,
            3 => count.bytes = field.varint("DropCount.bytes")?,
            _ => {}
        }
    }
    Ok(count)
}
