//! The message FrameBatch.

use crate::decode::column::Column;
use crate::decode::frames::Frames;
use crate::decode::reader::{Reader, Span};
use crate::{MAX_FRAME, WireError};

const FRAMES: &str = "FrameBatch.frames";
const LENGTH: &str = "FrameBatch.length";
const TIME_OFFSET_NS: &str = "FrameBatch.time_offset_ns";
const ORIGINAL_LENGTH: &str = "FrameBatch.original_length";
const BASE_TIME_NS: &str = "FrameBatch.base_time_ns";
const LINK_TYPE: &str = "FrameBatch.link_type";
const INTERFACE: &str = "FrameBatch.interface";
const SEQUENCE: &str = "FrameBatch.sequence";

/// A valid `FrameBatch`, read where it lies in the message.
///
/// Nothing is copied, unless the sender did not pack a column or split it: then that column is,
/// never a frame's bytes.
#[derive(Clone, Debug)]
pub struct FrameBatchView<'a> {
    data: &'a [u8],
    data_position: usize,
    lengths: Column<'a>,
    offsets: Column<'a>,
    originals: Column<'a>,
    base_time_ns: u64,
    link_type: u16,
    interface: u32,
    sequence: u64,
}

impl<'a> FrameBatchView<'a> {
    /// Reads and checks a bare `FrameBatch`.
    ///
    /// Fields may come in any order and more than once: the last scalar or bytes field counts,
    /// columns are concatenated. Unknown fields are skipped.
    ///
    /// # Errors
    /// [`WireError`] if this is no protobuf message, if a column's count or the sum of the lengths
    /// does not match, if a frame is over [`MAX_FRAME`], or if a time exceeds 64 bits.
    ///
    /// # Cost
    /// One pass over the column of lengths, and one over that of times if the base is within 4.3 s
    /// of the end of 64 bits. The frames' bytes are not touched.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut parts = BatchParts::default();
        parts.merge(Reader::new(message))?;
        parts.check()
    }

    /// Number of frames.
    #[inline]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether the batch has no frames.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The bytes of all frames, back to back.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.data
    }

    /// Where [`bytes`](FrameBatchView::bytes) begins in the message given to `parse`.
    #[inline]
    pub fn bytes_position(&self) -> usize {
        self.data_position
    }

    /// What time offsets count from, in nanoseconds since the Unix epoch.
    #[inline]
    pub fn base_time_ns(&self) -> u64 {
        self.base_time_ns
    }

    /// LINKTYPE_ number of every frame.
    #[inline]
    pub fn link_type(&self) -> u16 {
        self.link_type
    }

    /// Number of the interface every frame came in on.
    #[inline]
    pub fn interface(&self) -> u32 {
        self.interface
    }

    /// Number of this batch in its stream.
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The frames, in order.
    #[inline]
    pub fn frames(&self) -> Frames<'_, 'a> {
        Frames {
            data: self.data,
            lengths: self.lengths.iter(),
            offsets: self.offsets.iter(),
            originals: self.originals.iter(),
            base_time_ns: self.base_time_ns,
            link_type: self.link_type,
            interface: self.interface,
        }
    }
}

impl<'v, 'a> IntoIterator for &'v FrameBatchView<'a> {
    type Item = crate::Frame<'a>;
    type IntoIter = Frames<'v, 'a>;

    fn into_iter(self) -> Frames<'v, 'a> {
        self.frames()
    }
}

/// The fields of a `FrameBatch` as they come in, unchecked against each other.
///
/// An embedded message that comes in several pieces is merged by reading one piece after the
/// other, since protobuf defines merging as concatenation.
#[derive(Default)]
pub(crate) struct BatchParts<'a> {
    frames: Option<Span<'a>>,
    lengths: Column<'a>,
    offsets: Column<'a>,
    originals: Column<'a>,
    base_time_ns: u64,
    link_type: u32,
    interface: u32,
    sequence: u64,
}

impl<'a> BatchParts<'a> {
    /// Reads every field of `reader` into this.
    pub(crate) fn merge(&mut self, mut reader: Reader<'a>) -> Result<(), WireError> {
        // Even bytes that are absent lie inside the message, for those who compute with positions.
        self.frames.get_or_insert(reader.here());
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => self.frames = Some(field.bytes(FRAMES)?),
                2 => self.lengths.append(field.fixed32s(LENGTH)?),
                3 => self.offsets.append(field.fixed32s(TIME_OFFSET_NS)?),
                4 => self.originals.append(field.fixed32s(ORIGINAL_LENGTH)?),
                5 => self.base_time_ns = field.varint(BASE_TIME_NS)?,
                6 => self.link_type = field.varint32(LINK_TYPE)?,
                7 => self.interface = field.varint32(INTERFACE)?,
                8 => self.sequence = field.varint(SEQUENCE)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks the fields against each other.
    pub(crate) fn check(self) -> Result<FrameBatchView<'a>, WireError> {
        let data = self.frames.map_or(&[][..], Span::bytes);
        self.check_counts()?;
        self.check_lengths(data.len() as u64)?;
        self.check_times()?;
        let link_type = u16::try_from(self.link_type)
            .map_err(|_| WireError::LinkType { link_type: self.link_type })?;
        Ok(FrameBatchView {
            data,
            data_position: self.frames.map_or(0, |span| span.position),
            lengths: self.lengths,
            offsets: self.offsets,
            originals: self.originals,
            base_time_ns: self.base_time_ns,
            link_type,
            interface: self.interface,
            sequence: self.sequence,
        })
    }

    fn check_counts(&self) -> Result<(), WireError> {
        let frames = self.lengths.len();
        for (field, column) in [(TIME_OFFSET_NS, &self.offsets), (ORIGINAL_LENGTH, &self.originals)]
        {
            if !column.is_empty() && column.len() != frames {
                return Err(WireError::ColumnCount { field, entries: column.len(), frames });
            }
        }
        Ok(())
    }

    fn check_lengths(&self, data: u64) -> Result<(), WireError> {
        let mut sum = 0u64;
        let mut longest = 0;
        for length in self.lengths.iter() {
            sum += u64::from(length);
            longest = longest.max(length);
        }
        match sum.cmp(&data) {
            std::cmp::Ordering::Equal if longest > MAX_FRAME => {
                let over = |&(_, length): &(usize, u32)| length > MAX_FRAME;
                let found = self.lengths.iter().enumerate().find(over);
                let (index, length) = found.unwrap_or((0, longest));
                Err(WireError::FrameTooLarge { index, length })
            }
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(WireError::LengthsExceedData { lengths: sum, data }),
            std::cmp::Ordering::Less => Err(WireError::DataExceedsLengths { lengths: sum, data }),
        }
    }

    fn check_times(&self) -> Result<(), WireError> {
        let base = self.base_time_ns;
        let room = u64::MAX - base;
        if room >= u64::from(u32::MAX) {
            return Ok(());
        }
        let late = |&(_, offset): &(usize, u32)| u64::from(offset) > room;
        match self.offsets.iter().enumerate().find(late) {
            Some((index, offset)) => Err(WireError::TimeOverflow { index, base, offset }),
            None => Ok(()),
        }
    }
}
