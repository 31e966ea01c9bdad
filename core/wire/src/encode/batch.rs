//! Which frames go into one message.

use crate::encode::message::{BatchMessage, Beside};
use crate::encode::size;
use crate::{DropCount, EncodeError, EncodeFrame, MAX_FRAME};

/// Largest message of any protobuf implementation, in bytes
/// (<https://protobuf.dev/programming-guides/encoding/#size-limit>).
const MAX_PROTOBUF_BYTES: usize = i32::MAX as usize;

/// How large a message may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Largest message in bytes, whatever is beside the batch included. Protobuf has a limit of its
    /// own, 2³¹ − 1, which holds as well.
    pub max_message_bytes: usize,
    /// Bytes of the message that are kept free for what stands beside the batch: the driver's name
    /// or the counts of missed frames.
    pub reserved_bytes: usize,
}

impl BatchLimits {
    /// Limits with 512 bytes reserved: enough for a drop count of every reason, or a name of 500
    /// bytes.
    pub const fn new(max_message_bytes: usize) -> Self {
        Self { max_message_bytes, reserved_bytes: 512 }
    }
}

/// Why a frame begins another batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The message would exceed its limit.
    Bytes,
    /// The frame is more than 2³² − 1 nanoseconds from another one of the batch.
    Time,
    /// The frame has another link type.
    LinkType,
    /// The frame came in on another interface.
    Interface,
}

/// What became of a frame that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It belongs to the batch.
    Taken,
    /// It does not: write the batch, [`clear`](BatchEncoder::clear), and push the frame again.
    Cut(Cut),
}

/// Plans one batch, frame by frame, and makes the message of it.
///
/// Holds sums only, no frames: its user keeps the frames that were taken and hands them in again
/// when the message is written. Costs a few nanoseconds a frame and never allocates.
#[derive(Clone, Debug)]
pub struct BatchEncoder {
    limits: BatchLimits,
    sums: BatchSums,
}

impl BatchEncoder {
    /// An empty batch.
    pub fn new(mut limits: BatchLimits) -> Self {
        limits.max_message_bytes = limits.max_message_bytes.min(MAX_PROTOBUF_BYTES);
        Self { limits, sums: BatchSums::default() }
    }

    /// Adds a frame to the batch, if it may be in it.
    ///
    /// # Errors
    /// [`EncodeError::FrameTooLarge`] for a frame over [`MAX_FRAME`];
    /// [`EncodeError::MessageTooLarge`] for one that exceeds the limit in a message of its own. The
    /// batch is as before, and others can be pushed.
    #[inline]
    pub fn push(&mut self, frame: &(impl EncodeFrame + ?Sized)) -> Result<Pushed, EncodeError> {
        let length = frame.len();
        if length > MAX_FRAME {
            return Err(EncodeError::FrameTooLarge { length });
        }
        let sums = if self.sums.frames == 0 {
            BatchSums::of(frame, length)
        } else {
            match self.sums.with(frame, length) {
                Ok(sums) => sums,
                Err(cut) => return Ok(Pushed::Cut(cut)),
            }
        };
        let encoded = self.limits.reserved_bytes.saturating_add(sums.bounded_len());
        if encoded > self.limits.max_message_bytes {
            if self.sums.frames > 0 {
                return Ok(Pushed::Cut(Cut::Bytes));
            }
            let limit = self.limits.max_message_bytes;
            return Err(EncodeError::MessageTooLarge { encoded, limit });
        }
        self.sums = sums;
        Ok(Pushed::Taken)
    }

    /// Number of frames taken.
    pub fn len(&self) -> usize {
        self.sums.frames
    }

    /// Whether no frame has been taken.
    pub fn is_empty(&self) -> bool {
        self.sums.frames == 0
    }

    /// Bytes of the frames taken.
    pub fn frame_bytes(&self) -> usize {
        self.sums.bytes
    }

    /// Forgets the frames taken.
    pub fn clear(&mut self) {
        self.sums = BatchSums::default();
    }

