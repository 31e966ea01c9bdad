//! `skbpool.Hub`.

use super::consumer::Consumer;
use super::driver_port::DriverPort;
use super::drops::drops_dict;
use crate::arguments::{Bytes, Number, duration};
use crate::pool::Pool;
use crate::record::fields;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use skbpool_deliver::{ConsumerConfig, ConsumerStats, DriverConfig, DriverStats};
use std::sync::Arc;

/// Joins the drivers and consumers of one pool.
///
/// Everything a driver delivers is offered to every consumer that is attached at that moment. What a
/// consumer cannot take, because its quota is used up, it misses alone.
///
/// Args:
///     pool: Where the frames' buffers come from. Who attaches is promised what it may hold of it.
///
/// Example:
///     >>> from skbpool import Hub, Pool, SkbBatch
///     >>> pool = Pool(256)
///     >>> hub = Hub(pool)
///     >>> port = hub.attach_driver("source")
///     >>> consumer = hub.attach_consumer("sink", quota=64)
///     >>> with pool.alloc().arm(2) as armed:
///     ...     batch = SkbBatch([armed.skb(0, 60), armed.skb(64, 1000)])
///     >>> port.deliver(batch).published, len(batch)
///     (2, 0)
///     >>> hub.close()
///     >>> [list(frames.lengths()) for frames in consumer]
///     [[60, 1000]]
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Hub {
    pub(super) hub: Arc<skbpool_deliver::Hub>,
    pool: Py<Pool>,
}

#[pymethods]
impl Hub {
    #[new]
    fn new(pool: Bound<'_, Pool>) -> Self {
        Self { hub: skbpool_deliver::Hub::new(pool.get().pool.clone()), pool: pool.unbind() }
    }

    /// The pool whose frames it hands on.
    #[getter]
    fn pool(&self, py: Python<'_>) -> Py<Pool> {
        self.pool.clone_ref(py)
    }

