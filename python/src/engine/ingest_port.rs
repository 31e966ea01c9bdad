//! `skbpool._native.IngestPort`.

use super::decode::adopt;
use super::failure::{IntoException, OrRaise};
use super::hub::{Hub, driver_dict};
use super::slot::Slot;
use crate::arguments::duration;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use skbpool_deliver::DriverStats;
use skbpool_engine::{DEFAULT_CREDIT_BYTES, Ingest, IngestConfig, MessageError, Progress};
use skbpool_pool::Buffer;
use skbpool_wire::{IngestRequestView, MAX_FRAME};
use std::sync::Arc;

/// A driver whose frames come in messages: one Ingest stream.
///
/// Each frame is copied once into pool buffers, many to a buffer, and delivered. A frame larger than a
/// buffer becomes a chain. Frames that find no buffer are dropped and counted; nothing waits.
///
/// Args:
///     hub: Where to deliver.
///     name: What the frames are accounted under.
///     max_frame_bytes: Largest frame, at most 262,144.
///     credit_bytes: What the client may send beyond what was acknowledged.
///     adopt: Where given, and every consumer is in this process, frames stay in the message, which is kept
///         until the last of them is gone; beyond the budget, and of small messages, they are copied.
///     may_block: The longest that a delivery may wait for consumers that ask for it, in seconds.
///     resume: What was handled before, of a stream that may be resumed: counts go on from there, and a
///         batch that is not the next one is skipped if it was handled, else refused.
///
/// Raises:
///     PoolTooSmall: The pool has no room for another driver's worst case.
///     PoolClosed: The hub is closed.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct IngestPort {
    ingest: Slot<Ingest, Last>,
    name: String,
    adopt: Option<Arc<skbpool_engine::AdoptionBudget>>,
}

/// What is known of a port after its end.
#[derive(Clone)]
struct Last {
    stats: DriverStats,
    progress: Progress,
}

impl Last {
    fn of(ingest: &Ingest) -> Self {
        Self { stats: ingest.stats(), progress: ingest.progress() }
    }
}

/// How far a stream that may be resumed has come; without an argument, nowhere.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct IngestProgress(Progress);

#[pymethods]
impl IngestProgress {
    #[new]
    fn new() -> Self {
        Self(Progress::default())
    }
}

/// Smallest message that is adopted, in bytes: to copy a smaller one costs less than two allocations.
const LEAST_ADOPTED: usize = 16 << 10;

/// How many bytes of messages may be adopted at a time, by all ports that share it.
///
/// Args:
///     size: The most; 0 for none.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct AdoptionBudget(Arc<skbpool_engine::AdoptionBudget>);

#[pymethods]
impl AdoptionBudget {
    #[new]
    fn new(size: u64) -> Self {
        Self(skbpool_engine::AdoptionBudget::new(size))
    }

    /// Bytes of messages that are adopted now, those that wait for the interpreter lock to be let go of
    /// included.
    #[getter]
    fn taken(&self) -> u64 {
        self.0.taken()
    }
}

#[pymethods]
impl IngestPort {
    #[new]
    #[pyo3(signature = (hub, name, *, max_frame_bytes = MAX_FRAME, credit_bytes = DEFAULT_CREDIT_BYTES,
                        may_block = 0.0, adopt = None, resume = None),
           text_signature = "(hub, name, *, max_frame_bytes=262144, credit_bytes=8388608, may_block=0.0, adopt=None, resume=None)")]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        hub: &Bound<'_, Hub>,
        name: String,
        max_frame_bytes: u32,
        credit_bytes: u64,
        may_block: f64,
        adopt: Option<&Bound<'_, AdoptionBudget>>,
        resume: Option<&Bound<'_, IngestProgress>>,
    ) -> PyResult<Self> {
        let may_block = duration("may_block", may_block)?;
        let config = IngestConfig { max_frame_bytes, credit_bytes, may_block };
        let hub = &hub.get().hub;
        let progress = resume.map(|progress| progress.get().0.clone());
        let ingest = py.detach(|| match progress {
            Some(progress) => Ingest::resume(hub, &name, config, progress),
            None => Ingest::attach(hub, &name, config),
        });
        let ingest = ingest.or_raise(py)?;
        let adopt = adopt.map(|budget| Arc::clone(&budget.get().0));
        Ok(Self { ingest: Slot::new("port", ingest), name, adopt })
    }

    /// Return the encoded IngestResponse that opens a stream: it grants the first credit.
    fn greeting<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let response = self.ingest.with(py, |ingest| ingest.greeting())?;
        Ok(PyBytes::new(py, &response))
    }

    /// Land and deliver the frames of an encoded IngestRequest.
    ///
    /// Returns:
    ///     The encoded IngestResponse; its counts run from the beginning of the stream.
    ///
    /// Raises:
    ///     MalformedBatch: The message contradicts itself, or is none. Nothing of it landed, and
    ///         earlier ones are unaffected.
    ///     FrameTooLarge: A frame is over the limit; the same goes.
    ///     Closed: The port was closed.
    fn submit<'py>(
        &self,
        py: Python<'py>,
        message: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = message.as_bytes();
        let response = match self.adopted(message)? {
            // What is kept goes here, with the interpreter lock: unless consumers still have views, the
            // message is let go of at once, and nobody has to be woken for it.
            Some(buffer) => self.ingest.with(py, |ingest| ingest.submit_adopted(bytes, buffer))?.0,
            None => self.ingest.with(py, |ingest| ingest.submit(bytes))?,
        };
        Ok(PyBytes::new(py, &response.or_raise(py)?))
    }

    /// Return the figures of this stream; after closing, those at the end.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut stats = self.ingest.figures(py, Last::of)?.stats;
        stats.name.clone_from(&self.name);
        driver_dict(py, stats)
    }

    /// Return how far the stream has come; after closing, at the end.
    fn progress(&self, py: Python<'_>) -> PyResult<IngestProgress> {
        Ok(IngestProgress(self.ingest.figures(py, Last::of)?.progress))
    }

    /// Detach the driver. Views of its frames stay valid.
    fn close(&self, py: Python<'_>) {
        self.ingest.close(py, Last::of, |_| None);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}

impl IngestPort {
    /// The message as a buffer, if it may be adopted.
    fn adopted(&self, message: &Bound<'_, PyBytes>) -> PyResult<Option<Buffer>> {
        let Some(budget) = &self.adopt else { return Ok(None) };
        let size = message.as_bytes().len();
        if size < LEAST_ADOPTED {
            return Ok(None);
        }
        let Some(part) = budget.take(size as u64) else { return Ok(None) };
        adopt(message, Some(part)).map(Some)
    }
}

/// Return the driver's name in an encoded IngestRequest, "" if the sender left that to the server, and the
/// identity of the stream, b"" if it may not be resumed.
///
/// Raises:
///     MalformedBatch: The message is none.
///     FrameTooLarge: A frame is over what the wire allows.
#[pyfunction]
pub(crate) fn ingest_opening<'py>(
    py: Python<'py>,
    message: &Bound<'py, PyBytes>,
) -> PyResult<(String, Bound<'py, PyBytes>)> {
    let bytes = message.as_bytes();
    let request = py.detach(|| IngestRequestView::parse(bytes));
    let request = request.map_err(|error| MessageError::from(error).into_exception(py))?;
    Ok((request.driver.to_owned(), PyBytes::new(py, request.stream_id)))
}
