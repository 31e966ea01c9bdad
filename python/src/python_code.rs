//! Running Python code below Rust, also while the interpreter exits.
//!
//! ```text
//! thread       Python ─► skbpool (Rust) ─► Python code ─► asks for the interpreter lock
//! interpreter  ... atexit ─► finalizing: who asks for the lock now is ended by pthread_exit
//! ```
//! Before Python 3.14 such a thread, a daemon thread as a rule, is ended by unwinding its stack.
//! Frames of Rust with something to drop may not be unwound that way, and one that catches panics
//! aborts the process. So a thread that is in Rust has a cleanup handler of pthreads that never
//! returns: it sleeps until the process ends, as it does from Python 3.14 on. PyO3 does the same where
//! a thread comes back from [`Python::detach`].
//!
//! [`inside`] is for calls from Python, whatever they run before they return: every function and
//! method of the module is called through it, by [`crate::entrance`]. [`let_go_of`] and its like are
//! for threads that are in Rust by other ways: letting an object go, the C functions.
//!
//! When a handler is called depends on the C library. musl unwinds nothing, and calls all of them. glibc
//! calls one when it is about to unwind the frame that holds its buffer, which it tells by comparing
//! addresses. The buffer of `inside` is not on the stack, and by that comparison in the innermost
//! frame: its handler is called before any frame is unwound. A `longjmp` below it makes glibc forget it
//! until the outermost call has returned.

use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::{Cell, UnsafeCell};
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
    fn PyObject_CallOneArg(
        callable: *mut ffi::PyObject,
        argument: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn PyBuffer_Release(view: *mut ffi::Py_buffer);
    fn PyErr_WriteUnraisable(object: *mut ffi::PyObject);
    fn Py_DecRef(object: *mut ffi::PyObject);
}

unsafe extern "C" fn sleep_for_ever(_: *mut c_void) {
    loop {
        // Returns after a signal that has a handler.
        rustix::event::pause();
    }
}

/// One thread's handler while it is in calls from Python.
struct Inside {
    /// Calls from Python on this thread that have not returned.
    calls: Cell<u32>,
    /// On the heap, since a thread's own memory may be in one block with its stack.
    buffer: Box<UnsafeCell<MaybeUninit<CleanupBuffer>>>,
}

thread_local! {
    static INSIDE: Inside = Inside { calls: Cell::new(0), buffer: Box::new(UnsafeCell::new(MaybeUninit::uninit())) };
}

/// Makes a call from Python; a thread that is ended before it returns sleeps for ever.
///
/// Costs 2 to 3 ns. `call` does not unwind.
#[inline]
pub(crate) fn inside<T: Copy>(call: impl FnOnce() -> T) -> T {
    // What a thread calls when its own memory is gone already is not interrupted any more.
    let Ok(inside) = INSIDE.try_with(std::ptr::from_ref) else { return call() };
    // SAFETY: the memory of a thread lives until it ends, and it does not end within a call.
    let inside: &Inside = unsafe { &*inside };
    let calls = inside.calls.get();
    let buffer = inside.buffer.get().cast();
    if calls == 0 {
        // SAFETY: the buffer is not in use, and stays where it is until it is popped below.
        unsafe { _pthread_cleanup_push(buffer, sleep_for_ever, std::ptr::null_mut()) };
    }
    inside.calls.set(calls + 1);
    let answer = call();
    // Counted down, not put back: greenlets return in any order.
    let calls = inside.calls.get() - 1;
    inside.calls.set(calls);
    if calls == 0 {
        // SAFETY: pushed by the first of these calls.
        unsafe { _pthread_cleanup_pop(buffer, 0) };
    }
    answer
}

/// Runs `work`, which may wait, without the interpreter lock that whoever lets an object go has. Once the
/// interpreter ends nobody else gets that lock, and it is kept.
pub(crate) fn unlocked<T: Send>(work: impl FnOnce() -> T + Send) {
    let mut work = Some(work);
    let mut run = || drop(work.take().map(|work| work()));
    let _ = Python::try_attach(|py| py.detach(&mut run));
    run();
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
