//! Letting Python objects go from threads that may not touch Python.
//!
//! ```text
//! last view dropped ─┬─ by a thread with the interpreter lock ─► let go of at once
//!                    └─ by any other ─► list ─ eventfd ─► reaper thread, attached, in batches
//! ```
//! The list is linked through the objects' owners, so putting one there neither waits nor allocates.
//! From `atexit` on nothing touches Python: what is dropped later is counted and left alone.

use crate::python_owner::PythonOwner;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use rustix::event::EventfdFlags;
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Owners to be let go of, the latest first.
static LIST: AtomicPtr<PythonOwner> = AtomicPtr::new(null_mut());

/// The interpreter has begun to exit.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Threads that may have seen it still open, and are about to ask the interpreter something.
static ENTERED: AtomicUsize = AtomicUsize::new(0);

/// The exit waits no longer for them: each needs a few hundred instructions, but a fork copies the count
/// of threads that it does not copy.
const ENTERED_FOR: Duration = Duration::from_secs(1);

static BROUGHT: AtomicU64 = AtomicU64::new(0);
static RETURNED: AtomicU64 = AtomicU64::new(0);
static WAITING: AtomicU64 = AtomicU64::new(0);
static LEAKED: AtomicU64 = AtomicU64::new(0);

/// The eventfd that this process's reaper sleeps on, -1 before there is one. Never closed, so that it is
/// valid for a thread that drops a view at the very end. A forked child makes one of its own: on an
/// inherited one its parent's reaper would take the wake-ups away.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// The reaper's thread, and the process that it is a thread of: a forked child has to start its own.
/// Taken only with the interpreter lock held, so a fork never copies it locked.
static THREAD: Mutex<Option<(u32, JoinHandle<()>)>> = Mutex::new(None);

/// Figures for `skbpool.brought()`.
pub(crate) struct Counts {
    pub(crate) brought: u64,
    pub(crate) returned: u64,
    pub(crate) waiting: u64,
    pub(crate) leaked: u64,
}

pub(crate) fn counts() -> Counts {
    // Relaxed: counters, read for reporting only.
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Counts {
        brought: read(&BROUGHT),
        returned: read(&RETURNED),
        waiting: read(&WAITING),
        leaked: read(&LEAKED),
    }
}

pub(crate) fn count_brought() {
    count(&BROUGHT);
}

fn count(counter: &AtomicU64) {
    // Relaxed: a counter, read for reporting only.
    counter.fetch_add(1, Ordering::Relaxed);
}

fn thread() -> MutexGuard<'static, Option<(u32, JoinHandle<()>)>> {
    // A panic while it is held leaves one of two valid values.
    THREAD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the reaper if this process has none yet.
pub(crate) fn start(_py: Python<'_>) -> PyResult<()> {
    if is_closed() {
        let message = "the interpreter is exiting; no memory is adopted now";
        return Err(PyRuntimeError::new_err(message));
    }
    let mut thread = thread();
    let process = std::process::id();
    match thread.take() {
        Some((owner, handle)) if owner == process => *thread = Some((owner, handle)),
        inherited => {
            // The parent's thread is not here to be joined.
            std::mem::forget(inherited);
            let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)
                .map_err(std::io::Error::from)?
                .into_raw_fd();
            // SYNC: Release pairs with the Acquire in `wake`.
            WAKE.store(eventfd, Ordering::Release);
            let reaper = std::thread::Builder::new().name("skbpool-reaper".to_owned());
            *thread = Some((process, reaper.spawn(move || reap(eventfd))?));
        }
    }
    Ok(())
}

/// The eventfd of that number.
fn eventfd(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: `start` made it, and it is never closed.
    unsafe { BorrowedFd::borrow_raw(number) }
}

fn is_closed() -> bool {
    // SYNC: SeqCst, as in `_close_reaper`: of a thread that enters and an exit that closes, one sees
    // the other.
    CLOSED.load(Ordering::SeqCst)
}

/// The interpreter exists until this is dropped, unless it was closed before.
struct Entered;

impl Entered {
    fn new() -> Self {
        // SYNC: SeqCst, as in `is_closed`, which is asked next.
        ENTERED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // SYNC: Release pairs with the load in `_close_reaper`: the interpreter was asked before.
        ENTERED.fetch_sub(1, Ordering::Release);
    }
}