    /// A bare `FrameBatch` of the frames taken.
    pub fn frame_batch(&self, sequence: u64) -> BatchMessage<'static> {
        BatchMessage::new(self.sums, sequence, Beside::Bare)
    }

    /// An `IngestRequest` of the frames taken; `driver` is left out if empty.
    ///
    /// # Errors
    /// [`EncodeError::MessageTooLarge`] if the name takes more than the reserved bytes and the
    /// message exceeds its limit by that.
    pub fn ingest_request<'m>(
        &self,
        sequence: u64,
        driver: &'m str,
    ) -> Result<BatchMessage<'m>, EncodeError> {
        self.within_limit(BatchMessage::new(self.sums, sequence, Beside::Driver(driver)))
    }

    /// A `SubscribeResponse` of the frames taken, without a batch if there are none.
    ///
    /// # Errors
    /// [`EncodeError::MessageTooLarge`] if the counts take more than the reserved bytes and the
    /// message exceeds its limit by that.
    pub fn subscribe_response<'m>(
        &self,
        sequence: u64,
        missed: &'m [DropCount],
    ) -> Result<BatchMessage<'m>, EncodeError> {
        self.within_limit(BatchMessage::new(self.sums, sequence, Beside::Missed(missed)))
    }

    fn within_limit<'m>(&self, message: BatchMessage<'m>) -> Result<BatchMessage<'m>, EncodeError> {
        let (encoded, limit) = (message.encoded_len(), self.limits.max_message_bytes);
        if encoded > limit {
            return Err(EncodeError::MessageTooLarge { encoded, limit });
        }
        Ok(message)
    }
}

/// What has to be known of a batch to size its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchSums {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
    pub(crate) earliest: u64,
    /// At most 2³² − 1 after `earliest`.
    pub(crate) latest: u64,
    pub(crate) link_type: u16,
    pub(crate) interface: u32,
    /// Whether some original length differs from the length.
    pub(crate) cut_short: bool,
}

impl BatchSums {
    #[inline]
    fn of(frame: &(impl EncodeFrame + ?Sized), length: u32) -> Self {
        Self {
            frames: 1,
            bytes: length as usize,
            earliest: frame.timestamp_ns(),
            latest: frame.timestamp_ns(),
            link_type: frame.link_type(),
            interface: frame.interface(),
            cut_short: frame.original_length() != length,
        }
    }

    #[inline]
    fn with(&self, frame: &(impl EncodeFrame + ?Sized), length: u32) -> Result<Self, Cut> {
        let other = Self::of(frame, length);
        if other.link_type != self.link_type {
            return Err(Cut::LinkType);
        }
        if other.interface != self.interface {
            return Err(Cut::Interface);
        }
        let earliest = self.earliest.min(other.earliest);
        let latest = self.latest.max(other.latest);
        if latest - earliest > u64::from(u32::MAX) {
            return Err(Cut::Time);
        }
        Ok(Self {
            frames: self.frames + 1,
            bytes: self.bytes + other.bytes,
            earliest,
            latest,
            cut_short: self.cut_short | other.cut_short,
            ..*self
        })
    }

    /// Bytes of one column.
    #[inline]
    pub(crate) fn column_bytes(&self) -> usize {
        4 * self.frames
    }

    /// Bytes of the column of time offsets, which is left out if all are zero.
    #[inline]
    pub(crate) fn offsets_bytes(&self) -> usize {
        if self.latest == self.earliest { 0 } else { self.column_bytes() }
    }

    /// Bytes of the column of original lengths, which is left out if no frame was cut short.
    #[inline]
    pub(crate) fn originals_bytes(&self) -> usize {
        if self.cut_short { self.column_bytes() } else { 0 }
    }

    /// Bytes of the `FrameBatch`.
    pub(crate) fn batch_len(&self, sequence: u64) -> usize {
        size::run(self.bytes)
            + size::run(self.column_bytes())
            + size::run(self.offsets_bytes())
            + size::run(self.originals_bytes())
            + size::scalar(self.earliest)
            + size::scalar(u64::from(self.link_type))
            + size::scalar(u64::from(self.interface))
            + size::scalar(sequence)
    }

    /// At least the bytes of the `FrameBatch` embedded in a message, whatever its sequence; at most
    /// 60 more.
    #[inline]
    fn bounded_len(&self) -> usize {
        /// Keys and largest varints: five sizes of below 2³⁵, two 64-bit scalars, one of 32 bits
        /// and one of 16.
        const HEADERS: usize = 5 * (1 + 5) + 2 * (1 + 10) + (1 + 5) + (1 + 3);
        HEADERS + self.bytes + self.column_bytes() + self.offsets_bytes() + self.originals_bytes()
    }
}
