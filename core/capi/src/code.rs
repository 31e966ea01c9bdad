//! The codes that functions answer with.

/// What a function answers: 0, or a negative code. Numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// No free buffer.
    Exhausted = -1,
    /// The pool is closed.
    Closed = -2,
    /// The view or the buffer was released, moved or armed before.
    Released = -3,
    /// Bytes outside the buffer or the view's window.
    OutOfRange = -4,
    /// The window would begin inside an earlier view's.
    Overlap = -5,
    /// Too few bytes before the data.
    NoHeadroom = -6,
    /// Too few bytes behind the data.
    NoTailroom = -7,
    /// Fewer bytes of data than asked for.
    TooShort = -8,
    /// Others have views of the buffer, or references to it.
    Shared = -9,
    /// The memory may not be written.
    ReadOnly = -10,
    /// The buffer was armed for fewer views.
    NotArmed = -11,
    /// The reference count is at its limit.
    TooManyReferences = -12,
    /// The data is a chain of several views.
    Nonlinear = -13,
    /// The view has data already.
    NotEmpty = -14,
    /// Memory too small for a header, or buffers too small for what has to be in one piece.
    TooSmall = -15,
    /// Memory too large for one buffer.
    TooLarge = -16,
    /// The memory does not start on a multiple of 64 bytes.
    Misaligned = -17,
    /// Memory for a pool could not be had.
    NoMemory = -18,
    /// An argument that means nothing: a count, an order, watermarks or a stage out of range, a name
    /// that is no UTF-8, a buffer armed for no views.
    Invalid = -19,
    /// A copy needs a pool, and the view's buffer belongs to none.
    NoPool = -20,
    /// The address belongs to no loaded library.
    NoLibrary = -21,
    /// The pool belongs to the process that forked this one.
    ForkedPool = -22,
}

impl Code {
    /// Every code, from 0 downwards.
    pub const ALL: [Code; 23] = [
        Self::Ok,
        Self::Exhausted,
        Self::Closed,
        Self::Released,
        Self::OutOfRange,
        Self::Overlap,
        Self::NoHeadroom,
        Self::NoTailroom,
        Self::TooShort,
        Self::Shared,
        Self::ReadOnly,
        Self::NotArmed,
        Self::TooManyReferences,
        Self::Nonlinear,
        Self::NotEmpty,
        Self::TooSmall,
        Self::TooLarge,
        Self::Misaligned,
        Self::NoMemory,
        Self::Invalid,
        Self::NoPool,
        Self::NoLibrary,
        Self::ForkedPool,
    ];

    /// One line of text.
    pub const fn text(self) -> &'static std::ffi::CStr {
        match self {
            Self::Ok => c"success",
            Self::Exhausted => c"no free buffer",
            Self::Closed => c"the pool is closed",
            Self::Released => c"released, moved or armed before",
            Self::OutOfRange => c"bytes outside the buffer or the view's window",
            Self::Overlap => c"the window would begin inside an earlier view's",
            Self::NoHeadroom => c"too little headroom",
            Self::NoTailroom => c"too little tailroom",
            Self::TooShort => c"fewer bytes of data than asked for",
            Self::Shared => c"others have references to the buffer",
            Self::ReadOnly => c"the memory is read-only",
            Self::NotArmed => c"the buffer was armed for fewer views",
            Self::TooManyReferences => c"the reference count is at its limit",
            Self::Nonlinear => c"the data is a chain of several views",
            Self::NotEmpty => c"the view has data already",
            Self::TooSmall => c"the memory or the buffers are too small",
            Self::TooLarge => c"the memory is too large for one buffer",
            Self::Misaligned => c"the memory does not start on a multiple of 64 bytes",
            Self::NoMemory => c"memory for the pool could not be had",
            Self::Invalid => c"invalid argument",
            Self::NoPool => c"the view's buffer belongs to no pool, so a pool has to be named",
            Self::NoLibrary => c"the address belongs to no loaded library",
            Self::ForkedPool => c"the pool belongs to the process that forked this one",
        }
    }
}
