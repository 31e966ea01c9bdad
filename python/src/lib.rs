//! `skbpool._native`: pools, buffers, drivers and codecs for Python. One file a class; views and
//! batches are Cython, in `skbpool/_skb.pyx`, and reached through [`py_types`].

mod arguments;
mod armed;
mod bring;
mod buffer;
mod c_api;
mod copies;
mod engine;
mod entrance;
mod error;
mod fill;
mod holders;
mod pickling;
mod pool;
mod pool_settings;
mod process;
mod provenance;
mod py_types;
mod python_code;
mod python_owner;
mod reaper;
mod record;
mod reservation;
mod wait;

use pyo3::prelude::*;

/// The native half of the package `skbpool`.
#[pymodule]
mod _native {
    // Memory.
    #[pymodule_export]
    use crate::bring::{adopt, brought, init_zero_copy_buffer};
    #[pymodule_export]
    use crate::{armed::Armed, buffer::Buffer, fill::Fill, pool::Pool, reservation::Reservation};
    #[pymodule_export]
    use crate::{copies::copies, holders::Holder, holders::holders};
    // Delivery within the program, and events.
    #[pymodule_export]
    use crate::engine::{
        consumer::Consumer, driver_port::DriverPort, hub::Hub, pool_events::PoolEvents,
        quota_events::QuotaEvents,
    };

    // For the daemon, the client and the command line.
    #[pymodule_export]
    use crate::engine::{
        bell::Bell, boot::server_boot_id, capture_writer::CaptureWriter, decode::decode_subscribe,
        emulated_nic::EmulatedNic, frame_encoder::FrameEncoder, ingest_port::AdoptionBudget,
        ingest_port::IngestPort, ingest_port::IngestProgress, ingest_port::ingest_opening,
        latency::latency_histogram, lease_port::LeasePort, lease_table::LeaseTable,
        nic_driver::NicDriver, rate::parse_rate, stamp_consumer::StampConsumer,
        subscription::Subscription,
    };

    // For the package's own modules.
    #[pymodule_export]
    use crate::{
        error::_take_failure, pool::_pool_address, py_types::_register, reaper::_close_reaper,
    };

    use super::{Bound, PyModule, PyModuleMethods, PyResult};
    use pyo3::types::{PyAnyMethods, PyListMethods};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("MAX_BUFFERS", skbpool_pool::MAX_BUFFERS)?;
        module.add("MAX_HOLDERS", skbpool_pool::MAX_HOLDERS)?;
        module.add("MAX_ORDER", skbpool_pool::MAX_ORDER)?;
        module.add("_C_API", crate::c_api::capsule(module.py())?)?;
        // Names for others than this package.
        let all = module.index()?;
        let public: Vec<_> = all.iter().filter(|name| !name.to_string().starts_with('_')).collect();
        module.setattr("__all__", public)?;
        crate::buffer::install_finalizer(module.py());
        // No Python object is touched once the interpreter begins to exit.
        let atexit = module.py().import("atexit")?;
        atexit.call_method1("register", (module.getattr("_close_reaper")?,))?;
        crate::entrance::install(module)
    }
}
