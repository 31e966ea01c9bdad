//! `skbpool._native.CaptureWriter`.

use super::failure::{IntoException, OrRaise};
use super::slot::Slot;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::fd::BorrowedFd;
use skbpool_engine::{CaptureFormat, CaptureOutput};
use skbpool_nic::CaptureWriteError;
use std::path::PathBuf;

/// Writes the frames of SubscribeResponse messages to a capture file, with nanosecond times.
///
/// What was written reaches the file at the end of each message. pcapng keeps link types and
/// interfaces apart and tells missed frames in `epb_dropcount` of the frame after them; pcap holds
/// one link type, that of the first frame.
///
/// Args:
///     file: A path, an open file descriptor, of which a second one is made, or "-" for standard
///         output. A file that exists is emptied.
///     format: "pcapng" or "pcap".
///
/// Raises:
///     OSError: The file cannot be opened or written.
///     ValueError: There is no such format.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct CaptureWriter {
    output: Slot<CaptureOutput, ()>,
}

#[derive(FromPyObject)]
enum Target {
    Descriptor(i32),
    Path(PathBuf),
}

#[pymethods]
impl CaptureWriter {
    #[new]
    #[pyo3(signature = (file, *, format = "pcapng"))]
    fn new(py: Python<'_>, file: Target, format: &str) -> PyResult<Self> {
        let format = match format {
            "pcapng" => CaptureFormat::Pcapng,
            "pcap" => CaptureFormat::Pcap,
            other => {
                let text = format!("format is \"pcapng\" or \"pcap\", not \"{other}\"");
                return Err(PyValueError::new_err(text));
            }
        };
        let made = match &file {
            Target::Descriptor(number) if *number < 0 => {
                let text = format!("a file descriptor is 0 or more, not {number}");
                return Err(PyValueError::new_err(text));
            }
            Target::Descriptor(number) => {
                // SAFETY: only asked for a second descriptor of the same file, which the kernel
                // refuses if this one is not open; -1 was sorted out.
                let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
                py.detach(|| CaptureOutput::to_descriptor(descriptor, format))
            }
            Target::Path(path) => py.detach(|| CaptureOutput::create(path, format)),
        };
        Ok(Self {
            output: Slot::new("capture file", made.map_err(|error| name_file(py, error, &file))?),
        })
    }

    /// Write the first frames of an encoded SubscribeResponse, at most `limit` (None: all).
    ///
    /// Returns:
    ///     Frames written.
    ///
    /// Raises:
    ///     MalformedBatch: The message contradicts itself, or is none; nothing of it was written.
    ///     CaptureError: The file cannot hold a frame: another link type in pcap, a time after 2106.
    ///     OSError: Writing failed; a BrokenPipeError if nobody reads any more.
    ///     Closed: The file was closed.
    #[pyo3(signature = (message, limit = None))]
    fn write_message(
        &self,
        py: Python<'_>,
        message: &Bound<'_, PyBytes>,
        limit: Option<u64>,
    ) -> PyResult<u64> {
        let bytes = message.as_bytes();
        self.output
            .with(py, |output| output.write_message(bytes, limit))?
            .map_err(|error| error.into_exception(py))
    }

    /// End the file; one without frames is valid too. Closing twice does nothing.
    ///
    /// Raises:
    ///     OSError: Writing failed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut finished = Ok(());
        self.output.close(
            py,
            |_| (),
            |output| {
                finished = output.finish();
                None
            },
        );
        finished.or_raise(py)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        self.close(py)
    }
}

/// The exception for a file that could not be opened, which tells its name.
fn name_file(py: Python<'_>, error: CaptureWriteError, file: &Target) -> PyErr {
    match (error, file) {
        (CaptureWriteError::Io(error), Target::Path(path)) => match error.raw_os_error() {
            Some(number) => {
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default().to_owned();
                PyOSError::new_err((number, text, path.as_os_str().to_owned()))
            }
            None => error.into(),
        },
        (error, _) => error.into_exception(py),
    }
}
