//! `skbpool._native.LeasePort`.

use super::drops::drops_dict;
use super::failure::OrRaise;
use super::hub::{Hub, driver_dict};
use super::slot::Slot;
use crate::py_types::skb_from_py;
use crate::record::fields;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skbpool_deliver::DriverStats;
use skbpool_pool::SkbBatch;

/// A driver whose skbs were made by lease clients.
///
/// No buffers are reserved for it: those it delivers are reserved by whoever allocated them.
///
/// Raises:
///     PoolClosed: The hub is closed.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct LeasePort {
    pub(super) port: Slot<skbpool_engine::LeasePort, DriverStats>,
    name: String,
}

#[pymethods]
impl LeasePort {
    #[new]
    fn new(py: Python<'_>, hub: &Bound<'_, Hub>, name: String) -> PyResult<Self> {
        let hub = &hub.get().hub;
        let port = py.detach(|| skbpool_engine::LeasePort::attach(hub, &name)).or_raise(py)?;
        Ok(Self { port: Slot::new("port", port), name })
    }

    /// Hand skbs to every consumer; they are used up.
    ///
    /// Returns:
    ///     `delivered`: skbs that at least one consumer was handed; `unclaimed`: those that no
    ///     consumer was there for; `dropped`: views that consumers missed, by reason.
    ///
    /// Raises:
    ///     BufferReleased: One is used up already, or named twice. Those before it are used up as
    ///         well, and none is delivered.
    ///     Exported: Memoryviews of one are alive; the same goes.
    ///     Closed: The port was closed; the skbs are as they were.
    fn deliver<'py>(
        &self,
        py: Python<'py>,
        skbs: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.port.with(py, |_| ())?;
        let taken: PyResult<SkbBatch> = skbs.iter().map(skb_from_py).collect();
        let mut batch = taken?;
        let done = self.port.with(py, |port| port.deliver(&mut batch))?;
        Ok(fields!(py,
            delivered: done.delivered,
            unclaimed: done.unclaimed,
            dropped: drops_dict(py, &done.dropped)?,
        ))
    }

    /// Return its figures; after closing, those at the end.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut stats = self.port.figures(py, skbpool_engine::LeasePort::stats)?;
        stats.name.clone_from(&self.name);
        driver_dict(py, stats)
    }

    /// Detach the driver. Views of its frames stay valid.
    fn close(&self, py: Python<'_>) {
        self.port.close(py, skbpool_engine::LeasePort::stats, |_| None);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}
