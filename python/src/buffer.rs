//! `skbpool.Buffer`.

use crate::arguments::Number;
use crate::armed::Armed;
use crate::error::Error;
use crate::fill::Fill;
use crate::py_types::skb_into_py;
use pyo3::ffi;
use pyo3::prelude::*;
use skbpool_capi::Failure;
use std::ffi::c_int;

/// The only reference to a buffer that nobody has a view of yet.
///
/// It is written through the buffer protocol (`memoryview(buffer)`, `file.readinto(buffer)`,
/// `numpy.frombuffer(buffer)`) and then used up: by `into_skb` for one view, `arm` for several, `fill`
/// for views over several bursts. Dropping or releasing it brings it home.
///
/// Made by `Pool.alloc`, `init_zero_copy_buffer` and `adopt`; memory that was adopted is read-only.
///
/// Example:
///     >>> from skbpool import Pool
///     >>> buffer = Pool(8).alloc()
///     >>> memoryview(buffer)[:5] = b"hello"
///     >>> skb = buffer.into_skb(0, 5)
///     >>> bytes(skb), buffer.is_released
///     (b'hello', True)
#[pyclass(module = "skbpool")]
pub(crate) struct Buffer {
    /// None: used up.
    buffer: Option<skbpool_pool::Buffer>,
    /// Memoryviews that are alive; while there are any, the buffer stays.
    exports: u32,
}

impl Buffer {
    pub(crate) fn new(buffer: skbpool_pool::Buffer) -> Self {
        Self { buffer: Some(buffer), exports: 0 }
    }

    fn get(&self) -> Result<&skbpool_pool::Buffer, Error> {
        self.buffer.as_ref().ok_or(Error::Failure(Failure::Released))
    }

    /// Takes the buffer out, for who uses it up.
    fn take(&mut self) -> Result<skbpool_pool::Buffer, Error> {
        if self.exports != 0 {
            return Err(Error::Exported { exports: self.exports });
        }
        self.buffer.take().ok_or(Error::Failure(Failure::Released))
    }

    /// Takes the buffer out for `make`, which gives it back if it fails.
    fn turn<T, E: Into<Error>>(
        &mut self,
        make: impl FnOnce(skbpool_pool::Buffer) -> Result<T, (E, skbpool_pool::Buffer)>,
    ) -> Result<T, Error> {
        make(self.take()?).map_err(|(error, buffer)| {
            self.buffer = Some(buffer);
            error.into()
        })
    }
}

#[pymethods]
impl Buffer {
    /// Turn the buffer into one view of its bytes from `start` up to `stop` (None: its end), with the
    /// rest as headroom and tailroom. Copies nothing.
    ///
    /// Raises:
    ///     OutOfRange: The bytes are not inside the buffer, which stays as it was.
    ///     Exported: Memoryviews of it are alive.
    ///     BufferReleased: It is used up.
    #[allow(clippy::wrong_self_convention, reason = "Python's objects are not moved")]
    #[pyo3(signature = (start = Number(0), stop = None), text_signature = "($self, start=0, stop=None)")]
    fn into_skb(
        &mut self,
        py: Python<'_>,
        start: Number,
        stop: Option<Number>,
    ) -> PyResult<Py<PyAny>> {
        let stop = stop
            .map_or_else(|| self.get().map(|buffer| buffer.header().size()), |stop| Ok(stop.0))?;
        let skb = self.turn(|buffer| buffer.into_skb(start.0..stop))?;
        skb_into_py(py, skb)
    }

    /// Arm the buffer for several views: all their references are taken at once.
    ///
    /// Raises:
    ///     TooManyReferences: `views` is 0 or over the limit.
    ///     Exported: Memoryviews of it are alive.
    ///     BufferReleased: It is used up.
    fn arm(&mut self, views: Number) -> Result<Armed, Error> {
        self.turn(|buffer| buffer.arm(views.0)).map(Armed::new)
    }

    /// Begin to fill the buffer over several bursts, while views of its front are out already.
    ///
    /// Raises:
    ///     ReadOnly: The memory was adopted.
    ///     Exported: Memoryviews of it are alive.
    ///     BufferReleased: It is used up.
    fn fill(&mut self) -> Result<Fill, Error> {
        self.turn(skbpool_pool::Buffer::fill).map(Fill::new)
    }

    /// Bring the buffer home; nothing if it is used up.
    ///
    /// Raises:
    ///     Exported: Memoryviews of it are alive.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut this = slf.try_borrow_mut()?;
        if this.buffer.is_some() {
            let buffer = this.take()?;
            drop(this);
            // Freeing may call Python, which may come back here.
            drop(buffer);
        }
        Ok(())
    }

    /// Whether it was released, armed or made a view.
    #[getter]
    fn is_released(&self) -> bool {
        self.buffer.is_none()
    }

    /// Whether its memory may be written.
    #[getter]
    fn is_writable(&self) -> Result<bool, Error> {
        Ok(self.get()?.header().is_memory_writable())
    }

    /// Address of its first byte.
    #[getter]
    fn address(&self) -> Result<usize, Error> {
        Ok(self.get()?.header().data().addr().get())
    }

    /// Position in its pool; None for memory that was brought.
    #[getter]
    fn index(&self) -> Result<Option<u32>, Error> {
        Ok(self.get()?.header().index())
    }

    /// The order it was made with; its size is `4096 << order` if it is a pool's.
    #[getter]
    fn order(&self) -> Result<u8, Error> {
        Ok(self.get()?.header().order())
    }

    fn __len__(&self) -> Result<usize, Error> {
        Ok(self.get()?.len())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        Self::release(slf)
    }

    fn __repr__(&self) -> String {
        match &self.buffer {
            None => "<skbpool.Buffer, used up>".to_owned(),
            Some(buffer) => format!(
                "<skbpool.Buffer of {} bytes at {:#x}{}>",
                buffer.len(),
                buffer.header().data().addr(),
                if buffer.header().is_memory_writable() { "" } else { ", read-only" },
            ),
        }
    }

    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        // SAFETY: the interpreter gives a place for the view; a failed export has no object.
        unsafe { (*view).obj = std::ptr::null_mut() };
        let mut this = slf.try_borrow_mut()?;
        let buffer = this.get()?;
        let header = buffer.header();
        let readonly = c_int::from(!header.is_memory_writable());
        // SAFETY: the bytes stay valid while `exports` keeps the buffer from being used up, and the
        // view's reference to the object keeps that. Nobody has a view of the buffer, so writing
        // through memoryviews races with nothing but other memoryviews.
        let answer = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                header.data().as_ptr().cast(),
                buffer.len() as isize,
                readonly,
                flags,
            )
        };
        if answer != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        this.exports += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&mut self, _view: *mut ffi::Py_buffer) {
        self.exports -= 1;
    }
}