    /// Attach a driver of this program.
    ///
    /// Args:
    ///     name: What its frames are accounted under. Several may have one name; each has its own figures.
    ///     buffers: Buffers it has out at worst, which are promised to it; 0: those it delivers are
    ///         promised to whoever allocated them, if to anybody.
    ///     may_block: Longest that one delivery may wait, in seconds, for consumers with the policy
    ///         "block", all together; 0: it never waits.
    ///
    /// Returns:
    ///     A `DriverPort`.
    ///
    /// Raises:
    ///     PoolTooSmall: The buffers do not fit the pool beside everybody's.
    ///     PoolClosed: The hub is closed.
    ///     ForkedPool: The pool belongs to the process that forked this one.
    ///     TooManyHolders: This process has no number left for a driver.
    ///     ValueError: may_block is negative or no number.
    #[pyo3(signature = (name, *, buffers = Number(0), may_block = 0.0),
           text_signature = "($self, name, *, buffers=0, may_block=0.0)")]
    fn attach_driver(
        &self,
        py: Python<'_>,
        name: String,
        buffers: Number,
        may_block: f64,
    ) -> PyResult<DriverPort> {
        let may_block = duration("may_block", may_block)?;
        let config = DriverConfig { buffers: buffers.0, may_block };
        DriverPort::attach(py, &self.hub, name, config)
    }

    /// Attach a consumer of this program: from now on it is offered every frame of every driver.
    ///
    /// Args:
    ///     name: What its views are accounted under. Several may have one name; each has its own figures.
    ///     quota: Most views it may hold, those in its rings included; as many buffers are promised to it,
    ///         which others cannot be promised then. A promise holds no buffer back from who allocates.
    ///     quota_bytes: Most bytes it may hold by truesize, likewise; None: as many as the views come to.
    ///     ring_slots: Slots of each of its rings, of which it has one for each driver: the most frames of
    ///         one driver that may wait until they are polled, copies included; a frame that finds none is
    ///         missed as "ring_full". Rounded up to a power of two. 0: as many as the quota, and with
    ///         "copy_out" as many again as its memory has buffers. A buffer holds many copies of small
    ///         frames, so give more where many are to wait.
    ///     policy: What happens to frames it cannot take. "drop_newest": they are dropped, and counted as
    ///         "quota" or "ring_full", whichever is in the way; where both are, as "quota". "drop_oldest":
    ///         those that wait longest in the ring of the same driver make place for them and are counted
    ///         as "evicted"; what it polled and did not release stays its own, so if that is the whole
    ///         quota the newest are dropped. "copy_out": what the quota does not grant is copied into
    ///         `copy_bytes` of its own memory, and the buffers go home; `Skb.is_copied` tells. With that
    ///         memory used up the newest are dropped as "quota". "block": the driver waits `block_at_most`
    ///         seconds for it to make room, as far as it may be blocked; then the newest are dropped.
    ///     copy_bytes: For "copy_out": bytes of that memory, whole buffers of the size of the pool's.
    ///     block_at_most: For "block": the longest wait in one delivery, in seconds.
    ///
    /// Returns:
    ///     A `Consumer`.
    ///
    /// Raises:
    ///     PoolTooSmall: The quota does not fit the pool beside everybody's.
    ///     PoolMemory: The machine has not the memory for the copies.
    ///     PoolClosed: The hub is closed.
    ///     ForkedPool: The pool belongs to the process that forked this one.
    ///     TooManyHolders: This process has no number left for a consumer.
    ///     OutOfRange: A number is negative or has no place in its 32 or 64 bits.
    ///     ValueError: A quota is 0, a ring too large, copy_bytes no buffer, the policy none of these, or a
    ///         setting is not of that policy.
    #[pyo3(signature = (name, *, quota, quota_bytes = None, ring_slots = Number(0),
                        policy = "drop_newest", copy_bytes = None, block_at_most = None),
           text_signature = "($self, name, *, quota, quota_bytes=None, ring_slots=0, \
                             policy='drop_newest', copy_bytes=None, block_at_most=None)")]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python's")]
    fn attach_consumer(
        &self,
        py: Python<'_>,
        name: &str,
        quota: Number,
        quota_bytes: Option<Bytes>,
        ring_slots: Number,
        policy: &str,
        copy_bytes: Option<Bytes>,
        block_at_most: Option<f64>,
    ) -> PyResult<Consumer> {
        let policy = super::policy::policy(policy, copy_bytes.map(|bytes| bytes.0), block_at_most)?;
        let config = ConsumerConfig {
            quota_bytes: quota_bytes.map(|bytes| bytes.0),
            ring_slots: ring_slots.0,
            policy,
            ..ConsumerConfig::with_quota(quota.0)
        };
        Consumer::attach(py, &self.hub, name, config)
    }

    /// Return everybody's figures. Takes a lock; not for hot loops.
    ///
    /// Returns:
    ///     `drivers` and `consumers`, a list of dicts each, and `detached_drivers` and
    ///     `detached_consumers`, the sums over those that left.
    ///
    ///     Of a driver: `name`; `frames`, `bytes` it received; `unclaimed` frames, for which nobody was
    ///     there; `dropped`, by reason. Of a consumer: `name`; `offered` frames; `frames`, `bytes` it took;
    ///     `queued` frames; `held`, `held_bytes`, `quota`, `quota_bytes`: views and truesize it holds and may
    ///     hold; `copied`, `copied_bytes` out of what it could not hold, `copies_held_bytes` of
    ///     `copy_memory` bytes; `waits` of drivers for it; `dropped`, what it missed by reason.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| self.hub.stats());
        let drivers = PyList::empty(py);
        for driver in stats.drivers {
            drivers.append(driver_dict(py, driver)?)?;
        }
        let consumers = PyList::empty(py);
        for consumer in stats.consumers {
            consumers.append(consumer_dict(py, consumer)?)?;
        }
        Ok(fields!(py,
            drivers: drivers,
            detached_drivers: driver_dict(py, stats.detached_drivers)?,
            consumers: consumers,
            detached_consumers: consumer_dict(py, stats.detached_consumers)?,
        ))
    }

    /// Refuse whoever comes from now on, and drop and count what drivers still deliver. Consumers
    /// finish what they were handed and are then told the end.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.hub.close());
    }
}

/// A driver's figures.
pub(super) fn driver_dict<'py>(
    py: Python<'py>,
    stats: DriverStats,
) -> PyResult<Bound<'py, PyDict>> {
    Ok(fields!(py,
        name: stats.name,
        frames: stats.frames,
        bytes: stats.bytes,
        unclaimed: stats.unclaimed,
        dropped: drops_dict(py, &stats.dropped)?,
    ))
}

/// A consumer's figures.
pub(super) fn consumer_dict<'py>(
    py: Python<'py>,
    stats: ConsumerStats,
) -> PyResult<Bound<'py, PyDict>> {
    Ok(fields!(py,
        name: stats.name,
        offered: stats.offered,
        frames: stats.frames,
        bytes: stats.bytes,
        queued: stats.queued,
        held: stats.held,
        held_bytes: stats.held_bytes,
        quota: stats.quota,
        quota_bytes: stats.quota_bytes,
        copied: stats.copied,
        copied_bytes: stats.copied_bytes,
        copies_held_bytes: stats.copies_held_bytes,
        copy_memory: stats.copy_memory,
        waits: stats.waits,
        dropped: drops_dict(py, &stats.dropped)?,
    ))
}
