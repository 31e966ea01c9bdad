//! Messages: the same verdict as prost with a naive check behind it, everything inside the message,
//! and the same again after encoding.

use prost::Message;
use skbpool_wire::{
    BatchEncoder, BatchLimits, DropCount, Frame, FrameBatchView, IngestRequestView, Pushed,
    SubscribeResponseView,
};

use crate::messages::{self, FrameBatch, IngestRequest, SubscribeResponse};

/// A bare `FrameBatch`.
pub(crate) fn frame_batch(data: &[u8]) {
    let Some(decoded) = decode::<FrameBatch>(data) else { return };
    let expected = decoded.filter(is_valid);
    let found = FrameBatchView::parse(data).ok();
    assert_same_batch(expected.as_ref(), found.as_ref(), data);
    let Some(view) = &found else { return };
    let encoder = encoder(view);
    let message = encoder.frame_batch(view.sequence()).to_vec(view).expect("the frames pushed");
    assert_canonical::<FrameBatch>(&message);
    assert_same_frames(Some(view), Some(&FrameBatchView::parse(&message).expect("ours")));
}

/// An `IngestRequest`.
pub(crate) fn ingest_request(data: &[u8]) {
    let Some(expected) = valid_request(data) else { return };
    let found = IngestRequestView::parse(data).ok();
    assert_eq!(expected.is_some(), found.is_some(), "prost: {expected:?}, ours: {found:?}");
    let (Some(expected), Some(found)) = (expected, found) else { return };
    assert_eq!(expected.driver, found.driver);
    assert_eq!(expected.stream_id, found.stream_id);
    assert_same_batch(expected.batch.as_ref(), found.batch.as_ref(), data);
    let Some(view) = &found.batch else { return };
    let message = encoder(view)
        .ingest_request(view.sequence(), found.driver)
        .and_then(|message| message.to_vec(view))
        .expect("within the limit");
    assert_canonical::<IngestRequest>(&message);
    let again = IngestRequestView::parse(&message).expect("ours");
    assert_eq!(again.driver, found.driver);
    assert_same_frames(Some(view), again.batch.as_ref());
}

/// A `SubscribeResponse`.
pub(crate) fn subscribe_response(data: &[u8]) {
    let Some(expected) = valid_response(data) else { return };
    let found = SubscribeResponseView::parse(data).ok();
    assert_eq!(expected.is_some(), found.is_some(), "prost: {expected:?}, ours: {found:?}");
    let (Some(expected), Some(found)) = (expected, found) else { return };
    assert_eq!(expected.missed, counts(&found.missed));
    assert_same_batch(expected.batch.as_ref(), found.batch.as_ref(), data);
    let empty = FrameBatchView::parse(&[]).expect("an empty batch");
    let view = found.batch.as_ref().unwrap_or(&empty);
    let message = encoder(view)
        .subscribe_response(view.sequence(), &found.missed)
        .and_then(|message| message.to_vec(view))
        .expect("within the limit");
    // Negative numbers of an enum take ten bytes elsewhere; a reason of ours is never one.
    if found.missed.iter().all(|count| i32::try_from(count.reason).is_ok()) {
        assert_canonical::<SubscribeResponse>(&message);
    }
    let again = SubscribeResponseView::parse(&message).expect("ours");
    assert_eq!(again.missed, found.missed);
    // A batch without frames is left out.
    assert_same_frames(Some(view), Some(again.batch.as_ref().unwrap_or(&empty)));
}

/// What prost reads, if anything; `None` if groups are nested so deeply that implementations differ.
fn decode<M: Message + Default>(data: &[u8]) -> Option<Option<M>> {
    match M::decode(data) {
        Ok(message) => Some(Some(message)),
        Err(error) if error.to_string().contains("recursion limit") => None,
        Err(_) => Some(None),
    }
}