/// Lets an owner go, here or on the reaper's thread.
///
/// # Safety
/// - `owner` was given to a header by `Brought`, and the header gave it up.
pub(crate) unsafe fn let_go(owner: NonNull<PythonOwner>) {
    let entered = Entered::new();
    if is_closed() {
        count(&LEAKED);
        return;
    }
    // SAFETY: may be called by any thread while the interpreter exists, and it does: it has not begun
    // to exit, or `_close_reaper` waits for us.
    if unsafe { ffi::PyGILState_Check() } != 0 {
        // Who is attached holds the exit up by that.
        drop(entered);
        // SAFETY: attached, and the owner is ours.
        unsafe { PythonOwner::finish(owner, true) };
        count(&RETURNED);
        return;
    }
    count(&WAITING);
    push(owner);
}

fn push(owner: NonNull<PythonOwner>) {
    // Relaxed: the exchange below decides.
    let mut first = LIST.load(Ordering::Relaxed);
    loop {
        // SAFETY: the owner is ours until the exchange succeeds.
        unsafe { (*owner.as_ptr()).next = first };
        // SYNC: Release pairs with the Acquire of `take_list`, which then sees the link. Only whole
        // lists are taken, so an address that comes back means the same list.
        match LIST.compare_exchange_weak(
            first,
            owner.as_ptr(),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            Ok(_) => break,
            Err(now) => first = now,
        }
    }
    // Whoever put the first one there wakes the reaper; it takes all that follow before it looks.
    if first.is_null() {
        wake();
    }
}

fn wake() {
    // SYNC: Acquire pairs with the Release in `start`.
    let number = WAKE.load(Ordering::Acquire);
    if number != -1 {
        // An eventfd takes 2^64 - 2 of these before it would refuse one.
        let _ = rustix::io::write(eventfd(number), &1u64.to_ne_bytes());
    }
}

/// Lets go of everything on the list, in the order it came there.
fn drain(_py: Python<'_>) {
    // SYNC: Acquire pairs with the Release of `push`.
    let mut taken = LIST.swap(null_mut(), Ordering::Acquire);
    let mut ordered: *mut PythonOwner = null_mut();
    while let Some(mut owner) = NonNull::new(taken) {
        // SAFETY: what was on the list belongs to whoever took the list.
        unsafe {
            taken = owner.as_ref().next;
            owner.as_mut().next = ordered;
        }
        ordered = owner.as_ptr();
    }
    while let Some(owner) = NonNull::new(ordered) {
        // SAFETY: as above, and attached.
        unsafe {
            ordered = owner.as_ref().next;
            PythonOwner::finish(owner, true);
        }
        // Relaxed: counters, read for reporting only.
        WAITING.fetch_sub(1, Ordering::Relaxed);
        count(&RETURNED);
    }
}

/// The reaper's loop.
fn reap(number: RawFd) {
    let mut counter = [0u8; 8];
    while !is_closed() {
        // An interrupted read is repeated; there is no other way for it to fail.
        let _ = rustix::io::read(eventfd(number), &mut counter);
        if !is_closed() {
            Python::attach(drain);
        }
    }
}

/// Called by `atexit`: ends the reaper, lets go of what it has not come to, and sees to it that
/// nothing touches Python from now on.
#[pyfunction]
pub(crate) fn _close_reaper(py: Python<'_>) {
    // SYNC: SeqCst pairs with `Entered::new` and `is_closed`: who is not seen below sees this.
    CLOSED.store(true, Ordering::SeqCst);
    let end = Instant::now() + ENTERED_FOR;
    // SYNC: SeqCst, as above, and at least Acquire for the Release of `Entered::drop`.
    while ENTERED.load(Ordering::SeqCst) != 0 && Instant::now() < end {
        std::thread::yield_now();
    }
    let reaper = thread().take();
    if let Some((process, handle)) = reaper {
        if process == std::process::id() {
            wake();
            // Detached, since it may be on its way to attach.
            if py.detach(|| handle.join()).is_err() {
                eprintln!("skbpool: the thread that lets Python objects go has panicked");
            }
        } else {
            // The parent's thread is not here to be joined.
            std::mem::forget(handle);
        }
    }
    drain(py);
}
