//! `skbpool._native.EmulatedNic`.

use super::drops::drops_dict;
use super::failure::{IntoException, OrRaise};
use super::memory::bytes_written;
use super::slot::forked;
use crate::arguments::{Timeout, Whole, pool_of};
use crate::python_code::unlocked;
use crate::record::fields;
use crate::wait::wait_for;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use skbpool_engine::{NicObserver, NicRun, NicRunConfig, PlannedRequest, Traffic};
use skbpool_nic::Rate;
use skbpool_pool::fork::Birthplace;
use skbpool_wire::EncodeError;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An emulated card on a line, its pool and its driver, whose frames leave in messages.
///
/// The card and the driver's receive loop run in a native thread. Frames carry stamps, unless they
/// are those of a capture.
///
/// Args:
///     rate: Of the line: "1Gbps", "1.4Mpps", "max". At "max" the line waits for the client; at any
///         other rate frames that find no buffer are dropped and counted.
///     size: Bytes of each frame, frame check sequence included; memory holds four less.
///     frames: The line goes dead after so many frames.
///     duration: The line goes dead after so many seconds.
///     stream: Number of the stamped stream.
///     capture: A pcap or pcapng file to be replayed instead; "-" is standard input.
///     loops: How often it is replayed; 0: until something else ends the run.
///     ring: Descriptors of the card.
///     buffers: Buffers of the pool.
///     order: Each has `4096 << order` bytes.
///     driver: What the daemon accounts the frames under, told in request number 1.
///
/// Raises:
///     ValueError: The rate, the size, the ring or the duration is out of range.
///     CaptureError: The capture cannot be read.
///     BadPool, PoolMemory: There is no such pool, or not the memory for it.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct EmulatedNic {
    run: Mutex<NicRun>,
    observer: NicObserver,
    born: Birthplace,
}

#[pymethods]
impl EmulatedNic {
    #[new]
    #[pyo3(signature = (*, rate, size = 64, frames = None, duration = None, stream = 0, capture = None,
                        loops = 1, ring = 512, buffers = Whole(Ok(4096)), order = Whole(Ok(0)),
                        driver = String::new()),
           text_signature = "(*, rate, size=64, frames=None, duration=None, stream=0, capture=None, \
                             loops=1, ring=512, buffers=4096, order=0, driver='')")]
    #[allow(clippy::too_many_arguments, reason = "each has a name in Python")]
    fn new(
        py: Python<'_>,
        rate: &str,
        size: u32,
        frames: Option<u64>,
        duration: Option<Timeout>,
        stream: u32,
        capture: Option<PathBuf>,
        loops: u32,
        ring: u32,
        buffers: Whole,
        order: Whole,
        driver: String,
    ) -> PyResult<Self> {
        let (buffers, order) = pool_of(py, buffers, order)?;
        let rate: Rate = rate
            .parse()
            .map_err(|error: skbpool_nic::RateError| PyValueError::new_err(error.to_string()))?;
        let traffic = match capture {
            Some(path) => Traffic::Capture { path, loops: NonZeroU32::new(loops) },
            None => Traffic::Stamped { size, stream },
        };
        let config = NicRunConfig {
            traffic,
            rate,
            frames,
            duration: duration.and_then(|duration| duration.0),
            descriptors: ring,
            buffers,
            order,
            driver,
        };
        // Faulting the pool in and opening a capture take a while.
        let run = py.detach(|| NicRun::new(config)).or_raise(py)?;
        Ok(Self { observer: run.observer(), run: Mutex::new(run), born: Birthplace::here() })
    }

    /// Bring the line up. Starting twice does nothing.
    ///
    /// Raises:
    ///     PoolTooSmall: The pool has fewer buffers than the ring.
    ///     ValueError: The ring is out of range.
    ///     ForkedPool: Another process made it, of which this one is a fork.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        if self.born.is_elsewhere() {
            return Err(forked(py, "emulated card"));
        }
        py.detach(|| self.run().start()).or_raise(py)
    }

    /// Return the next encoded IngestRequest, or None once the line is dead and everything was sent.
    /// Brings the line up if it is not yet.
    ///
    /// Args:
    ///     max_bytes: Largest message.
    ///     linger: Seconds to wait for the message to fill, from its first frame on. The first frame
    ///         is waited for as long as it takes; Ctrl-C and stop() end that. Frames that fit no
    ///         message are dropped, for `too_large`.
    ///     sequence: Number of the message.
    ///
    /// Raises:
    ///     FrameTooLarge: max_bytes does not even hold the driver's name.
    fn next_request<'py>(
        &self,
        py: Python<'py>,
        max_bytes: usize,
        linger: Timeout,
        sequence: u64,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.start(py)?;
        let linger = linger.0.unwrap_or(Duration::MAX / 4);
        loop {
            let planned = wait_for(py, None, |deadline| {
                let patience = deadline.saturating_duration_since(Instant::now());
                let planned = self.run().plan_request(max_bytes, linger, sequence, patience);
                (planned != Ok(PlannedRequest::Nothing)).then_some(planned)
            })?;
            let size = match planned {
                Some(Ok(PlannedRequest::Ready(size))) => size,
                Some(Err(error)) => return Err(error.into_exception(py)),
                _ => return Ok(None),
            };
            let written = bytes_written(py, size, |memory| {
                let mut run = self.run();
                run.write_request(memory).map(|it| Some(it.len()))
            })?;
            match written {
                // Another thread took that message meanwhile.
                Err(EncodeError::BufferSize { .. }) => {}
                Err(error) => return Err(error.into_exception(py)),
                Ok(message) => return Ok(message),
            }
        }
    }

    /// Return what the run did so far; at any time, from any thread.
    ///
    /// Returns:
    ///     A dict of `offered` frames, those `accepted` in a buffer of the card's pool and handed on,
    ///     and their `accepted_bytes`; `dropped` by reason; `late`, the frames that the line had time
    ///     for and that were not made; `wire_bits` of the offered ones, preamble and gap included;
    ///     `seconds` that the line was up; `ended`; and `capture_error`, what ended a capture before
    ///     its time, or None.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if self.born.is_elsewhere() {
            return Err(forked(py, "emulated card"));
        }
        let report = py.detach(|| self.observer.report());
        Ok(fields!(py,
            offered: report.offered,
            accepted: report.accepted,
            accepted_bytes: report.accepted_bytes,
            dropped: drops_dict(py, &report.dropped)?,
            late: report.late,
            wire_bits: report.wire_bits,
            seconds: report.seconds,
            ended: report.ended,
            capture_error: report.source_error,
        ))
    }

    /// Take the line down. Frames that were received can still be fetched. Does nothing in a forked
    /// child, where there is no line.
    fn stop(&self, py: Python<'_>) {
        if self.born.is_elsewhere() {
            return;
        }
        py.detach(|| {
            // First without the lock, which whoever waits for frames holds.
            self.observer.stop();
            self.run().stop();
        });
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.stop(py);
    }
}

impl Drop for EmulatedNic {
    fn drop(&mut self) {
        if !self.born.is_elsewhere() {
            unlocked(|| self.run().stop());
        }
    }
}

impl EmulatedNic {
    /// For callers who have detached.
    fn run(&self) -> MutexGuard<'_, NicRun> {
        // A run stays consistent when something unwinds through it.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
