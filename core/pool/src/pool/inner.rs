//! What every handle, cache and header of one pool points to.

use super::builder::StartValues;
use super::error::AllocError;
use super::events::EventBoard;
use super::life::{HANDLE, Life, LifeWord};
use super::stats::CacheSlot;
use super::watermark::Watermarks;
use crate::account::Accounts;
use crate::buffer::Buffer;
use crate::depot::{Depot, MAGAZINE};
use crate::header::BufferHeader;
use crate::provenance::Log;
use crate::region::Region;
use crate::sync::{AtomicU32, AtomicU64, Condvar, Mutex, Ordering, fence};
use crossbeam_utils::CachePadded;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// Set in [`PoolInner::signals`] once the pool is closed.
pub(super) const CLOSED: u64 = 1 << 31;

/// Set in [`PoolInner::signals`] in a forked child, together with [`CLOSED`]; the bits below count
/// waiters.
pub(super) const FORKED: u64 = 1 << 30;

/// One call for what the caches hold back, in [`PoolInner::signals`]; wraps.
pub(super) const RECLAIM: u64 = 1 << 32;

/// How often an allocation looks again when the depot seems empty though a buffer is on its way
/// between two stacks.
const LOOK_AGAIN: u32 = if cfg!(any(loom, shuttle)) { 0 } else { 64 };

/// ```text
/// region   │ buffer 0 │ buffer 1 │ …        plain memory, may be shared later
/// headers  │ header 0 │ header 1 │ …        private, same index; owner ─► this struct
/// depot    free indices                     life = handles, state, buffers outside the depot
/// ```
/// Freed by whoever takes `life` to 0: the last handle if every buffer is home, else the last
/// buffer to come home.
pub(crate) struct PoolInner {
    pub(super) headers: Box<[BufferHeader]>,
    pub(super) depot: Depot,
    pub(super) region: Region,
    pub(super) accounts: Arc<Accounts>,
    pub(super) name: String,
    pub(super) order: u8,
    pub(super) buffer_bytes: u32,
    pub(super) start: StartValues,
    /// `reclaims << 32 | CLOSED | FORKED | waiters`. Read by every cache once an operation, written rarely.
    pub(super) signals: CachePadded<AtomicU64>,
    /// Buffers promised to drivers, caches and consumers.
    pub(super) reserved: AtomicU32,
    /// See [`Life`].
    pub(super) life: CachePadded<LifeWord>,
    pub(super) marks: Watermarks,
    pub(super) board: Arc<EventBoard>,
    pub(super) shared: CachePadded<SharedCounters>,
    pub(super) slots: Mutex<Slots>,
    /// Held by waiters only while they go to sleep.
    #[cfg_attr(loom, expect(dead_code, reason = "models do not wait"))]
    pub(super) parking: Mutex<()>,
    pub(super) wake: Condvar,
    pub(super) log: Log,
}

/// Counters of calls without a cache: many writers.
#[derive(Debug)]
pub(super) struct SharedCounters {
    pub(super) alloc: AtomicU64,
    pub(super) alloc_empty: AtomicU64,
    pub(super) release: AtomicU64,
    pub(super) violations: AtomicU64,
}

/// The caches there are, and what those that are gone have counted.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) live: Vec<Arc<CachePadded<CacheSlot>>>,
    pub(super) retired: super::stats::CacheCounts,
}

impl Drop for PoolInner {
    fn drop(&mut self) {
        self.accounts.leave();
    }
}

impl PoolInner {
    /// Buffers there are.
    #[inline(always)]
    pub(super) fn count(&self) -> u32 {
        self.headers.len() as u32
    }

    pub(crate) fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Buffers outside the depot: in flight or in caches.
    pub(super) fn outside(&self) -> u32 {
        // Relaxed: reporting; exact when quiet.
        Life::from_raw(self.life.load(Ordering::Relaxed)).outside()
    }

