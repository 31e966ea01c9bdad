//! Running Python code from Rust, also while the interpreter exits.
//!
//! ```text
//! thread       Python ─► skbpool (Rust) ─► Python code ─► asks for the interpreter lock
//! interpreter  ... atexit ─► finalizing: who asks for the lock now is ended by pthread_exit
//! ```
//! Before Python 3.14 such a thread, a daemon thread as a rule, is ended by unwinding its stack.
//! Frames of Rust with something to drop may not be unwound that way, and one that catches panics
//! aborts the process. So what may run Python code is called here, above a cleanup handler of
//! pthreads, which is run before anything below it is unwound, and never returns: the thread sleeps
//! until the process ends, as it does from Python 3.14 on. PyO3 does the same where a thread comes back
//! from [`Python::detach`].
//!
//! What is called here has nothing to drop; the handler costs two stores and two loads.
//!
//! Python 3.11 also runs its garbage collector, and with it finalizers, from within allocations, which
//! PyO3 makes in frames that do have something to drop: [`uncollected`] puts that off.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// `struct _pthread_cleanup_buffer` of glibc, which is also large enough for that of musl. Only the C
/// library looks into it.
#[repr(C)]
struct CleanupBuffer {
    routine: *mut c_void,
    argument: *mut c_void,
    cancel_type: c_int,
    previous: *mut c_void,
}

// The functions below `pthread_cleanup_push` and `pthread_cleanup_pop`, which are macros: of the Linux
// Standard Base, in glibc and in musl.
unsafe extern "C" {
    fn _pthread_cleanup_push(
        buffer: *mut CleanupBuffer,
        routine: unsafe extern "C" fn(*mut c_void),
        argument: *mut c_void,
    );
    fn _pthread_cleanup_pop(buffer: *mut CleanupBuffer, execute: c_int);
}

// As in `pyo3::ffi`, but with the ABI that pthread_exit may pass through.
unsafe extern "C-unwind" {
    fn PyObject_Call(
        callable: *mut ffi::PyObject,
        arguments: *mut ffi::PyObject,
        keywords: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn PyObject_CallOneArg(
        callable: *mut ffi::PyObject,
        argument: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn PyObject_GetBuffer(
        object: *mut ffi::PyObject,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> c_int;
    fn PyBuffer_Release(view: *mut ffi::Py_buffer);
    fn PyNumber_Index(object: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn PyFloat_AsDouble(object: *mut ffi::PyObject) -> f64;
    fn PyErr_WriteUnraisable(object: *mut ffi::PyObject);
    fn Py_DecRef(object: *mut ffi::PyObject);
}

unsafe extern "C" fn sleep_for_ever(_: *mut c_void) {
    loop {
        // Returns after a signal that has a handler.
        rustix::event::pause();
    }
}

/// Runs `work`, in a frame of its own; a thread that is ended meanwhile sleeps for ever.
///
/// # Safety
/// - `work` calls into the interpreter only, and neither it nor what it returns has anything to drop.
#[inline(never)]
unsafe fn run<T: Copy>(work: impl FnOnce() -> T) -> T {
    let mut buffer = MaybeUninit::<CleanupBuffer>::uninit();
    // SAFETY: the buffer stays where it is until it is popped below. If the thread is ended in between,
    // this frame, which has nothing to drop, is the last to be unwound: the handler is called for it.
    unsafe { _pthread_cleanup_push(buffer.as_mut_ptr(), sleep_for_ever, std::ptr::null_mut()) };
    let answer = work();
    // SAFETY: pushed above, and what `work` called has popped its own.
    unsafe { _pthread_cleanup_pop(buffer.as_mut_ptr(), 0) };
    answer
}

/// Makes objects while the garbage collector is off; the next allocation of Python's own finds it on.
/// `make` runs no Python code, so nobody else sees that.
pub(crate) fn uncollected<T>(_py: Python<'_>, make: impl FnOnce() -> T) -> T {
    struct On(bool);
    impl Drop for On {
        fn drop(&mut self) {
            if self.0 {
                // SAFETY: still attached.
                unsafe { ffi::PyGC_Enable() };
            }
        }
    }
    // SAFETY: attached.
    let _on = On(unsafe { ffi::PyGC_Disable() } != 0);
    make()
}

/// Calls an object with positional arguments and keywords.
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let (callable_, arguments, keywords) =
        (callable.as_ptr(), arguments.as_ptr(), keywords.as_ptr());
    // SAFETY: attached, and the objects are alive; the answer is a new reference or null.
    unsafe {
        let answer = run(|| PyObject_Call(callable_, arguments, keywords));
        Bound::from_owned_ptr_or_err(callable.py(), answer)
    }
}

/// `operator.index(object)`.
pub(crate) fn index<'py>(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let pointer = object.as_ptr();
    // SAFETY: as in `call`.
    unsafe { Bound::from_owned_ptr_or_err(object.py(), run(|| PyNumber_Index(pointer))) }
}

/// The value of a real number.
pub(crate) fn float(object: Borrowed<'_, '_, PyAny>) -> PyResult<f64> {
    let pointer = object.as_ptr();
    // SAFETY: attached, and the object is alive.
    let value = unsafe { run(|| PyFloat_AsDouble(pointer)) };
    // That number says that there is an exception, or just itself.
    if value == -1.0
        && let Some(error) = PyErr::take(object.py())
    {
        return Err(error);
    }
    Ok(value)
}

/// Exports the memory of an object; the answer is not 0, with an exception set, if that fails.
///
/// # Safety
/// - The caller is attached, the object alive, and `view` a place for the export.
pub(crate) unsafe fn export(
    object: *mut ffi::PyObject,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { run(|| PyObject_GetBuffer(object, view, flags)) }
}

/// Gives an export back.
///
/// # Safety
/// - The caller is attached, and `view` holds an export or is zeroed.
pub(crate) unsafe fn release_export(view: *mut ffi::Py_buffer) {
    // SAFETY: as the caller promises.
    unsafe { run(|| PyBuffer_Release(view)) }
}

/// Calls a function with one argument, for nothing; what it raises goes to `sys.unraisablehook`.
///
/// # Safety
/// - The caller is attached, both objects are alive, and no exception is set.
pub(crate) unsafe fn call_for_nothing(function: *mut ffi::PyObject, argument: *mut ffi::PyObject) {
    // SAFETY: as the caller promises; the answer is a new reference or null.
    unsafe {
        run(|| {
            let answer = PyObject_CallOneArg(function, argument);
            if answer.is_null() {
                PyErr_WriteUnraisable(function);
            } else {
                Py_DecRef(answer);
            }
        });
    }
}

/// Gives a reference back; null is none.
///
/// # Safety
/// - The caller is attached, and the reference is the caller's own.
pub(crate) unsafe fn let_go_of(object: *mut ffi::PyObject) {
    // SAFETY: as the caller promises.
    unsafe { run(|| Py_DecRef(object)) }
}