/// The `IngestRequest` that prost reads, if it keeps the rules of the format; `None` as in `decode`.
pub(crate) fn valid_request(data: &[u8]) -> Option<Option<IngestRequest>> {
    let request = decode::<IngestRequest>(data)?;
    Some(request.filter(|request| request.batch.as_ref().is_none_or(is_valid)))
}

/// The `SubscribeResponse` that prost reads, likewise.
pub(crate) fn valid_response(data: &[u8]) -> Option<Option<SubscribeResponse>> {
    let response = decode::<SubscribeResponse>(data)?;
    Some(response.filter(|response| response.batch.as_ref().is_none_or(is_valid)))
}

fn is_valid(batch: &FrameBatch) -> bool {
    batch.frames().is_some()
}

fn counts(missed: &[DropCount]) -> Vec<messages::DropCount> {
    missed.iter().copied().map(Into::into).collect()
}

/// Asserts that prost and we agree about a batch, and that every byte of it lies in `message`.
fn assert_same_batch(
    expected: Option<&FrameBatch>,
    found: Option<&FrameBatchView<'_>>,
    message: &[u8],
) {
    match (expected, found) {
        (Some(expected), Some(found)) => {
            expected.assert_is(found);
            assert_inside(found, message);
        }
        (None, None) => {}
        (expected, found) => panic!("prost: {expected:?}, ours: {found:?}"),
    }
}

fn assert_inside(view: &FrameBatchView<'_>, message: &[u8]) {
    let at = view.bytes_position();
    assert_eq!(&message[at..at + view.bytes().len()], view.bytes());
    if !view.bytes().is_empty() {
        assert_eq!(message[at..].as_ptr(), view.bytes().as_ptr());
    }
    let mut next = view.bytes().as_ptr_range().start;
    for frame in view {
        assert!(frame.bytes.is_empty() || frame.bytes.as_ptr() == next, "back to back");
        next = next.wrapping_add(frame.bytes.len());
    }
    assert_eq!(next, view.bytes().as_ptr_range().end);
}

/// An encoder that has taken every frame of `view`: they share what frames of a batch share.
fn encoder(view: &FrameBatchView<'_>) -> BatchEncoder {
    let limits = BatchLimits { max_message_bytes: i32::MAX as usize, reserved_bytes: 0 };
    let mut encoder = BatchEncoder::new(limits);
    for frame in view {
        assert_eq!(encoder.push(&frame), Ok(Pushed::Taken));
    }
    encoder
}

/// Asserts that another implementation writes the very same bytes.
fn assert_canonical<M: Message + Default>(message: &[u8]) {
    let read = M::decode(message).expect("ours can be read");
    assert_eq!(read.encode_to_vec(), message);
}

fn assert_same_frames(first: Option<&FrameBatchView<'_>>, second: Option<&FrameBatchView<'_>>) {
    let frames = |view: Option<&FrameBatchView<'_>>| {
        view.map(|view| view.frames().map(Described::of).collect::<Vec<_>>())
    };
    assert_eq!(frames(first), frames(second));
}

/// A frame that owns its bytes, to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) bytes: Vec<u8>,
    pub(crate) original_length: u32,
    pub(crate) timestamp_ns: u64,
    pub(crate) link_type: u16,
    pub(crate) interface: u32,
}

impl Described {
    pub(crate) fn of(frame: Frame<'_>) -> Self {
        Self {
            bytes: frame.bytes.to_vec(),
            original_length: frame.original_length,
            timestamp_ns: frame.timestamp_ns,
            link_type: frame.link_type,
            interface: frame.interface,
        }
    }

    pub(crate) fn of_skb(skb: &skbpool_pool::Skb) -> Self {
        Self {
            bytes: skb.parts().collect::<Vec<_>>().concat(),
            original_length: skb.original_length(),
            timestamp_ns: skb.timestamp_ns,
            link_type: skb.link_type,
            interface: skb.port.into(),
        }
    }
}
