//! Letting go of brought buffers from within one another, to any depth, in bounded stack.
//!
//! What is adopted may hold views of other brought memory, which holds views again, and so on. Letting the
//! outermost go then lets the next go from within, as deep as they are nested. From [`DEEPEST`] on they are
//! put aside, and let go of one after the other by the call at that depth: what CPython does for its
//! containers.

use crate::header::BufferHeader;
use std::cell::{Cell, RefCell};
use std::ptr::{NonNull, null};

/// So many are let go of from within one another on one thread, each before the one around it.
const DEEPEST: u32 = 32;

type Aside = RefCell<Vec<NonNull<BufferHeader>>>;

thread_local! {
    /// How many are being let go of on this thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the deepest of them keeps what is put aside; not null while the depth is [`DEEPEST`].
    static ASIDE: Cell<*const Aside> = const { Cell::new(null()) };
}

/// Calls `let_go` with the header, or puts that aside for a call of this function further out on this thread,
/// which has the same `let_go`.
pub(crate) fn bounded(header: NonNull<BufferHeader>, let_go: impl Fn(NonNull<BufferHeader>)) {
    let depth = DEPTH.get();
    if depth == DEEPEST {
        // SAFETY: it lies in the call at this depth, which has not returned, on this thread.
        unsafe { &*ASIDE.get() }.borrow_mut().push(header);
        return;
    }
    DEPTH.set(depth + 1);
    if depth + 1 == DEEPEST {
        let aside = Aside::default();
        ASIDE.set(&raw const aside);
        let_go(header);
        // Not borrowed meanwhile: what is let go of puts more aside.
        let latest = || aside.borrow_mut().pop();
        while let Some(next) = latest() {
            let_go(next);
        }
    } else {
        let_go(header);
    }
    DEPTH.set(depth);
}
