//! `skbpool._native.Hub`.

use super::drops::drops_dict;
use crate::pool::Pool;
use crate::record::fields;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use skbpool_deliver::{ConsumerStats, DriverStats};
use std::sync::Arc;

/// Joins the drivers and consumers of one pool.
///
/// Everything a driver delivers is offered to every consumer that is attached at that moment. What a
/// consumer cannot take, because its quota is used up, it misses alone.
#[pyclass(module = "skbpool._native", frozen)]
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

    /// Return everybody's figures. Takes a lock; not for hot loops.
    ///
    /// Returns:
    ///     `drivers` and `consumers`, a list of dicts each, and `detached_drivers` and
    ///     `detached_consumers`, the sums over those that left.
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
        quota: stats.quota,
        dropped: drops_dict(py, &stats.dropped)?,
    ))
}
