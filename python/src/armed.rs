//! `skbpool.Armed`.

use crate::arguments::Number;
use crate::error::Error;
use crate::pickling;
use crate::process;
use crate::py_types::skb_into_py;
use pyo3::prelude::*;
use skbpool_capi::Failure;
use skbpool_pool::{Skb, SkbError};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A received buffer, armed for a number of views, which share one reference count.
///
/// Views are cut from the front to the back and do not overlap, headroom and tailroom included.
/// Releasing it gives back the references of the views that were not cut; the buffer goes home when
/// the last view is gone.
///
/// Made by `Buffer.arm`.
///
/// Example:
///     >>> from skbpool import Pool
///     >>> pool = Pool(8)
///     >>> with pool.alloc().arm(2) as armed:
///     ...     first = armed.skb(64, 60, headroom=16)
///     ...     second = armed.skb(128, 60)
///     >>> first.headroom, second.is_shared, pool.stats().in_flight
///     (16, True, 1)
///     >>> first.release(); second.release(); pool.stats().in_flight
///     0
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Armed {
    /// None: released. Locked for a few instructions, never while Python code may run, so nobody
    /// waits.
    armed: Mutex<Option<skbpool_pool::Armed>>,
}

impl Armed {
    pub(crate) fn new(armed: skbpool_pool::Armed) -> Self {
        Self { armed: Mutex::new(Some(armed)) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<skbpool_pool::Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self, offset: u32, length: u32, headroom: u32, tailroom: u32) -> Result<Skb, Error> {
        let mut slot = self.slot();
        let armed = slot.as_mut().ok_or(Error::Failure(Failure::Released))?;
        let size = armed.header().map_or(0, |header| header.size());
        // u64, so that no sum wraps; beyond 32 bits is outside every buffer.
        let end = u64::from(offset) + u64::from(length);
        let window_end = end + u64::from(tailroom);
        let start = offset.checked_sub(headroom);
        Ok(match (armed.left(), start, u32::try_from(window_end)) {
            (0, ..) => Err(SkbError::NotArmed),
            (_, Some(start), Ok(window_end)) => armed.skb_in(start..window_end, offset..end as u32),
            _ => Err(SkbError::OutOfRange { start: offset, end: u32::MAX, size }),
        }?)
    }
}

#[pymethods]
impl Armed {
    /// Cut a view of `length` bytes at `offset`. Copies nothing, and costs no atomic operation.
    ///
    /// Args:
    ///     offset: First byte of the data in the buffer.
    ///     length: Bytes of data.
    ///     headroom: Bytes before the data that `push` may use.
    ///     tailroom: Bytes behind the data that `put` may use.
    ///
    /// Raises:
    ///     OutOfRange: The bytes are not inside the buffer.
    ///     Overlap: They begin inside an earlier view.
    ///     NotArmed: Every view was cut.
    ///     BufferReleased: It was released.
    #[pyo3(signature = (offset, length, headroom = Number(0), tailroom = Number(0)),
           text_signature = "($self, offset, length, headroom=0, tailroom=0)")]
    fn skb(
        &self,
        py: Python<'_>,
        offset: Number,
        length: Number,
        headroom: Number,
        tailroom: Number,
    ) -> PyResult<Py<PyAny>> {
        skb_into_py(py, process::own(self.cut(offset.0, length.0, headroom.0, tailroom.0)?))
    }

    /// Give back the references of the views that were not cut; nothing if that was done.
    fn release(&self) {
        let armed = self.slot().take();
        // Freeing may call Python, which may come back here.
        drop(armed);
    }

    /// Views that can still be cut.
    #[getter]
    fn left(&self) -> u32 {
        self.slot().as_ref().map_or(0, skbpool_pool::Armed::left)
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
        format!("<skbpool.Armed, {} views left>", self.left())
    }
}
