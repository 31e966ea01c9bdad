//! `skbpool.Buffer`.

use crate::arguments::Number;
use crate::armed::Armed;
use crate::error::Error;
use crate::fill::Fill;
use crate::pickling;
use crate::process::{self, Charge};
use crate::py_types::skb_into_py;
use crate::python_owner::Kept;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use skbpool_capi::Failure;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Buffer {
    /// Locked for a few instructions, never while Python code may run, so nobody waits.
    state: Mutex<State>,
}

struct State {
    /// None: used up.
    held: Option<Held>,
    /// Memoryviews that are alive; while there are any, the buffer stays.
    exports: u32,
    /// The garbage collector has asked for the buffer, and could not have it.
    refused: bool,
}

struct Held {
    buffer: skbpool_pool::Buffer,
    /// What the process answers for while nobody has a view of it.
    charge: Charge,
    /// What the memory belongs to; None: a pool.
    owner: Option<Kept>,
}

impl State {
    fn get(&self) -> Result<&skbpool_pool::Buffer, Error> {
        Ok(&self.held.as_ref().ok_or(Error::Failure(Failure::Released))?.buffer)
    }

    /// Takes the buffer out, for who uses it up.
    fn take(&mut self) -> Result<Held, Error> {
        if self.exports != 0 {
            return Err(Error::Exported { exports: self.exports });
        }
        self.held.take().ok_or(Error::Failure(Failure::Released))
    }
}

/// Where a memoryview finds the bytes.
struct Export {
    data: NonNull<u8>,
    len: usize,
    readonly: bool,
}

