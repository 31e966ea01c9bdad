//! `skbpool._native.StampConsumer`.

use super::drops::drops_dict;
use super::failure::OrRaise;
use super::hub::Hub;
use super::quota_events::QuotaEvents;
use super::slot::Slot;
use crate::arguments::duration;
use crate::python_code::unlocked;
use crate::record::fields;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skbpool_deliver::Policy;
use skbpool_engine::StampConsumerReport;
use skbpool_nic::LatencySummary;

/// A consumer that reads the stamps of one stream, outside Python.
///
/// Sequence numbers begin at 0, so what is missing before the first frame counts as lost. Latency is
/// from the send time in the stamp to reading, both of the monotonic clock: it means something if
/// `server_boot_id()` is the same where the frames were sent.
///
/// Args:
///     hub: Where the frames come from.
///     name: What it is accounted under.
///     stream: Number of the stamped stream; other frames are foreign.
///     quota: Most views it may hold; as many buffers are reserved, and one cache of them.
///     block: The longest that a driver which may be blocked waits for it to have room, in seconds; 0:
///         frames beyond the quota are missed.
///     inline: Read on the threads that deliver, before they go on, instead of on one of its own.
///
/// Raises:
///     PoolTooSmall: The pool has no room for another consumer with that quota.
///     PoolClosed: The hub is closed.
///     ValueError: The quota is 0, or more than a ring can have, or `block` is negative.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct StampConsumer {
    consumer: Slot<skbpool_engine::StampConsumer, Option<StampConsumerReport>>,
}

#[pymethods]
impl StampConsumer {
    #[new]
    #[pyo3(signature = (hub, name, *, stream, quota, block = 0.0, inline = false))]
    fn new(
        py: Python<'_>,
        hub: &Bound<'_, Hub>,
        name: &str,
        stream: u32,
        quota: u32,
        block: f64,
        inline: bool,
    ) -> PyResult<Self> {
        let hub = &hub.get().hub;
        let at_most = duration("block", block)?;
        let policy = if at_most.is_zero() { Policy::DropNewest } else { Policy::Block { at_most } };
        let consumer = py
            .detach(|| {
                if inline {
                    skbpool_engine::StampConsumer::attach_inline(hub, name, stream, quota)
                } else {
                    skbpool_engine::StampConsumer::attach_with(hub, name, stream, quota, policy)
                }
            })
            .or_raise(py)?;
        Ok(Self { consumer: Slot::new("stamp consumer", consumer) })
    }

    /// Return what it saw so far; after closing, all of it.
    ///
    /// Returns:
    ///     A dict of `received` (copies included), `lost`, `duplicated`, `reordered`, `foreign`
    ///     frames; what it missed as a consumer in `dropped`; `latency_seconds` with `p50`, `p99`,
    ///     `p999` and `max`, or None; and `latency_count`, the frames that gave a latency.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = self.consumer.figures(py, skbpool_engine::StampConsumer::report)?;
        let report = report.ok_or_else(|| self.consumer.closed(py))?;
        let stamps = &report.stamps;
        let latency = stamps.latency.as_ref();
        Ok(fields!(py,
            received: stamps.received,
            lost: stamps.lost,
            duplicated: stamps.duplicated,
            reordered: stamps.reordered,
            foreign: stamps.foreign,
            dropped: drops_dict(py, &report.consumer.dropped)?,
            latency_seconds: latency.map(|latency| seconds(py, latency)).transpose()?,
            latency_count: latency.map_or(0, |latency| latency.count),
        ))
    }

    /// Return a watcher of its quota from now on, as `QuotaEvents`.
    ///
    /// Raises:
    ///     Closed: The reader was closed.
    fn quota_events(&self, py: Python<'_>) -> PyResult<QuotaEvents> {
        let events = self.consumer.with(py, |consumer| consumer.quota_events())?;
        Ok(QuotaEvents::new(events.ok_or_else(|| self.consumer.closed(py))?))
    }

    /// Read what is queued now, and nothing further; it stays attached until it is closed, which then
    /// takes no time.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.consumer.with(py, skbpool_engine::StampConsumer::stop)
    }

    /// Read what is queued now, and detach.
    fn close(&self, py: Python<'_>) {
        self.consumer
            .close(py, skbpool_engine::StampConsumer::report, |consumer| Some(consumer.close()));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}

impl Drop for StampConsumer {
    fn drop(&mut self) {
        unlocked(|| self.consumer.with_detached(skbpool_engine::StampConsumer::stop));
    }
}

fn seconds<'py>(py: Python<'py>, latency: &LatencySummary) -> PyResult<Bound<'py, PyDict>> {
    let seconds = |ns: u64| ns as f64 / 1e9;
    Ok(fields!(py,
        p50: seconds(latency.p50_ns),
        p99: seconds(latency.p99_ns),
        p999: seconds(latency.p999_ns),
        max: seconds(latency.max_ns),
    ))
}
