//! `skbpool.QuotaEvents`.

use super::watcher::{Events, Watcher};
use crate::arguments::Timeout;
use pyo3::prelude::*;
use skbpool_deliver::QuotaEvent;
use std::time::Instant;

/// What happens to a consumer's quota, from the moment `Consumer.quota_events` was called.
///
/// Events are their names, of which the first two alternate:
///
/// - `"quota_exceeded"`: a frame was for it that its quota had no view for.
/// - `"quota_recovered"`: it holds half of its quota or less again; told when a driver next delivers to
///   it.
/// - `"quota_gone"`: the consumer was closed. Nothing follows.
///
/// Iterating waits for each event as `wait(None)` does, and ends after `"quota_gone"`. Several threads may wait with one object: each event goes to one of them.
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct QuotaEvents {
    watcher: Watcher<skbpool_deliver::QuotaEvents>,
}

impl Events for skbpool_deliver::QuotaEvents {
    fn next_until(&mut self, deadline: Instant) -> Option<&'static str> {
        skbpool_deliver::QuotaEvents::next_until(self, deadline).map(QuotaEvent::name)
    }

    fn missed(&self) -> u64 {
        self.missed()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

impl QuotaEvents {
    pub(super) fn new(events: skbpool_deliver::QuotaEvents) -> Self {
        Self { watcher: Watcher::new("watcher", events) }
    }
}

#[pymethods]
impl QuotaEvents {
    /// Return the next event, or None after `timeout` seconds (None: never) and at once after
    /// `"quota_gone"`.
    ///
    /// Other threads run meanwhile, and Ctrl-C ends the wait. Costs one load if there is an event.
    ///
    /// Raises:
    ///     ForkedPool: The consumer belongs to the process that forked this one.
    ///     ValueError: The timeout is negative.
    #[pyo3(signature = (timeout), text_signature = "($self, timeout)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<Option<&'static str>> {
        self.watcher.wait(py, timeout.0)
    }

    /// Events that were skipped, in pairs, because later ones were there.
    #[getter]
    fn missed(&self, py: Python<'_>) -> PyResult<u64> {
        self.watcher.missed(py)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        self.watcher.wait(py, None)
    }
}
