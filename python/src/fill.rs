//! `skbpool.Fill`.

use crate::arguments::Number;
use crate::error::Error;
use crate::pickling;
use crate::process;
use crate::py_types::skb_into_py;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use skbpool_capi::Failure;
use skbpool_pool::SkbError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A buffer that is filled over several bursts: views of its front are out while its tail is written.
///
/// `write` puts bytes into the tail, `cut` makes a view of its front and moves the tail behind it,
/// `append` does both. Each view is charged the bytes that were cut for it. Releasing it ends the
/// filling; the buffer goes home when the last view is gone.
///
/// Made by `Buffer.fill`.
///
/// Example:
///     >>> from skbpool import Pool
///     >>> with Pool(8).alloc().fill() as fill:
///     ...     first = fill.append(b"first", headroom=2)
///     ...     second = fill.append(b"second")
///     ...     fill.position
///     13
///     >>> bytes(first) + bytes(second)
///     b'firstsecond'
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Fill {
    /// None: released. Locked while bytes are copied, never while Python code may run, so nobody waits.
    fill: Mutex<Option<skbpool_pool::Fill>>,
}

impl Fill {
    pub(crate) fn new(fill: skbpool_pool::Fill) -> Self {
        Self { fill: Mutex::new(Some(fill)) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<skbpool_pool::Fill>> {
        self.fill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the filling; what it answers is made an object or an exception once that is unlocked.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut skbpool_pool::Fill) -> Result<T, Error>,
    ) -> Result<T, Error> {
        work(self.slot().as_mut().ok_or(Error::Failure(Failure::Released))?)
    }
}

/// Copies all of `data` into the tail at `offset`.
fn write_tail(
    py: Python<'_>,
    fill: &mut skbpool_pool::Fill,
    data: &PyBuffer<u8>,
    offset: u32,
) -> Result<(), Error> {
    let room = fill.room();
    let from = (offset as usize).min(room as usize);
    let target = &mut fill.tail_mut()[from..];
    if offset > room || data.len_bytes() > target.len() {
        let end = u64::from(offset).saturating_add(data.len_bytes() as u64);
        let end = end.min(u64::from(u32::MAX)) as u32;
        return Err(SkbError::OutOfRange { start: offset, end, size: room }.into());
    }
    Ok(data.copy_to_slice(py, &mut target[..data.len_bytes()])?)
}

#[pymethods]
impl Fill {
    /// Write bytes into the tail, `offset` bytes behind its first; nothing is cut yet.
    ///
    /// Args:
    ///     data: Any bytes-like object; copied.
    ///     offset: Where in the tail; a view with headroom has its data behind that.
    ///
    /// Raises:
    ///     OutOfRange: The tail is too short; nothing is written.
    ///     BufferReleased: It was released.
    #[pyo3(signature = (data, offset = Number(0)), text_signature = "($self, data, offset=0)")]
    fn write(&self, py: Python<'_>, data: PyBuffer<u8>, offset: Number) -> Result<(), Error> {
        self.with(|fill| write_tail(py, fill, &data, offset.0))
    }

    /// Cut a view of the next `headroom + length + tailroom` bytes of the tail.
    ///
    /// Raises:
    ///     OutOfRange: The tail is too short; nothing is cut.
    ///     BufferReleased: It was released.
    #[pyo3(signature = (length, *, headroom = Number(0), tailroom = Number(0)),
           text_signature = "($self, length, *, headroom=0, tailroom=0)")]
    fn cut(
        &self,
        py: Python<'_>,
        length: Number,
        headroom: Number,
        tailroom: Number,
    ) -> PyResult<Py<PyAny>> {
        let skb = self.with(|fill| Ok(fill.cut(headroom.0, length.0, tailroom.0)?))?;
        skb_into_py(py, process::own(skb))
    }

    /// Write bytes behind `headroom` bytes of the tail and cut a view of them.
    ///
    /// Raises:
    ///     OutOfRange: The tail is too short; nothing changes.
    ///     BufferReleased: It was released.
    #[pyo3(signature = (data, *, headroom = Number(0), tailroom = Number(0)),
           text_signature = "($self, data, *, headroom=0, tailroom=0)")]
    fn append(
        &self,
        py: Python<'_>,
        data: PyBuffer<u8>,
        headroom: Number,
        tailroom: Number,
    ) -> PyResult<Py<PyAny>> {
        let skb = self.with(|fill| {
            write_tail(py, fill, &data, headroom.0)?;
            // What fits the tail fits 32 bits; a view that does not fit leaves only unseen bytes behind.
            let length = data.len_bytes() as u32;
            Ok(fill.cut(headroom.0, length, tailroom.0)?)
        })?;
        skb_into_py(py, process::own(skb))
    }

    /// Leave `count` bytes of the tail unused, for alignment; all of it if it has fewer.
    fn skip(&self, count: Number) -> Result<(), Error> {
        self.with(|fill| {
            fill.skip(count.0);
            Ok(())
        })
    }

    /// End the filling; nothing if that was done.
    fn release(&self) {
        let fill = self.slot().take();
        // Freeing may call Python, which may come back here.
        drop(fill);
    }

    /// Bytes left to write; 0 once released.
    #[getter]
    fn room(&self) -> u32 {
        self.slot().as_ref().map_or(0, skbpool_pool::Fill::room)
    }

    /// Position of the tail in the buffer.
    ///
    /// Raises:
    ///     BufferReleased: It was released.
    #[getter]
    fn position(&self) -> Result<u32, Error> {
        self.with(|fill| Ok(fill.position()))
    }

    /// Views cut so far.
    ///
    /// Raises:
    ///     BufferReleased: It was released.
    #[getter]
    fn views(&self) -> Result<u32, Error> {
        self.with(|fill| Ok(fill.views()))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.release();
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<()> {
        pickling::refuse(slf)
    }

    fn __repr__(&self) -> String {
        format!("<skbpool.Fill, {} bytes of room>", self.room())
    }
}
