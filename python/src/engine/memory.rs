//! Memory of Python's that messages are written to and read from.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::mem::MaybeUninit;

/// A bytes object of `size` bytes that `write` fills, detached from the interpreter: no byte is
/// zeroed first or copied afterwards. `write` answers how many it filled, which is all of them, or
/// none.
///
/// # Errors
/// MemoryError, and what `write` answers.
pub(super) fn bytes_written<'py, E: Send>(
    py: Python<'py>,
    size: usize,
    write: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<Option<usize>, E> + Send,
) -> PyResult<Result<Option<Bound<'py, PyBytes>>, E>> {
    let (bytes, memory) = bytes_to_fill(py, size)?;
    match py.detach(|| write(memory)) {
        Ok(Some(written)) => {
            assert_eq!(written, size, "a message is written whole or not at all");
            Ok(Ok(Some(bytes)))
        }
        Ok(None) => Ok(Ok(None)),
        Err(error) => Ok(Err(error)),
    }
}

/// A bytes object of `size` bytes and its memory, not zeroed, to be filled before anybody else sees the
/// object. The memory is the object's: whoever keeps it keeps the object.
///
/// # Errors
/// MemoryError.
pub(super) fn bytes_to_fill<'py, 'a>(
    py: Python<'py>,
    size: usize,
) -> PyResult<(Bound<'py, PyBytes>, &'a mut [MaybeUninit<u8>])> {
    let Ok(length) = ffi::Py_ssize_t::try_from(size) else {
        return Err(pyo3::exceptions::PyMemoryError::new_err(()));
    };
    // SAFETY: attached; the answer is a new reference to a bytes object, or null with an exception.
    let bytes = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), length))?
    };
    // SAFETY: the object is a bytes object of `size` bytes that nobody else knows yet, so they may be
    // written, and it lives as long as the caller says.
    let memory = unsafe {
        let first = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<MaybeUninit<u8>>();
        std::slice::from_raw_parts_mut(first, size)
    };
    // SAFETY: made as a bytes object above.
    Ok((unsafe { bytes.cast_into_unchecked() }, memory))
}

/// The bytes of any contiguous object that has a buffer.
pub(super) struct Exported {
    view: ffi::Py_buffer,
}

impl Exported {
    /// # Errors
    /// TypeError or BufferError, as the object answers.
    pub(super) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        // SAFETY: a Py_buffer is plain fields, all of which may be zero.
        let mut view = unsafe { MaybeUninit::<ffi::Py_buffer>::zeroed().assume_init() };
        // SAFETY: the object is alive and `view` is a place for the export.
        let failed =
            unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut view, ffi::PyBUF_SIMPLE) } != 0;
        if failed {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Self { view })
    }

    /// The bytes. Nobody may write to them meanwhile, which holding the interpreter lock sees to.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.view.len == 0 {
            return &[];
        }
        // SAFETY: the export is alive, contiguous, and of that many bytes.
        unsafe {
            std::slice::from_raw_parts(self.view.buf.cast::<u8>(), self.view.len.unsigned_abs())
        }
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        // SAFETY: exported by `new`; the type is neither Send nor kept across a detach.
        unsafe { ffi::PyBuffer_Release(&mut self.view) }
    }
}
