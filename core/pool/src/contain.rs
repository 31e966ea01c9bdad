//! Code of somebody else's at places that must not unwind.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of somebody else's at a place that must not unwind: what it answers, or none if it panicked.
/// Then it says `what` and `consequence` on stderr, if stderr can still be written. Costs nothing unless
/// there is a panic.
#[inline]
pub fn contain<R>(what: &str, consequence: &str, run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| tell(what, consequence, payload)).ok()
}

#[cold]
fn tell(what: &str, consequence: &str, payload: Box<dyn Any + Send>) {
    // Dropping what was thrown is somebody else's code too. What that throws is let be: dropping it may
    // throw again, and so on.
    if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(thrown);
    }
    let _ = writeln!(std::io::stderr(), "skbpool: {what} panicked; {consequence}");
}
