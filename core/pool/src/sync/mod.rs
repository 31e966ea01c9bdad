//! The one place atomics and cells come from: `core` in a normal build, `loom` under `--cfg loom`,
//! `shuttle` under `--cfg shuttle`.

#[cfg(loom)]
mod check;
mod event_count;
#[cfg(shuttle)]
mod explore;
#[cfg(loom)]
mod model;

#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence,
};
#[cfg(not(any(loom, shuttle)))]
pub use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(shuttle)]
pub use explore::explore;
#[cfg(shuttle)]
pub use shuttle::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence,
};
#[cfg(shuttle)]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub use check::check;
pub use event_count::EventCount;
#[cfg(loom)]
pub use loom::cell::UnsafeCell;
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicPtr, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub use model::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};

/// `core::cell::UnsafeCell` with loom's interface, so that loom can watch every access.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Calls `access` with a pointer for reading.
    #[inline(always)]
    pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        access(self.0.get())
    }

    /// Calls `access` with a pointer for writing.
    #[inline(always)]
    pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}

/// Adds to a counter that only one thread writes: a load and a store, no read-modify-write.
#[inline(always)]
pub fn bump(counter: &AtomicU64, by: u64) {
    // Relaxed: a counter with one writer, read for reporting and for differences only.
    let next = counter.load(Ordering::Relaxed).wrapping_add(by);
    counter.store(next, Ordering::Relaxed);
}