impl Buffer {
    /// A buffer of a pool, as an object.
    pub(crate) fn object(
        py: Python<'_>,
        buffer: skbpool_pool::Buffer,
    ) -> PyResult<Bound<'_, Self>> {
        Self::holding(py, buffer, None)
    }

    /// A buffer of memory that belongs to a Python object.
    pub(crate) fn brought(
        py: Python<'_>,
        buffer: skbpool_pool::Buffer,
        owner: Kept,
    ) -> PyResult<Bound<'_, Self>> {
        Self::holding(py, buffer, Some(owner))
    }

    fn holding(
        py: Python<'_>,
        buffer: skbpool_pool::Buffer,
        owner: Option<Kept>,
    ) -> PyResult<Bound<'_, Self>> {
        let held = Held { charge: Charge::of(&buffer), buffer, owner };
        let state = Mutex::new(State { held: Some(held), exports: 0, refused: false });
        Bound::new(py, Self { state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something of the buffer.
    fn look<T>(&self, read: impl FnOnce(&skbpool_pool::Buffer) -> T) -> Result<T, Error> {
        self.state().get().map(read)
    }

    /// Takes the buffer out for `make`, which gives it back if it fails.
    fn turn<T, E: Into<Error>>(
        &self,
        make: impl FnOnce(skbpool_pool::Buffer) -> Result<T, (E, skbpool_pool::Buffer)>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        let Held { buffer, charge, owner } = state.take()?;
        match make(buffer) {
            // Only now: whoever reads the figures meanwhile sees too much rather than too little.
            Ok(made) => {
                drop(charge);
                Ok(made)
            }
            Err((error, buffer)) => {
                state.held = Some(Held { buffer, charge, owner });
                Err(error.into())
            }
        }
    }

    fn export(&self) -> Result<Export, Error> {
        let mut state = self.state();
        let buffer = state.get()?;
        let header = buffer.header();
        let (data, readonly) = (header.data(), !header.is_memory_writable());
        let export = Export { data, len: buffer.len(), readonly };
        state.exports += 1;
        Ok(export)
    }

    /// What the garbage collector calls before it clears anything, of which this buffer is: afterwards it
    /// would be too late to call the free function, which may be among the garbage itself.
    fn let_garbage_go(&self) {
        let mut state = self.state();
        let brought = state.held.as_ref().is_some_and(|held| held.owner.is_some());
        let garbage = if brought && state.exports == 0 { state.held.take() } else { None };
        // The collector asks once. What it could not have then, it shall not find to be garbage again.
        state.refused = true;
        drop(state);
        drop(garbage);
    }
}

/// Has the garbage collector call [`Buffer::let_garbage_go`], for which PyO3 has no method's name.
pub(crate) fn install_finalizer(py: Python<'_>) {
    unsafe extern "C" fn finalize(object: *mut ffi::PyObject) {
        // SAFETY: the collector is attached, and calls this for objects of the type it was set for.
        unsafe {
            let object = Borrowed::from_ptr(Python::assume_attached(), object);
            object.cast_unchecked::<Buffer>().get().let_garbage_go();
        }
    }
    let kind = py.get_type::<Buffer>();
    // SAFETY: the type is alive and attached; it has no finalizer yet, nor an object to be finalized.
    unsafe { (*kind.as_type_ptr()).tp_finalize = Some(finalize) };
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
    fn into_skb(&self, py: Python<'_>, start: Number, stop: Option<Number>) -> PyResult<Py<PyAny>> {
        let skb = self.turn(|buffer| {
            let stop = stop.map_or_else(|| buffer.header().size(), |stop| stop.0);
            buffer.into_skb(start.0..stop).map(process::own)
        })?;
        skb_into_py(py, skb)
    }

    /// Arm the buffer for several views: all their references are taken at once.
    ///
    /// Raises:
    ///     NoViews: `views` is 0.
    ///     TooManyReferences: `views` is over the limit.
    ///     Exported: Memoryviews of it are alive.
    ///     BufferReleased: It is used up.
    fn arm(&self, views: Number) -> Result<Armed, Error> {
        self.turn(|buffer| buffer.arm(views.0)).map(Armed::new)
    }

    /// Begin to fill the buffer over several bursts, while views of its front are out already.
    ///
    /// Raises:
    ///     ReadOnly: The memory was adopted.
    ///     Exported: Memoryviews of it are alive.
    ///     BufferReleased: It is used up.
    fn fill(&self) -> Result<Fill, Error> {
        self.turn(skbpool_pool::Buffer::fill).map(Fill::new)
    }

    /// Bring the buffer home; nothing if it is used up.
    ///
    /// Raises:
    ///     Exported: Memoryviews of it are alive.
    fn release(&self) -> Result<(), Error> {
        let taken = self.state().take();
        match taken {
            // Freeing may call Python, which may come back here.
            Ok(held) => drop(held),
            Err(Error::Failure(Failure::Released)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether it was released, armed or made a view.
    #[getter]
    fn is_released(&self) -> bool {
        self.state().held.is_none()
    }

    /// Whether its memory may be written.
    #[getter]
    fn is_writable(&self) -> Result<bool, Error> {
        self.look(|buffer| buffer.header().is_memory_writable())
    }

    /// Address of its first byte.
    #[getter]
    fn address(&self) -> Result<usize, Error> {
        self.look(|buffer| buffer.header().data().addr().get())
    }

    /// Position in its pool; None for memory that was brought.
    #[getter]
    fn index(&self) -> Result<Option<u32>, Error> {
        self.look(|buffer| buffer.header().index())
    }

    /// The order it was made with; its size is `4096 << order` if it is a pool's.
    #[getter]
    fn order(&self) -> Result<u8, Error> {
        self.look(|buffer| buffer.header().order())
    }

    fn __len__(&self) -> Result<usize, Error> {
        self.look(skbpool_pool::Buffer::len)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) -> Result<(), Error> {
        self.release()
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<()> {
        pickling::refuse(slf)
    }

    fn __repr__(&self) -> String {
        self.look(|buffer| {
            format!(
                "<skbpool.Buffer of {} bytes at {:#x}{}>",
                buffer.len(),
                buffer.header().data().addr(),
                if buffer.header().is_memory_writable() { "" } else { ", read-only" },
            )
        })
        .unwrap_or_else(|_| "<skbpool.Buffer, used up>".to_owned())
    }

    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        // SAFETY: the interpreter gives a place for the view; a failed export has no object.
        unsafe { (*view).obj = std::ptr::null_mut() };
        let Export { data, len, readonly } = slf.get().export()?;
        // SAFETY: the bytes stay valid while `exports` keeps the buffer from being used up, and the
        // view's reference to the object keeps that. Nobody has a view of the buffer, so writing
        // through memoryviews races with nothing but other memoryviews.
        let answer = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                data.as_ptr().cast(),
                len as isize,
                c_int::from(readonly),
                flags,
            )
        };
        if answer != 0 {
            slf.get().state().exports -= 1;
            return Err(PyErr::fetch(slf.py()));
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.state().exports -= 1;
    }

    /// What an unused buffer of brought memory keeps alive. While memoryviews are alive the buffer could
    /// not be let go of, so then it counts as held from outside.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        match &state.held {
            Some(Held { owner: Some(owner), .. }) if state.exports == 0 && !state.refused => {
                // SAFETY: the buffer is here, so this is the only reference to it.
                unsafe { owner.traverse(&visit) }
            }
            _ => Ok(()),
        }
    }
}
