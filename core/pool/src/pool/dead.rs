//! A pool in a forked child.

use super::inner::{CLOSED, FORKED, PoolInner, Slots};
use crate::provenance::Names;
use crate::sync::{MutexGuard, Ordering};
use std::ptr::NonNull;
use std::sync::PoisonError;

/// A pool whose locks are held while the process forks. Unlocked in the order of the fields.
pub(crate) struct HeldPool {
    pool: NonNull<PoolInner>,
    _names: Option<std::sync::MutexGuard<'static, Names>>,
    _slots: MutexGuard<'static, Slots>,
    _parking: MutexGuard<'static, ()>,
}

impl HeldPool {
    /// # Safety
    /// - The pool is not freed before this is dropped.
    pub(crate) unsafe fn new(pool: NonNull<PoolInner>) -> Self {
        // SAFETY: alive for as long as the guards are, as the caller promises.
        let inner = unsafe { &*pool.as_ptr() };
        let parking = inner.parking.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = inner.slots();
        // Under the lock of the slots: the room for names is made under it.
        Self { pool, _names: inner.log.hold_names(), _slots: slots, _parking: parking }
    }

    /// Ends the pool in the child: nothing more is handed out, and what is referenced becomes a copy
    /// that is the child's own. Only stores and system calls.
    pub(crate) fn die(&self) {
        // SAFETY: as in `new`.
        let inner = unsafe { self.pool.as_ref() };
        // Relaxed: there is no other thread.
        inner.signals.fetch_or(CLOSED | FORKED, Ordering::Relaxed);
        let held = inner.headers.iter().filter(|header| header.references() != 0);
        inner.region.keep(held.map(|header| (header.data(), header.size() as usize)));
    }
}
