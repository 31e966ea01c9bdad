//! What a pool tells about itself.

use super::handle::Pool;
use super::inner::{PoolInner, Slots};
use crate::sync::{AtomicU64, MutexGuard, Ordering, bump};
use crossbeam_utils::CachePadded;
use std::sync::{Arc, PoisonError};

/// Whether buffers can be had from a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolState {
    /// Yes.
    Open,
    /// Closed, with every buffer home.
    Closed,
    /// Closed, and alive because views are outstanding.
    Orphaned,
    /// Made by another process, of which this one is a fork.
    Forked,
}

impl PoolState {
    /// The name used in metrics labels, JSON keys and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Orphaned => "orphaned",
            Self::Forked => "forked",
        }
    }
}

/// A pool's figures. `free + cached + in_flight == buffers`; while threads are at work the three
/// differ from the truth by what was in motion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// The name it was built with.
    pub name: String,
    /// Buffers it has.
    pub buffers: u32,
    /// Bytes of each.
    pub buffer_bytes: u32,
    /// In the depot, for anybody.
    pub free: u32,
    /// Free, in the caches of single threads or in [`FreeBuffers`](crate::FreeBuffers).
    pub cached: u32,
    /// Referenced by somebody.
    pub in_flight: u32,
    /// Promised to drivers, caches and consumers.
    pub reserved: u32,
    /// Whether buffers can be had.
    pub state: PoolState,
    /// Buffers allocated from a thread's cache.
    pub alloc_fast: u64,
    /// Buffers allocated from the depot: by calls without a cache, and the first after each refill.
    pub alloc_slow: u64,
    /// Allocations that found no buffer.
    pub alloc_empty: u64,
    /// How often caches took buffers from the depot, a magazine's worth at most.
    pub refills: u64,
    /// Buffers that came home.
    pub releases: u64,
    /// Releases that should not have been; the buffers are out of use or were free already.
    pub violations: u64,
}

/// Free, cached, in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occupancy {
    pub(super) free: u32,
    pub(super) cached: u32,
    pub(super) in_flight: u32,
}

/// One cache's figures, written by its owner only.
#[derive(Debug)]
pub(super) struct CacheSlot {
    /// Free buffers in it: the length of its list, kept nowhere else.
    cached: AtomicU64,
    /// Buffers that were there, and those that a refill was for.
    allocs: AtomicU64,
    slow: AtomicU64,
    refills: AtomicU64,
    empty: AtomicU64,
    releases: AtomicU64,
}

/// Sums over caches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CacheCounts {
    pub(super) cached: u64,
    allocs: u64,
    slow: u64,
    refills: u64,
    empty: u64,
    releases: u64,
}

impl CacheCounts {
    pub(super) fn add(&mut self, other: &CacheCounts) {
        self.cached += other.cached;
        self.allocs += other.allocs;
        self.slow += other.slow;
        self.refills += other.refills;
        self.empty += other.empty;
        self.releases += other.releases;
    }
}

impl CacheSlot {
    pub(super) fn start_at(start: u64) -> Self {
        let counter = || AtomicU64::new(start);
        Self {
            cached: AtomicU64::new(0),
            allocs: counter(),
            slow: counter(),
            refills: counter(),
            empty: counter(),
            releases: counter(),
        }
    }

    /// Counts buffers that the cache had; returns the raw count.
    #[inline(always)]
    pub(super) fn count_alloc(&self, buffers: u64, cached: usize) -> u64 {
        // Relaxed: a counter with one writer, read for reporting only.
        let allocs = self.allocs.load(Ordering::Relaxed).wrapping_add(buffers);
        self.allocs.store(allocs, Ordering::Relaxed);
        self.set_cached(cached);
        allocs
    }

    /// The raw count of buffers that the cache had.
    pub(super) fn allocs(&self) -> u64 {
        // Relaxed: as above.
        self.allocs.load(Ordering::Relaxed)
    }

    /// Counts an allocation that took a refill.
    pub(super) fn count_slow(&self) {
        bump(&self.slow, 1);
    }

    pub(super) fn count_refill(&self, cached: usize) {
        bump(&self.refills, 1);
        self.set_cached(cached);
    }

