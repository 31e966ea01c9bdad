//! Waiting without the interpreter lock, and without losing Ctrl-C.

use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// A signal is noticed after this long at the latest.
const SLICE: Duration = Duration::from_millis(50);

/// Calls `attempt`, detached from the interpreter, with a deadline that is near, until it answers or
/// `timeout` is over (`None`: never); in between Python's signal handlers run.
///
/// `attempt` returns `None` when its deadline has passed; it is called at least once.
///
/// # Errors
/// What a signal handler raised: KeyboardInterrupt for Ctrl-C.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut attempt: impl FnMut(Instant) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let slice = Instant::now() + SLICE;
        let deadline = end.map_or(slice, |end| end.min(slice));
        if let Some(answer) = py.detach(|| attempt(deadline)) {
            return Ok(Some(answer));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(None);
        }
        py.check_signals()?;
    }
}
