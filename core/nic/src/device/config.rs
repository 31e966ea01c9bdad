//! Settings of a card, and why one cannot be made.

use crate::rate::Rate;

/// Most descriptors of a ring.
pub const MAX_DESCRIPTORS: u32 = 65_536;

/// When the hardware hands a buffer over that has room for more frames. Whatever it says, that happens
/// where the source has nothing yet, and where the line goes dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseWhen {
    /// Not before a frame does not fit any more: fewest buffers, no bound on the wait.
    Full,
    /// At the end of the burst it was filled in: shortest wait, most buffers.
    Burst,
    /// When it is full, or this many nanoseconds after its first frame.
    After(u64),
}

/// Settings of an emulated card.
#[derive(Clone, Copy, Debug)]
pub struct NicConfig {
    /// Descriptors of the ring, 1 to [`MAX_DESCRIPTORS`].
    pub descriptors: u32,
    /// Rate of the line. [`Rate::Max`] waits for posted buffers instead of dropping.
    pub rate: Rate,
    /// When buffers that are not full are handed over.
    pub close: CloseWhen,
    /// Bytes kept free before each frame; fewer than a buffer has.
    pub headroom: u32,
    /// Added to the times of sources that stamp with the caller's clock, to make them times since the
    /// Unix epoch.
    pub epoch_offset_ns: u64,
    /// The line goes dead this many nanoseconds after it came up; none: never.
    pub duration_ns: Option<u64>,
    /// The line goes dead after so many frames; none: never.
    pub frames: Option<u64>,
    /// Where counters begin, and with its low half the ring indices, so that tests see them wrap.
    pub start: u64,
}

impl Default for NicConfig {
    fn default() -> Self {
        Self {
            descriptors: 512,
            rate: Rate::Max,
            close: CloseWhen::After(100_000),
            headroom: 0,
            epoch_offset_ns: 0,
            duration_ns: None,
            frames: None,
            start: 0,
        }
    }
}

/// A card or a driver that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NicError {
    /// Bad ring size.
    #[error("a descriptor ring has 1 to {MAX_DESCRIPTORS} descriptors, not {descriptors}")]
    Descriptors {
        /// Asked for.
        descriptors: u32,
    },
    /// The machine has not the memory.
    #[error("no memory for a ring of {descriptors} descriptors; ask for fewer")]
    Memory {
        /// Asked for.
        descriptors: u32,
    },
    /// No byte of a frame would fit a buffer.
    #[error(
        "a headroom of {headroom} bytes leaves no room in buffers of {buffer_bytes} bytes; \
         ask for less, or make the pool of a higher order"
    )]
    Headroom {
        /// Asked for.
        headroom: u32,
        /// Bytes of a buffer.
        buffer_bytes: u32,
    },
    /// Copying into them would spare nothing.
    #[error(
        "small frames are copied into smaller buffers: {small_bytes} bytes are not fewer than \
         {large_bytes}; make the small pool of a lower order"
    )]
    SmallBuffers {
        /// Bytes of a buffer of the small pool.
        small_bytes: u32,
        /// Bytes of a buffer of the pool that the ring is filled from.
        large_bytes: u32,
    },
    /// The pool does not have enough buffers for the ring.
    #[error("the ring needs {needed} buffers: {reason}")]
    NoBuffers {
        /// Descriptors of the ring.
        needed: u32,
        /// What the pool said.
        reason: skbpool_pool::AllocError,
    },
}
