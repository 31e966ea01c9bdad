//! A thread's own stack of free buffers.

use super::error::AllocError;
use super::handle::Pool;
use super::inner::{PoolInner, RECLAIM};
use super::stats::CacheSlot;
use crate::account::{HolderId, ShardHandle};
use crate::buffer::Buffer;
use crate::depot::MAGAZINE;
use crate::header::{BufferHeader, Put};
use crate::home::after_put;
use crate::provenance::{Sampler, note_released_run};
use crate::skb::{Skb, SkbBatch};
use crate::sync::Ordering;
use crossbeam_utils::CachePadded;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// Free buffers within one thread's reach: allocating and releasing through it costs no atomic
/// read-modify-write; every 64th goes to the depot or comes from it with its whole magazine.
///
/// Used through `&mut`, so there is no look-up. Dropping it gives everything back. Only its owner
/// empties it: what it holds back, others see as `cached`.
///
/// ```
/// let pool = skbpool_pool::Pool::builder(64).build()?;
/// let mut cache = pool.local_cache();
/// let skb = cache.alloc()?.into_empty_skb();
/// cache.release(skb);
/// # Ok::<(), skbpool_pool::AllocError>(()).map_err(|error| Box::new(error) as Box<dyn std::error::Error>)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalCache {
    /// The first [`LocalCache::cached`] of them are the headers of free buffers, last in first out.
    pub(super) items: Box<[NonNull<BufferHeader>]>,
    /// Address of the pool's first header, and bytes of all of them: a header within is the pool's.
    first: usize,
    span: usize,
    /// The pool's signals when this cache last did what they ask for.
    seen: u64,
    pub(super) slot: Arc<CachePadded<CacheSlot>>,
    shard: ShardHandle,
    /// Which allocation is recorded next; see [`crate::Provenance`].
    pub(super) sampler: Sampler,
    pub(super) allocates_for: HolderId,
    /// The depot's shard that it takes from first and gives back to.
    pub(super) home: usize,
    pub(super) pool: Pool,
}

// SAFETY: it owns the free buffers it points to, and headers are Sync.
unsafe impl Send for LocalCache {}

impl LocalCache {
    pub(super) fn new(pool: Pool) -> Self {
        let capacity = pool.cache_capacity() as usize;
        let inner = pool.inner();
        let slot = inner.open_slot();
        Self {
            items: vec![NonNull::dangling(); capacity].into_boxed_slice(),
            first: inner.headers.as_ptr().addr(),
            span: inner.headers.len() * size_of::<BufferHeader>(),
            // Relaxed: a hint.
            seen: inner.signals.load(Ordering::Relaxed) & !(RECLAIM - 1),
            sampler: Sampler::new(&inner.log, slot.allocs()),
            slot,
            shard: pool.accounts().shard_handle(),
            allocates_for: HolderId::NONE,
            home: inner.depot.home(),
            pool,
        }
    }

    /// The pool it caches for.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// This thread's shard of the accounts.
    #[inline(always)]
    pub fn shard(&mut self) -> &mut ShardHandle {
        &mut self.shard
    }

    /// Free buffers it holds back now.
    #[inline(always)]
    pub fn cached(&self) -> usize {
        self.slot.cached()
    }

    /// One buffer. Never blocks.
    ///
    /// # Errors
    /// [`AllocError::Exhausted`] when this cache and the depot are empty; [`AllocError::Closed`].
    #[inline(always)]
    #[track_caller]
    pub fn alloc(&mut self) -> Result<Buffer, AllocError> {
        let mut counted = 0;
        let mut cached = self.cached();
        if cached == 0 || self.is_signalled() {
            counted = self.prepare_alloc()?;
            cached = self.cached();
        }
        // SAFETY: there was at least one, and never are more than there are items.
        let header = unsafe { *self.items.get_unchecked(cached - 1) };
        let count = self.slot.count_alloc(1 - counted, cached - 1);
        if self.sampler.is_due(count) {
            self.record(1, count, Location::caller());
        }
        // SAFETY: it came from the free list.
        Ok(unsafe { PoolInner::hand_out(header) })
    }

    #[inline(always)]
    pub(super) fn is_signalled(&self) -> bool {
        // Relaxed: hints; see `PoolInner::is_closed`, `wake_waiters` and `Pool::reclaim`.
        self.pool.inner().signals.load(Ordering::Relaxed) != self.seen
    }

    /// Gives everything back if the pool is closed.
    #[cold]
    pub(super) fn check_open(&mut self) -> Result<(), AllocError> {
        if self.pool.is_closed() {
            self.flush();
            return Err(self.pool.inner().closed());
        }
        Ok(())
    }

    /// As [`LocalCache::prepare`], for allocations; returns how many of them are counted by that: the
    /// one that a refill was for.
    #[cold]
    pub(super) fn prepare_alloc(&mut self) -> Result<u64, AllocError> {
        let refilled = self.prepare()?;
        // Also where `prepare` took over no call: there were buffers.
        self.heed_provenance();
        if refilled {
            self.slot.count_slow();
            self.sampler.count_one();
        }
        Ok(u64::from(refilled))
    }

