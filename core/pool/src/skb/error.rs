//! What can go wrong with a view.

/// Why a verb on a buffer or an skb was refused. Nothing has changed when it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkbError {
    /// The bytes asked for are not inside the buffer or the view's window.
    #[error("bytes {start}..{end} are not inside the {size} bytes there are")]
    OutOfRange {
        /// First byte.
        start: u32,
        /// First byte after.
        end: u32,
        /// Bytes there are.
        size: u32,
    },
    /// The window would begin inside an earlier view's.
    #[error("a view from byte {start} on would overlap one that ends at byte {taken}")]
    Overlap {
        /// First byte of the new window.
        start: u32,
        /// First byte that is free.
        taken: u32,
    },
    /// `push` has too little room before the data (S8).
    #[error("{needed} bytes of headroom needed, {have} there; reserve headroom when receiving")]
    NoHeadroom {
        /// Bytes asked for.
        needed: u32,
        /// Bytes there are.
        have: u32,
    },
    /// `put` has too little room behind the data.
    #[error("{needed} bytes of tailroom needed, {have} there; copy into a larger buffer")]
    NoTailroom {
        /// Bytes asked for.
        needed: u32,
        /// Bytes there are.
        have: u32,
    },
    /// `pull` or `trim` asked for more than the data has.
    #[error("{needed} bytes asked for, the linear part of the data has {have}")]
    TooShort {
        /// Bytes asked for.
        needed: u32,
        /// Bytes there are.
        have: u32,
    },
    /// Others have views of the same buffer.
    #[error("the buffer has other views, so it is read-only; unshare() makes a copy of one's own")]
    Shared,
    /// The memory was adopted as read-only.
    #[error("the memory is read-only; unshare() makes a writable copy")]
    ReadOnly,
    /// Every view the buffer was armed for has been cut.
    #[error("the buffer was armed for fewer views; arm it for as many as will be cut")]
    NotArmed,
    /// A buffer was to be armed for no view at all.
    #[error("a buffer is armed for one view or more; to bring it home unseen, release it")]
    NoViews,
    /// The reference count is at its limit.
    #[error("the buffer has as many references as can be counted; copy instead")]
    TooManyReferences,
    /// The verb needs the data in one piece.
    #[error("the data is a chain of several views; linearize() first")]
    Nonlinear,
    /// `reserve` works before data is there.
    #[error("reserve() comes before put(): the view already has data")]
    NotEmpty,
}
