//! Why a lease verb changed nothing.

use skbpool_pool::{AllocError, ReserveError, SkbError};

/// A verb of a session's table that failed: nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The handle is used up, made up, or another session's.
    #[error(
        "the session holds nothing under handle {handle}: it is used up, or was never this session's; \
         use handles that calls of this session returned"
    )]
    Unknown {
        /// The handle.
        handle: u64,
    },
    /// The handle is of an skb.
    #[error("handle {handle} is of an skb; a buffer is needed here: name one, or allocate one")]
    NeedsBuffer {
        /// The handle.
        handle: u64,
    },
    /// The handle is of a buffer.
    #[error("handle {handle} is of a buffer; make skbs of it first")]
    NeedsSkb {
        /// The handle.
        handle: u64,
    },
    /// A handle that is to be used up is named more than once.
    #[error("handle {handle} is named twice in one request; name it once")]
    Twice {
        /// The handle.
        handle: u64,
    },
    /// Bytes outside the buffer or skb.
    #[error(
        "{length} bytes at offset {offset} end beyond the {size} bytes of handle {handle}; ask for \
         bytes inside it"
    )]
    OutOfRange {
        /// The handle.
        handle: u64,
        /// Where they begin.
        offset: u32,
        /// How many they are.
        length: u64,
        /// Bytes there are.
        size: u32,
    },
    /// Two views of a buffer share bytes.
    #[error("views of buffer {handle} overlap at offset {offset}; cut views beside each other")]
    Overlap {
        /// The buffer.
        handle: u64,
        /// Where the later one begins.
        offset: u32,
    },
    /// A view is longer than its frame was.
    #[error(
        "original_length of a view of buffer {handle} is {original_length}, less than the view's \
         {length} bytes; give the bytes that the frame had, or 0"
    )]
    OriginalLength {
        /// The buffer.
        handle: u64,
        /// The length given.
        original_length: u32,
        /// Bytes of the view.
        length: u32,
    },
    /// A number that 16 bits do not hold.
    #[error("{field} is 0 to 65535, not {value}")]
    TooLarge {
        /// `link_type` or `interface`.
        field: &'static str,
        /// What was given.
        value: u32,
    },
    /// More handles than the session may hold.
    #[error(
        "the session holds {held} handles and would take {more} more than the {limit} it may; release \
         some first"
    )]
    TooManyHandles {
        /// Handles it holds.
        held: u32,
        /// Handles it would have taken.
        more: u64,
        /// Handles it may hold.
        limit: u32,
    },
    /// Handles enough are free, but their numbers were all given.
    #[error(
        "the session has given as many handles as it can without giving one twice; open another"
    )]
    UsedUp,
    /// All promises together would not fit the pool.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// No buffer was free.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// No view can be made.
    #[error("handle {handle}: {error}")]
    Skb {
        /// The buffer or skb.
        handle: u64,
        /// Why.
        error: SkbError,
    },
}
