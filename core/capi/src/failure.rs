//! What a failed call knows beyond its code.

use crate::code::Code;
use skbpool_pool::{AllocError, BringError, CopyError, PoolError, SkbError};
use std::cell::RefCell;
use std::ffi::{c_char, c_int};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A view or a buffer that is no longer there.
    #[error("it was released, moved or armed before; a view is used up when it is handed on")]
    Released,
    /// A verb was refused.
    #[error(transparent)]
    Skb(#[from] SkbError),
    /// No buffer.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// Brought memory that is no buffer.
    #[error(transparent)]
    Bring(#[from] BringError),
    /// No pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No copy for lack of space in one piece.
    #[error("{needed} bytes have to lie in one piece, a buffer has {buffer}; use a higher order")]
    BufferTooSmall {
        /// Bytes asked for.
        needed: u32,
        /// Bytes of a buffer.
        buffer: u32,
    },
    /// No copy for lack of a pool.
    #[error("the view's buffer belongs to no pool; name the pool that the copy shall come from")]
    NoPool,
    /// The pool's name is no text.
    #[error("the pool's name is not valid UTF-8")]
    BadName,
    /// No stage has that number.
    #[error("stages that copy have the numbers 0 to 5 (SKB_COPY_), not {stage}")]
    BadStage {
        /// The number.
        stage: u32,
    },
    /// The address lies in no library.
    #[error("the address belongs to no loaded library, so nothing can keep its code mapped")]
    NoLibrary,
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Alloc(error) => Self::Alloc(error),
            CopyError::TooLarge { needed, buffer } => Self::BufferTooSmall { needed, buffer },
            CopyError::Skb(error) => Self::Skb(error),
        }
    }
}

impl Failure {
    /// The code that C gets.
    pub fn code(&self) -> Code {
        match self {
            Self::Released => Code::Released,
            Self::Skb(error) => match error {
                SkbError::OutOfRange { .. } => Code::OutOfRange,
                SkbError::Overlap { .. } => Code::Overlap,
                SkbError::NoHeadroom { .. } => Code::NoHeadroom,
                SkbError::NoTailroom { .. } => Code::NoTailroom,
                SkbError::TooShort { .. } => Code::TooShort,
                SkbError::Shared => Code::Shared,
                SkbError::ReadOnly => Code::ReadOnly,
                SkbError::NotArmed => Code::NotArmed,
                SkbError::NoViews => Code::Invalid,
                SkbError::TooManyReferences => Code::TooManyReferences,
                SkbError::Nonlinear => Code::Nonlinear,
                SkbError::NotEmpty => Code::NotEmpty,
            },
            Self::Alloc(AllocError::Exhausted { .. }) => Code::Exhausted,
            Self::Alloc(AllocError::Closed) => Code::Closed,
            Self::Alloc(AllocError::ForkedPool) => Code::ForkedPool,
            Self::Bring(BringError::TooSmall { .. }) => Code::TooSmall,
            Self::Bring(BringError::TooLarge { .. }) => Code::TooLarge,
            Self::Bring(BringError::Misaligned { .. }) => Code::Misaligned,
            Self::Pool(
                PoolError::Count { .. }
                | PoolError::Order { .. }
                | PoolError::Watermarks { .. }
                | PoolError::DepotShards { .. },
            ) => Code::Invalid,
            Self::Pool(PoolError::Region(_)) => Code::NoMemory,
            Self::BufferTooSmall { .. } => Code::TooSmall,
            Self::NoPool => Code::NoPool,
            Self::BadName | Self::BadStage { .. } => Code::Invalid,
            Self::NoLibrary => Code::NoLibrary,
        }
    }
}

thread_local! {
    static LAST: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Why the last call that failed on this thread did so; told once.
pub fn take_failure() -> Option<Failure> {
    LAST.with_borrow_mut(Option::take)
}

/// Turns a result into what C gets, and keeps the failure for this thread.
#[inline(always)]
pub(crate) fn answer(result: Result<(), Failure>) -> c_int {
    match result {
        Ok(()) => Code::Ok as c_int,
        Err(failure) => keep(failure),
    }
}

#[cold]
fn keep(failure: Failure) -> c_int {
    let code = failure.code();
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|last| last.replace(Some(failure)));
    code as c_int
}

pub(crate) unsafe extern "C" fn skb_strerror(code: c_int) -> *const c_char {
    let known = Code::ALL.into_iter().find(|known| *known as c_int == code);
    known.map_or(c"unknown code", Code::text).as_ptr()
}

pub(crate) unsafe extern "C" fn skb_last_error(text: *mut c_char, size: usize) -> usize {
    let message = LAST
        .try_with(|last| last.borrow().as_ref().map(ToString::to_string))
        .ok()
        .flatten()
        .unwrap_or_default();
    if size != 0 {
        let copied = message.len().min(size - 1);
        // SAFETY: the caller gives `size` bytes to write, of which at most `size` are.
        unsafe {
            std::ptr::copy_nonoverlapping(message.as_ptr(), text.cast(), copied);
            *text.add(copied) = 0;
        }
    }
    message.len()
}