    #[inline(always)]
    pub(super) fn is_closed(&self) -> bool {
        // Relaxed: a cache may see the closing one call late, which is the same as having called
        // a moment earlier.
        self.signals.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Why a pool that is closed gives no buffers.
    #[cold]
    pub(super) fn closed(&self) -> AllocError {
        if self.is_forked() { AllocError::ForkedPool } else { AllocError::Closed }
    }

    pub(super) fn is_forked(&self) -> bool {
        // Relaxed: set before the process has a second thread.
        self.signals.load(Ordering::Relaxed) & FORKED != 0
    }

    /// Counts one more handle, on behalf of somebody who keeps the pool alive.
    pub(super) fn count_handle(&self) {
        // Relaxed: the pool is kept alive by who asks, and nothing is published.
        let before = self.life.fetch_add(HANDLE, Ordering::Relaxed);
        if before > u64::MAX / 2 {
            // 2^31 handles can only be forgotten ones; going on would free the pool under its users
            // once the count wraps. Arc does the same.
            std::process::abort();
        }
    }

    /// Puts free buffers, which the caller gives up, back into the depot's shard `home`, a magazine at a
    /// time. They stay counted as outside until [`PoolInner::count_home`].
    pub(super) fn depot_put(&self, home: usize, items: &[NonNull<BufferHeader>]) {
        let first = self.headers.as_ptr().addr();
        let mut indices = [0; MAGAZINE];
        for magazine in items.chunks(self.depot.magazine_size()) {
            for (index, item) in indices.iter_mut().zip(magazine) {
                *index = ((item.addr().get() - first) / size_of::<BufferHeader>()) as u32;
            }
            self.depot.put(home, &indices[..magazine.len()]);
        }
    }

    /// Takes one buffer out of the depot, for a caller without a cache.
    #[track_caller]
    pub(super) fn alloc(&self) -> Result<Buffer, AllocError> {
        let site = Location::caller();
        self.try_alloc(site).unwrap_or_else(|| {
            // Relaxed: a counter, read for reporting only.
            self.shared.alloc_empty.fetch_add(1, Ordering::Relaxed);
            Err(self.exhausted())
        })
    }

    /// As [`PoolInner::alloc`]; none, and nothing counted, when there is no free buffer.
    pub(super) fn try_alloc(
        &self,
        site: &'static Location<'static>,
    ) -> Option<Result<Buffer, AllocError>> {
        if self.is_closed() {
            return Some(Err(self.closed()));
        }
        let index = self.look_for(|| self.depot.take_one(self.depot.home()))?;
        self.count_out(1);
        // Relaxed: a counter, read for reporting only.
        let count = self.shared.alloc.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the index came from the depot.
        let buffer = unsafe { Self::hand_out(NonNull::from(&self.headers[index as usize])) };
        self.record_if_sampled(&buffer, count, site);
        Some(Ok(buffer))
    }

    /// Tries `take` until it succeeds or the depot is really empty: another thread may have a
    /// magazine in its hands that it is about to push back. Bounded, so it never blocks; a thread
    /// that is descheduled right there makes the pool look emptier than it is.
    pub(super) fn look_for<T>(&self, mut take: impl FnMut() -> Option<T>) -> Option<T> {
        for _ in 0..LOOK_AGAIN {
            let taken = take();
            if taken.is_some() {
                return taken;
            }
            if self.outside() >= self.count() {
                break;
            }
            std::hint::spin_loop();
        }
        take().or_else(|| {
            self.note_exhausted();
            None
        })
    }

    /// Why there is no buffer. Does not wait for somebody who reads the figures at this moment: then
    /// it takes everything outside the depot to be in flight.
    #[cold]
    pub(super) fn exhausted(&self) -> AllocError {
        let cached = self.slots.try_lock().map_or(0, |slots| self.cached(&slots));
        let stats = self.occupancy_with(cached);
        AllocError::Exhausted {
            buffers: self.count(),
            in_flight: stats.in_flight,
            cached: stats.cached,
        }
    }

    /// Makes a free header a buffer.
    ///
    /// # Safety
    /// - The header came from a free list, and the caller gives it up.
    #[inline(always)]
    pub(super) unsafe fn hand_out(header: NonNull<BufferHeader>) -> Buffer {
        // SAFETY: pool headers are valid while the pool is, which the caller keeps.
        let free = unsafe { header.as_ref() };
        debug_assert_eq!(free.references(), 0, "a free buffer has no references");
        free.set_references(1);
        // SAFETY: nobody else has this buffer, and its count was just set to the one reference that
        // the buffer takes over.
        unsafe { Buffer::from_header(header) }
    }

    /// Puts a buffer without references back into the depot, and frees the pool if that was all
    /// that kept it.
    ///
    /// # Safety
    /// - `this` is alive, and the caller took the last reference of buffer `index`, which lies
    ///   outside the depot.
    pub(crate) unsafe fn put_loose(this: NonNull<PoolInner>, index: u32) {
        {
            // SAFETY: alive, since this buffer is still counted in `life`.
            let inner = unsafe { this.as_ref() };
            inner.depot.put_one(inner.depot.home(), index);
            // Relaxed: a counter, read for reporting only.
            inner.shared.release.fetch_add(1, Ordering::Relaxed);
            inner.wake_waiters();
        }
        // SAFETY: the buffer was counted in `life`, and is home now.
        unsafe { Self::let_go_buffer(this) }
    }

    /// Takes `amount` off `life` and frees the pool if nothing is left.
    ///
    /// # Safety
    /// - The caller owns `amount` of `life`, and does not touch the pool afterwards.
    pub(super) unsafe fn let_go(this: NonNull<PoolInner>, amount: u64) {
        // SYNC: Release pairs with the fence of `end` in whoever frees the pool: everything this
        // thread did with it comes before.
        // SAFETY: alive, since `amount` is still counted.
        let before = unsafe { this.as_ref() }.life.fetch_sub(amount, Ordering::Release);
        if (Life::from_raw(before) - amount).is_over() {
            // SAFETY: nobody is left, and we come last.
            unsafe { Self::end(this) }
        }
    }

    /// Frees the pool.
    ///
    /// # Safety
    /// - The caller took the last of `life`.
    #[cold]
    pub(super) unsafe fn end(this: NonNull<PoolInner>) {
        // SYNC: Acquire fence pairs with the Release of all who let go before.
        fence(Ordering::Acquire);
        #[cfg(not(loom))]
        crate::fork::forget_pool(this);
        // SAFETY: it was leaked from a box by the builder, and nobody is left who knows it.
        let inner = unsafe { Box::from_raw(this.as_ptr()) };
        let board = Arc::clone(&inner.board);
        drop(inner);
        // Told once the memory is unmapped.
        board.tell_freed();
    }

    /// Wakes somebody who waits for a buffer.
    #[inline]
    pub(super) fn wake_waiters(&self) {
        // Relaxed: a waiter that is missed looks again by itself after a millisecond.
        if self.signals.load(Ordering::Relaxed) & (FORKED - 1) != 0 {
            self.wake.notify_all();
        }
    }

    #[cold]
    pub(crate) fn count_violation(&self) {
        // Relaxed: a counter, read for reporting only.
        self.shared.violations.fetch_add(1, Ordering::Relaxed);
    }
}