    /// Makes sure that there is a buffer, unless the pool is closed; answers whether that took a refill.
    #[cold]
    pub(super) fn prepare(&mut self) -> Result<bool, AllocError> {
        self.check_open()?;
        if self.cached() != 0 {
            return Ok(false);
        }
        let inner = self.pool.inner();
        // Relaxed: a hint. What an earlier call for buffers asked for, an empty cache has given.
        self.seen = inner.signals.load(Ordering::Relaxed) & !(RECLAIM - 1);
        // A call that is taken over is not seen again, and provenance calls too.
        self.heed_provenance();
        let inner = self.pool.inner();
        let mut indices = [0; MAGAZINE];
        let taken = inner.look_for(|| match inner.depot.take(self.home, &mut indices) {
            0 => None,
            taken => Some(taken),
        });
        let Some(taken) = taken else {
            self.slot.count_empty();
            return Err(inner.exhausted());
        };
        inner.count_out(taken);
        for (item, &index) in self.items.iter_mut().zip(&indices[..taken]) {
            *item = NonNull::from(&inner.headers[index as usize]);
        }
        self.slot.count_refill(taken);
        Ok(true)
    }

    /// Releases one skb, to this cache if it is of this pool.
    #[inline(always)]
    pub fn release(&mut self, skb: Skb) {
        if !skb.is_plain() || self.sampler.mode().is_full() {
            return self.release_settling(skb);
        }
        let skb = ManuallyDrop::new(skb);
        // SAFETY: the skb owned one reference; it is neither dropped nor used again.
        unsafe { self.put(skb.header_ptr(), 1) };
        self.after_release();
    }

    /// As `release`, for an skb that somebody answers for, measures or records, or that is a chain.
    #[inline(never)]
    fn release_settling(&mut self, skb: Skb) {
        note_released_run(std::slice::from_ref(&skb));
        let mut skb = ManuallyDrop::new(skb);
        skb.settle_into(self);
        // SAFETY: the skb owned one reference; it is neither dropped nor used again.
        unsafe { self.put(skb.header_ptr(), 1) };
        self.after_release();
    }

    /// Releases a buffer that was not used.
    #[inline(always)]
    pub fn release_buffer(&mut self, buffer: Buffer) {
        // SAFETY: the buffer owned one reference, and gave it up.
        unsafe { self.put(buffer.into_raw(), 1) };
        self.after_release();
    }

    /// Releases everything in `batch`, by runs; see [`crate::SkbBatch::release`].
    #[inline]
    pub fn release_batch(&mut self, batch: &mut SkbBatch) {
        batch.release(self);
    }

    /// Gives every cached buffer back to the depot.
    pub fn flush(&mut self) {
        self.give_back(self.cached());
    }

    /// Gives `count` references back, and keeps the buffer if they were the last and it is this
    /// pool's.
    ///
    /// # Safety
    /// - `header` is valid, and the caller owns `count` references to it, which it gives up.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, header: NonNull<BufferHeader>, count: u32) {
        // SAFETY: the caller's references keep the header valid.
        let put = unsafe { header.as_ref() }.put(count);
        if put == Put::Last && self.is_own(header) {
            // SAFETY: these were the last references.
            unsafe { self.keep(header) };
        } else if put != Put::Held {
            // SAFETY: this is what giving the references back did.
            unsafe { after_put(header, put) };
        }
    }

    /// Whether the header is one of this pool's, which the cache keeps alive.
    #[inline(always)]
    pub(crate) fn is_own(&self, header: NonNull<BufferHeader>) -> bool {
        header.addr().get().wrapping_sub(self.first) < self.span
    }

    /// # Safety
    /// - The header is this pool's, and its last reference was given back by the caller.
    #[inline(always)]
    unsafe fn keep(&mut self, header: NonNull<BufferHeader>) {
        // SAFETY: the pool is alive.
        unsafe { header.as_ref() }.next_generation();
        let mut cached = self.cached();
        if cached == self.items.len() {
            self.give_back(cached / 2);
            cached = self.cached();
        }
        // SAFETY: half of the cache was given back if it was full.
        unsafe { *self.items.get_unchecked_mut(cached) = header };
        self.slot.count_releases(1, cached + 1);
    }

    /// Takes home the buffers of the skbs at the front of `skbs` that are plain and the only views of
    /// buffers of this pool, as far as there is room; returns how many.
    ///
    /// # Safety
    /// - The caller gives these skbs up.
    #[inline(always)]
    pub(crate) unsafe fn put_plain(&mut self, skbs: &[Skb]) -> usize {
        let (first, span) = (self.first, self.span);
        let cached = self.cached();
        let room = &mut self.items[cached..];
        let mut taken = 0;
        for (skb, place) in skbs.iter().zip(room) {
            let header = skb.header_ptr();
            // As `is_own`, from registers.
            if header.addr().get().wrapping_sub(first) >= span || !skb.is_plain_at_rest() {
                break;
            }
            // SAFETY: the skb's reference keeps the header valid.
            let buffer = unsafe { header.as_ref() };
            if !buffer.put_all(1) {
                break;
            }
            buffer.next_generation();
            *place = header;
            taken += 1;
        }
        self.slot.count_releases(taken as u64, cached + taken);
        taken
    }

    /// After releases: when somebody waits, the pool is closed or the buffers were called for,
    /// nothing is held back.
    #[inline(always)]
    pub(crate) fn after_release(&mut self) {
        if self.is_signalled() {
            self.hold_nothing_back();
        }
    }

    #[cold]
    fn hold_nothing_back(&mut self) {
        // Relaxed: a hint.
        self.seen = self.pool.inner().signals.load(Ordering::Relaxed) & !(RECLAIM - 1);
        self.heed_provenance();
        self.flush();
    }

    /// Gives the oldest `count` buffers back, a magazine at a time.
    #[cold]
    pub(super) fn give_back(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let inner = self.pool.inner();
        inner.depot_put(self.home, &self.items[..count]);
        let cached = self.cached();
        self.items.copy_within(count..cached, 0);
        self.slot.set_cached(cached - count);
        inner.count_home(count);
    }
}

impl Drop for LocalCache {
    fn drop(&mut self) {
        self.flush();
        self.pool.inner().close_slot(&self.slot);
    }
}
