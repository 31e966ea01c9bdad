//! `skbpool.QuotaEvents`.

use super::watcher::{Events, Watcher};
use crate::arguments::Timeout;
use pyo3::prelude::*;
use skbpool_deliver::QuotaEvent;
use std::sync::Weak;
use std::time::Instant;

/// What happens to a consumer's quota, from the moment `Consumer.quota_events` was called.
///
/// Events are their names, which alternate:
///
/// - `"quota_exceeded"`: a frame was for it that its quota had no view for.
/// - `"quota_recovered"`: it holds half of its quota or less again; told when a driver next delivers to
///   it.
///
/// Iterating waits for each event as `wait(None)` does, and ends once the consumer is closed, which is
/// noticed within 50 ms. Several threads may wait with one object: each event goes to one of them.
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct QuotaEvents {
    watcher: Watcher<OfConsumer>,
}

struct OfConsumer {
    events: skbpool_deliver::QuotaEvents,
    /// Kept by the consumer as long as it is attached.
    here: Weak<()>,
}

impl Events for OfConsumer {
    fn next_until(&mut self, deadline: Instant) -> Option<&'static str> {
        let next =
            if self.is_over() { self.events.try_next() } else { self.events.next_until(deadline) };
        next.map(QuotaEvent::name)
    }

    fn missed(&self) -> u64 {
        self.events.missed()
    }

    fn is_over(&self) -> bool {
        self.here.strong_count() == 0
    }
}

impl QuotaEvents {
    pub(super) fn new(events: skbpool_deliver::QuotaEvents, here: Weak<()>) -> Self {
        Self { watcher: Watcher::new("watcher", OfConsumer { events, here }) }
    }
}

#[pymethods]
impl QuotaEvents {
    /// Return the next event, or None after `timeout` seconds (None: never), and when the consumer is
    /// closed.
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
