//! Waiting for events from Python.

use super::slot::forked;
use crate::wait::wait_for;
use pyo3::prelude::*;
use skbpool_pool::fork::Birthplace;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A watcher of the core.
pub(super) trait Events: Send {
    /// The name of the next event; none when the deadline has passed, or nothing follows.
    fn next_until(&mut self, deadline: Instant) -> Option<&'static str>;
    /// Events that were skipped.
    fn missed(&self) -> u64;
    /// Whether nothing follows.
    fn is_over(&self) -> bool;
}

/// A watcher behind a Python object, for any number of threads: each event goes to one of them.
///
/// Whoever waits takes the watcher out and brings it back within a slice of [`wait_for`]; the others
/// sleep until then, so that their timeouts hold and Ctrl-C reaches them.
pub(super) struct Watcher<E> {
    what: &'static str,
    born: Birthplace,
    place: Mutex<Option<E>>,
    back: Condvar,
}

impl<E: Events> Watcher<E> {
    pub(super) fn new(what: &'static str, events: E) -> Self {
        let place = Mutex::new(Some(events));
        Self { what, born: Birthplace::here(), place, back: Condvar::new() }
    }

    /// The next event; none when `timeout` has passed (`None`: never), or at once when nothing follows.
    ///
    /// # Errors
    /// `ForkedPool`, and what a signal handler raised.
    pub(super) fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Option<&'static str>> {
        self.check(py)?;
        let answer = wait_for(py, timeout, |deadline| {
            let found = self.with(deadline, |events| {
                let event = events.next_until(deadline);
                (event, events.is_over())
            });
            match found {
                Some((Some(event), _)) => Some(Some(event)),
                Some((None, true)) => Some(None),
                _ => None,
            }
        })?;
        Ok(answer.flatten())
    }

    /// Events that were skipped so far.
    ///
    /// # Errors
    /// As [`Watcher::wait`].
    pub(super) fn missed(&self, py: Python<'_>) -> PyResult<u64> {
        self.check(py)?;
        let missed = wait_for(py, None, |deadline| self.with(deadline, |events| events.missed()))?;
        Ok(missed.unwrap_or(0))
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        // Its lock may be held by a thread that is not in this process.
        if self.born.is_elsewhere() { Err(forked(py, self.what)) } else { Ok(()) }
    }

    /// Works with the watcher as soon as nobody else does; none when the deadline has passed.
    fn with<T>(&self, deadline: Instant, work: impl FnOnce(&mut E) -> T) -> Option<T> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = loop {
            if let Some(events) = place.take() {
                break events;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let woken = self.back.wait_timeout(place, left);
            place = woken.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(place);
        let answer = work(&mut events);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
        self.back.notify_one();
        Some(answer)
    }
}