    pub(super) fn count_empty(&self) {
        bump(&self.empty, 1);
    }

    #[inline(always)]
    pub(super) fn count_releases(&self, count: u64, cached: usize) {
        bump(&self.releases, count);
        self.set_cached(cached);
    }

    /// Buffers in the cache, for its owner, who alone writes it.
    #[inline(always)]
    pub(super) fn cached(&self) -> usize {
        // Relaxed: the reader's own store.
        self.cached.load(Ordering::Relaxed) as usize
    }

    #[inline(always)]
    pub(super) fn set_cached(&self, cached: usize) {
        // Relaxed: reporting only.
        self.cached.store(cached as u64, Ordering::Relaxed);
    }

    pub(super) fn counts(&self, start: u64) -> CacheCounts {
        // Relaxed: counters, read for reporting only.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed).wrapping_sub(start);
        CacheCounts {
            cached: self.cached.load(Ordering::Relaxed),
            allocs: read(&self.allocs),
            slow: read(&self.slow),
            refills: read(&self.refills),
            empty: read(&self.empty),
            releases: read(&self.releases),
        }
    }
}

impl PoolInner {
    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        // A panic while the lock is held leaves the list as it was or with one slot more or less.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Figures of a new cache, counted from now on.
    pub(super) fn open_slot(&self) -> Arc<CachePadded<CacheSlot>> {
        let slot = Arc::new(CachePadded::new(CacheSlot::start_at(self.start.counter)));
        self.slots().live.push(Arc::clone(&slot));
        slot
    }

    /// Keeps the sums of a cache that is gone.
    pub(super) fn close_slot(&self, gone: &Arc<CachePadded<CacheSlot>>) {
        let mut slots = self.slots();
        slots.live.retain(|slot| !Arc::ptr_eq(slot, gone));
        slots.retired.add(&gone.counts(self.start.counter));
    }

    fn cache_counts(&self) -> CacheCounts {
        let slots = self.slots();
        let mut total = slots.retired;
        total.cached = 0;
        for slot in &slots.live {
            total.add(&slot.counts(self.start.counter));
        }
        total
    }

    /// Free buffers in caches.
    pub(super) fn cached(&self, slots: &Slots) -> u64 {
        // Relaxed: reporting only.
        slots.live.iter().map(|slot| slot.cached.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        self.occupancy_with(self.cache_counts().cached)
    }

    /// Where the buffers are if `cached` are in caches.
    pub(super) fn occupancy_with(&self, cached: u64) -> Occupancy {
        let cached = cached.min(u64::from(u32::MAX)) as u32;
        let outside = self.outside().min(self.count());
        let cached = cached.min(outside);
        Occupancy { free: self.count() - outside, cached, in_flight: outside - cached }
    }
}

impl Pool {
    /// The pool's figures now. Takes the lock that guards the list of caches.
    pub fn stats(&self) -> PoolStats {
        let inner = self.inner();
        let counts = inner.cache_counts();
        let Occupancy { free, cached, in_flight } = inner.occupancy();
        // Relaxed: counters, read for reporting only.
        let shared =
            |counter: &AtomicU64| counter.load(Ordering::Relaxed).wrapping_sub(inner.start.counter);
        let state = match (inner.is_closed(), in_flight) {
            _ if inner.is_forked() => PoolState::Forked,
            (false, _) => PoolState::Open,
            (true, 0) => PoolState::Closed,
            (true, _) => PoolState::Orphaned,
        };
        PoolStats {
            name: inner.name.clone(),
            buffers: inner.count(),
            buffer_bytes: inner.buffer_bytes,
            free,
            cached,
            in_flight,
            // Relaxed: reporting only.
            reserved: inner.reserved.load(Ordering::Relaxed),
            state,
            alloc_fast: counts.allocs,
            alloc_slow: counts.slow + shared(&inner.shared.alloc),
            alloc_empty: counts.empty + shared(&inner.shared.alloc_empty),
            refills: counts.refills,
            releases: counts.releases + shared(&inner.shared.release),
            violations: shared(&inner.shared.violations),
        }
    }
}
