//! `skbpool.PoolEvents`.

use super::watcher::{Events, Watcher};
use crate::arguments::Timeout;
use crate::error::Error;
use pyo3::prelude::*;
use skbpool_pool::{AllocError, PoolEvent};
use std::time::Instant;

/// What happens to a pool as a whole, from the moment `Pool.events` was called.
///
/// Events are their names:
///
/// - `"low_watermark"`: fewer buffers are free than the low watermark says.
/// - `"exhausted"`: an allocation found no buffer, for the first time since the pool became low.
/// - `"high_watermark"`: as many are free again as the high watermark says. It alternates with
///   `"low_watermark"`.
/// - `"orphaned"`: the pool was closed while buffers were in flight, which stay valid.
/// - `"gone"`: the pool was closed or let go of, and every buffer is home. Nothing follows.
///
/// Iterating waits for each event as `wait(None)` does, and ends after `"gone"`. The object keeps neither
/// the pool nor its memory; what nobody asks for takes no memory, see `missed`. Several threads may wait
/// with one object: each event goes to one of them.
///
/// Example:
///     >>> from skbpool import Pool
///     >>> pool = Pool(64, watermarks=(8, 16))
///     >>> events = pool.events()
///     >>> held = pool.alloc_bulk(57)
///     >>> events.wait(0), pool.is_low
///     ('low_watermark', True)
///     >>> del held
///     >>> pool.close()
///     0
///     >>> list(events)
///     ['high_watermark', 'gone']
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct PoolEvents {
    watcher: Watcher<skbpool_pool::PoolEvents>,
}

impl Events for skbpool_pool::PoolEvents {
    fn next_until(&mut self, deadline: Instant) -> Option<&'static str> {
        skbpool_pool::PoolEvents::next_until(self, deadline).map(PoolEvent::name)
    }

    fn missed(&self) -> u64 {
        self.missed()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

impl PoolEvents {
    /// # Errors
    /// `ForkedPool`: what happens to it happens elsewhere.
    pub(crate) fn of(pool: &skbpool_pool::Pool) -> Result<Self, Error> {
        if pool.is_forked() {
            return Err(AllocError::ForkedPool.into());
        }
        Ok(Self { watcher: Watcher::new("watcher", pool.events()) })
    }
}

#[pymethods]
impl PoolEvents {
    /// Return the next event, or None after `timeout` seconds (None: never) and at once after `"gone"`.
    ///
    /// Other threads run meanwhile, and Ctrl-C ends the wait. Costs a few loads if there is an event.
    ///
    /// Raises:
    ///     ForkedPool: The pool belongs to the process that forked this one.
    ///     ValueError: The timeout is negative.
    #[pyo3(signature = (timeout), text_signature = "($self, timeout)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<Option<&'static str>> {
        self.watcher.wait(py, timeout.0)
    }

    /// Events that were skipped because later ones of their kind were there: a `"low_watermark"` and the
    /// `"high_watermark"` that followed it go together.
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
