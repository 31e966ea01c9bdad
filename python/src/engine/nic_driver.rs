//! `skbpool._native.NicDriver`.

use super::drops::drops_dict;
use super::failure::OrRaise;
use super::hub::Hub;
use super::slot::forked;
use crate::arguments::{Timeout, duration as seconds};
use crate::pool::Pool;
use crate::python_code::unlocked;
use crate::record::fields;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustix::fd::BorrowedFd;
use skbpool_engine::{DriverTraffic, NicDriverConfig, NicDriverObserver};
use skbpool_nic::Rate;
use skbpool_pool::fork::Birthplace;
use std::fs::File;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An emulated card on a line, and its driver, which delivers into a hub of this process.
///
/// The line is up from the beginning. Card and receive loop run in a native thread; at the end of the
/// line the ring is home, and the driver stays at the hub with its figures until it is closed.
///
/// Args:
///     hub: Where to deliver.
///     pool: Where the ring's buffers come from, the hub's or another one, which then is what bounds it.
///     name: What the frames are accounted under.
///     rate: Of the line: "1Gbps", "1.4Mpps", "max".
///     size: Bytes of each stamped frame, frame check sequence included; memory holds four less.
///     stream: Number of the stamped stream.
///     frames: The line goes dead after so many frames.
///     duration: The line goes dead after so many seconds.
///     capture: Descriptor of a regular pcap or pcapng file, open for reading, whose frames are sent
///         instead. A second descriptor of it is made, which has its file offset in common with this one,
///         and it is read from its beginning: leave reading and seeking alone while the driver is there.
///     capture_name: What to call it in errors.
///     loops: How often it is sent; 0: until something else ends it.
///     original_timing: Whether its frames keep their distances in time, as far as the rate allows.
///     ring: Descriptors of the card.
///     may_block: The longest that a delivery may wait for consumers that ask for it, in seconds.
///
/// Raises:
///     ValueError: The rate, the size, the ring, the descriptor or the duration is out of range.
///     CaptureError: The capture cannot be read.
///     PoolTooSmall: The pool cannot promise what it has out at worst.
///     PoolClosed: The hub or the pool is closed.
///     TooManyHolders: This process has no number left for a driver.
///     OSError: There is no thread to be had.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct NicDriver {
    driver: Mutex<skbpool_engine::NicDriver>,
    observer: NicDriverObserver,
    born: Birthplace,
}

#[pymethods]
impl NicDriver {
    #[new]
    #[pyo3(signature = (hub, pool, name, *, rate, size = 64, stream = 0, frames = None, duration = None,
                        capture = None, capture_name = String::new(), loops = 1,
                        original_timing = false, ring = 512, may_block = 0.0),
           text_signature = "(hub, pool, name, *, rate, size=64, stream=0, frames=None, duration=None, \
                             capture=None, capture_name='', loops=1, original_timing=False, ring=512, \
                             may_block=0.0)")]
    #[allow(clippy::too_many_arguments, reason = "each has a name in Python")]
    fn new(
        py: Python<'_>,
        hub: &Bound<'_, Hub>,
        pool: &Bound<'_, Pool>,
        name: &str,
        rate: &str,
        size: u32,
        stream: u32,
        frames: Option<u64>,
        duration: Option<Timeout>,
        capture: Option<i32>,
        capture_name: String,
        loops: u32,
        original_timing: bool,
        ring: u32,
        may_block: f64,
    ) -> PyResult<Self> {
        let rate: Rate = rate
            .parse()
            .map_err(|error: skbpool_nic::RateError| PyValueError::new_err(error.to_string()))?;
        let traffic = match capture {
            None => DriverTraffic::Stamped { size, stream },
            Some(descriptor) => DriverTraffic::Capture {
                file: second(descriptor)?,
                name: capture_name,
                loops: NonZeroU32::new(loops),
                original_timing,
            },
        };
        let config = NicDriverConfig {
            rate,
            frames,
            duration: duration.and_then(|duration| duration.0),
            descriptors: ring,
            may_block: seconds("may_block", may_block)?,
        };
        let (hub, pool) = (&hub.get().hub, &pool.get().pool);
        let attach = || skbpool_engine::NicDriver::attach(hub, pool, name, traffic, config);
        let driver = py.detach(attach).or_raise(py)?;
        Ok(Self {
            observer: driver.observer(),
            driver: Mutex::new(driver),
            born: Birthplace::here(),
        })
    }

    /// Return what the driver did so far; at any time, from any thread.
    ///
    /// Returns:
    ///     A dict of `offered` frames; those `accepted` by the hub, their `accepted_bytes`, and those
    ///     of them that were `unclaimed`, since no consumer was there; `dropped`, the others by reason;
    ///     `late`, the frames that the line had time for and that were not made; `wire_bits` of the
    ///     offered ones, preamble and gap included; `seconds` that the line is or was up; `ended`; and
    ///     `error`, what ended it before its time, or None.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = py.detach(|| self.observer.report()).ok_or_else(|| forked(py, "driver"))?;
        Ok(fields!(py,
            offered: report.offered,
            accepted: report.accepted,
            accepted_bytes: report.accepted_bytes,
            unclaimed: report.unclaimed,
            dropped: drops_dict(py, &report.dropped)?,
            late: report.late,
            wire_bits: report.wire_bits,
            seconds: report.seconds,
            ended: report.ended,
            error: report.error,
        ))
    }

    /// Ask the line to go down, without waiting.
    fn stop(&self) {
        self.observer.stop();
    }

    /// Take the line down and wait for its thread, which delivers what the card has received. Its ring is
    /// home then, and what the pool promised for it is given back.
    fn finish(&self, py: Python<'_>) {
        if !self.born.is_elsewhere() {
            py.detach(|| self.driver().finish());
        }
    }

    /// Detach the driver. Views of its frames stay valid. Closing twice does nothing.
    fn close(&self, py: Python<'_>) {
        if !self.born.is_elsewhere() {
            py.detach(|| self.driver().detach());
        }
    }

    /// Return the buffers that hold views of its frames, and how many views; (0, 0) until it is closed.
    fn out(&self, py: Python<'_>) -> PyResult<(u32, u64)> {
        self.check(py)?;
        let out = py.detach(|| self.driver().out());
        Ok((out.buffers, out.references))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}

impl NicDriver {
    /// # Errors
    /// `ForkedPool`.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.born.is_elsewhere() { Err(forked(py, "driver")) } else { Ok(()) }
    }

    /// For callers who have detached.
    fn driver(&self) -> MutexGuard<'_, skbpool_engine::NicDriver> {
        // A driver stays consistent when something unwinds through it.
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NicDriver {
    fn drop(&mut self) {
        if !self.born.is_elsewhere() {
            unlocked(|| self.driver().finish());
        }
    }
}

/// A second descriptor of an open file.
fn second(descriptor: i32) -> PyResult<File> {
    if descriptor < 0 {
        let text = format!("a file descriptor is 0 or more, not {descriptor}");
        return Err(PyValueError::new_err(text));
    }
    // SAFETY: only asked for a second descriptor of the same file, which the kernel refuses if this one
    // is not open; -1 was sorted out.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(borrowed.try_clone_to_owned()?.into())
}
