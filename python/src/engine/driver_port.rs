//! `skbpool.DriverPort`.

use super::drops::drops_dict;
use super::failure::OrRaise;
use super::hub::driver_dict;
use super::slot::Slot;
use crate::py_types::{batch_from_py, give_back};
use crate::record::{fields, record};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skbpool_deliver::{Delivered, DriverConfig, DriverStats};
use skbpool_pool::{DropCount, LocalCache, SkbBatch, clock};
use std::sync::Arc;

/// Where a driver of the program delivers: `Hub.attach_driver` makes it.
///
/// As a context manager it detaches at the end.
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct DriverPort {
    port: Slot<Port, DriverStats>,
    name: String,
}

struct Port {
    port: skbpool_deliver::DriverPort,
    cache: LocalCache,
}

impl Port {
    fn deliver(&mut self, batch: &mut SkbBatch) -> Delivered {
        let tick = clock::tick();
        let unborn = batch.as_mut_slice().iter_mut().filter(|skb| skb.birth == 0);
        unborn.for_each(|skb| skb.birth = tick);
        let done = self.port.deliver(batch, &mut self.cache);
        // Its cache is nobody's reservation, so nothing stays in it.
        self.cache.flush();
        done
    }
}

impl DriverPort {
    pub(super) fn attach(
        py: Python<'_>,
        hub: &Arc<skbpool_deliver::Hub>,
        name: String,
        config: DriverConfig,
    ) -> PyResult<Self> {
        let port = py.detach(|| hub.attach_driver(&name, config)).or_raise(py)?;
        let cache = hub.pool().local_cache();
        Ok(Self { port: Slot::new("port", Port { port, cache }), name })
    }
}

#[pymethods]
impl DriverPort {
    /// Hand a batch to every consumer that is attached; it is empty afterwards.
    ///
    /// What a consumer cannot take is dropped by its policy and counted as its own. Never waits, unless the
    /// driver may be blocked and a consumer asks for it: then for `may_block` seconds at most, while other
    /// threads run and Ctrl-C waits; closing the hub ends it. Costs one change of the count for each run of
    /// views of one buffer, however many consumers there are, and 64 bytes copied a view and consumer.
    ///
    /// Returns:
    ///     A `Delivered`.
    ///
    /// Raises:
    ///     TypeError: It is no `SkbBatch`.
    ///     Closed: The port was closed; the batch is as it was.
    ///     ForkedPool: Another process made it, of which this one is a fork; the same goes.
    fn deliver<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut skbs = batch_from_py(batch)?;
        let done = match self.port.with(py, |port| port.deliver(&mut skbs)) {
            Ok(done) => done,
            Err(error) => {
                give_back(batch, skbs)?;
                return Err(error);
            }
        };
        let dropped: Vec<DropCount> = done.drops.iter().collect();
        let fields = fields!(py,
            frames: done.frames,
            published: done.published,
            copied: done.copied,
            missed: done.missed,
            evicted: done.evicted,
            unclaimed: done.unclaimed,
            dropped: drops_dict(py, &dropped)?,
        );
        record(py, "Delivered", &fields)
    }

    /// Return its figures, as in `Hub.stats()["drivers"]`; after closing, those at the end.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut stats = self.port.figures(py, |port| port.port.stats())?;
        stats.name.clone_from(&self.name);
        driver_dict(py, stats)
    }

    /// Detach the driver. Views of its frames stay valid. Closing twice does nothing.
    fn close(&self, py: Python<'_>) {
        self.port.close(py, |port| port.port.stats(), |_| None);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}
