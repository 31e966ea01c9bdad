//! `skbpool._native.FrameEncoder`.

use super::failure::{IntoException, OrRaise};
use super::memory::Exported;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use skbpool_engine::{FrameComposer, MessageError};
use skbpool_wire::Frame;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Puts frames of Python into encoded IngestRequest messages, each as large as the limit allows.
///
/// A message ends where the next frame does not fit, its time is too far off, or its link type or
/// interface differs.
///
/// Args:
///     max_message_bytes: Largest message.
///     driver: What the daemon accounts the frames under, told in the first message.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct FrameEncoder {
    /// Locked while bytes are copied, never while Python code may run or while the interpreter lock is
    /// waited for.
    composer: Mutex<FrameComposer>,
}

impl FrameEncoder {
    fn composer(&self) -> MutexGuard<'_, FrameComposer> {
        // The composer stays consistent when something unwinds through it.
        self.composer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl FrameEncoder {
    #[new]
    #[pyo3(signature = (max_message_bytes, driver = ""))]
    fn new(max_message_bytes: usize, driver: &str) -> Self {
        Self { composer: Mutex::new(FrameComposer::new(max_message_bytes, driver)) }
    }

    /// Add a frame; return the message of those before it if it begins another, else None.
    ///
    /// Args:
    ///     data: The bytes: anything with a buffer, an skb too. Copied.
    ///     timestamp_ns: When it arrived, in nanoseconds since the Unix epoch.
    ///     original_length: Bytes it had before it was cut short; 0: it was not.
    ///     link_type: LINKTYPE_ number of the pcap registry.
    ///     interface: Number of the interface it came in on, at most 65,535.
    ///
    /// Raises:
    ///     FrameTooLarge: The frame is over 262,144 bytes, or fits no message. The others are as
    ///         they were.
    ///     ValueError: The interface is out of range.
    #[pyo3(signature = (data, timestamp_ns, original_length = 0, link_type = 1, interface = 0))]
    fn push<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        timestamp_ns: u64,
        original_length: u32,
        link_type: u16,
        interface: u32,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if interface > u32::from(u16::MAX) {
            let error = MessageError::Interface { interface };
            return Err(PyValueError::new_err(error.to_string()));
        }
        let exported = Exported::new(data)?;
        let bytes = exported.bytes();
        let original_length = match original_length {
            // Too long a frame is refused for its length.
            0 => u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            given => given,
        };
        let frame = Frame { bytes, original_length, timestamp_ns, link_type, interface };
        let full = self.composer().push(&frame);
        let full = full.map_err(|error| error.into_exception(py))?;
        Ok(full.map(|message| PyBytes::new(py, &message)))
    }

    /// Return the message of the frames that wait, or None if none does.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let message = py.detach(|| self.composer().flush()).or_raise(py)?;
        Ok(message.map(|message| PyBytes::new(py, &message)))
    }

    /// Frames that wait for a message.
    #[getter]
    fn pending(&self) -> usize {
        self.composer().pending()
    }
}
