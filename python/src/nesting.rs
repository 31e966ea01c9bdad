//! Letting go of Python objects that hold views of one another, to any depth, in bounded stack.
//!
//! The object of a buffer may be a memoryview of a view of another buffer, whose object is again one,
//! and so on. Letting the outermost go then lets the next go from within, as deep as they are nested.
//! From [`DEEPEST`] on they are put aside, and let go of one after the other by the call at that depth:
//! what CPython does for its containers.

use crate::python_owner::PythonOwner;
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

/// So many are let go of from within one another on one thread, each before the one around it.
const DEEPEST: u32 = 32;

thread_local! {
    /// How many are being let go of on this thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Those that were put aside, the latest first, linked through the owners.
    static ASIDE: Cell<*mut PythonOwner> = const { Cell::new(null_mut()) };
}

/// Lets an owner go, or puts it aside for a call of this function further out on this thread.
///
/// # Safety
/// - As for [`PythonOwner::finish`].
pub(crate) unsafe fn finish(owner: NonNull<PythonOwner>) {
    let depth = DEPTH.get();
    if depth == DEEPEST {
        // SAFETY: the owner is ours, and nobody else links it.
        unsafe { (*owner.as_ptr()).next = ASIDE.replace(owner.as_ptr()) };
        return;
    }
    DEPTH.set(depth + 1);
    let mut next = Some(owner);
    while let Some(owner) = next {
        // SAFETY: as the caller promises; for those put aside, as their callers promised.
        unsafe { PythonOwner::finish(owner, true) };
        next = if depth + 1 == DEEPEST { take_aside() } else { None };
    }
    DEPTH.set(depth);
}

fn take_aside() -> Option<NonNull<PythonOwner>> {
    let owner = NonNull::new(ASIDE.get())?;
    // SAFETY: what was put aside on this thread is this thread's.
    ASIDE.set(unsafe { owner.as_ref() }.next);
    Some(owner)
}
