//! `skbpool.Consumer`.

use super::drops::drops_dict;
use super::failure::OrRaise;
use super::hub::consumer_dict;
use super::quota_events::QuotaEvents;
use super::slot::Slot;
use crate::arguments::{Number, Timeout};
use crate::py_types::batch_into_py;
use crate::wait::wait_for;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skbpool_deliver::{Bell, ConsumerConfig, ConsumerStats, Hub};
use skbpool_pool::SkbBatch;
use std::sync::Arc;
use std::time::Instant;

/// Views that an iteration takes at once.
const AT_MOST: u32 = 256;

/// Where a consumer of the program receives: `Hub.attach_consumer` makes it.
///
/// Iterating waits for frames and yields batches of up to 256 views, until the hub or the consumer is
/// closed and everything is taken. As a context manager it detaches at the end.
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Consumer {
    consumer: Slot<skbpool_deliver::Consumer, ConsumerStats>,
    bell: Arc<Bell>,
}

impl Consumer {
    pub(super) fn attach(
        py: Python<'_>,
        hub: &Arc<Hub>,
        name: &str,
        config: ConsumerConfig,
    ) -> PyResult<Self> {
        let bell = Bell::new();
        let config = ConsumerConfig { bell: Some((Arc::clone(&bell), 0)), ..config };
        let consumer = py.detach(|| hub.attach_consumer(name, config)).or_raise(py)?;
        Ok(Self { consumer: Slot::new("consumer", consumer), bell })
    }

    /// Waits for frames; answers whether there are some. Without, it was closed, or nothing more comes,
    /// or the time has passed.
    fn wait_for_frames(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        if self.consumer.is_inherited() {
            return Err(self.consumer.closed(py));
        }
        let found = wait_for(py, timeout.0, |deadline| {
            loop {
                // The lock is free while the bell is waited at.
                let looked = self.consumer.with_detached(|consumer| {
                    if !consumer.arm() {
                        return Some(true);
                    }
                    // After it asked to be called: whoever closes the hub calls.
                    let is_finished = consumer.is_finished();
                    is_finished.then(|| {
                        consumer.disarm();
                        false
                    })
                });
                match looked {
                    Some(Some(found)) => return Some(found),
                    Some(None) => {}
                    None => return Some(false),
                }
                let left = deadline.saturating_duration_since(Instant::now());
                let called = self.bell.wait(left).is_some();
                self.consumer.with_detached(skbpool_deliver::Consumer::disarm);
                if !called {
                    return None;
                }
            }
        })?;
        Ok(found.unwrap_or(false))
    }

    fn poll_some(&self, py: Python<'_>, at_most: u32) -> PyResult<SkbBatch> {
        self.consumer.with(py, |consumer| {
            let mut batch = SkbBatch::new();
            consumer.poll(&mut batch, at_most as usize);
            batch
        })
    }
}

#[pymethods]
impl Consumer {
    /// Take up to `at_most` views, from every driver in turn. Never waits.
    ///
    /// They count for the quota until they are released.
    ///
    /// Returns:
    ///     An `SkbBatch`, empty if there is nothing.
    ///
    /// Raises:
    ///     Closed: The consumer was closed.
    ///     ForkedPool: Another process made it, of which this one is a fork.
    #[pyo3(signature = (at_most = Number(AT_MOST)), text_signature = "($self, at_most=256)")]
    fn poll(&self, py: Python<'_>, at_most: Number) -> PyResult<Py<PyAny>> {
        batch_into_py(py, self.poll_some(py, at_most.0)?)
    }

    /// Wait until there is something to poll, nothing more will come, or `timeout` seconds (None: never)
    /// have passed; return whether there is something. Other threads run meanwhile, and Ctrl-C ends the
    /// wait.
    ///
    /// Raises:
    ///     ForkedPool: Another process made it, of which this one is a fork.
    #[pyo3(signature = (timeout), text_signature = "($self, timeout)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        self.wait_for_frames(py, timeout)
    }

    /// Return what it missed since this was last asked: `{reason: {"frames": n, "bytes": n}}`.
    ///
    /// Raises:
    ///     Closed: The consumer was closed; `stats` has the sums.
    ///     ForkedPool: Another process made it, of which this one is a fork.
    fn missed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        drops_dict(py, &self.consumer.with(py, |consumer| consumer.missed())?)
    }

    /// Return a watcher of its quota from now on, as `QuotaEvents`.
    ///
    /// Raises:
    ///     Closed: The consumer was closed.
    ///     ForkedPool: Another process made it, of which this one is a fork.
    fn quota_events(&self, py: Python<'_>) -> PyResult<QuotaEvents> {
        self.consumer.with(py, |consumer| QuotaEvents::new(consumer.quota_events()))
    }

    /// Whether nothing will ever come again: it was closed, or the hub was and everything is taken.
    #[getter]
    fn finished(&self, py: Python<'_>) -> bool {
        self.consumer.with(py, |consumer| consumer.is_finished()).unwrap_or(true)
    }

    /// Return its figures, as in `Hub.stats()["consumers"]`; after closing, those at the end.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.consumer.figures(py, |consumer| consumer.stats())?;
        consumer_dict(py, stats)
    }

    /// Detach the consumer. What lies in its rings is released and counted as missed; views that it took
    /// stay valid. Closing twice does nothing.
    fn close(&self, py: Python<'_>) {
        self.consumer.close(py, |consumer| consumer.stats(), |_| None);
        if !self.consumer.is_inherited() {
            self.bell.ring(0);
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        while self.wait_for_frames(py, Timeout(None))? {
            let batch = self.poll_some(py, AT_MOST)?;
            // Empty if another thread took them.
            if !batch.is_empty() {
                return batch_into_py(py, batch).map(Some);
            }
        }
        Ok(None)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}
