//! A thread's own stack of free buffers.

use super::error::AllocError;
use super::handle::Pool;
use super::inner::PoolInner;
use super::stats::CacheSlot;
use crate::account::ShardHandle;
use crate::buffer::Buffer;
use crate::home::put_references;
use crate::skb::{BufferSource, Skb};
use crate::sync::Ordering;
use crossbeam_utils::CachePadded;
use std::mem::ManuallyDrop;
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
    /// `items[..len]` are free buffers, last in first out.
    items: Box<[u32]>,
    len: usize,
    slot: Arc<CachePadded<CacheSlot>>,
    epoch: u32,
    shard: ShardHandle,
    pool: Pool,
}

impl LocalCache {
    pub(super) fn new(pool: Pool) -> Self {
        let capacity = pool.cache_capacity() as usize;
        let slot = Arc::new(CachePadded::new(CacheSlot::start_at(pool.inner().start.counter)));
        pool.inner().slots().live.push(Arc::clone(&slot));
        Self {
            items: vec![0; capacity].into_boxed_slice(),
            len: 0,
            slot,
            // Relaxed: a hint.
            epoch: pool.inner().reclaim_epoch.load(Ordering::Relaxed),
            shard: pool.accounts().shard_handle(),
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
    pub fn cached(&self) -> usize {
        self.len
    }

    /// One buffer. Never blocks.
    ///
    /// # Errors
    /// [`AllocError::Exhausted`] when this cache and the depot are empty; [`AllocError::Closed`].
    #[inline]
    pub fn alloc(&mut self) -> Result<Buffer, AllocError> {
        if self.pool.inner().is_closed() {
            return Err(self.closed());
        }
        if self.len == 0 {
            self.refill()?;
        }
        self.len -= 1;
        let index = self.items[self.len];
        self.slot.count_alloc(1, self.len);
        Ok(self.pool.inner().hand_out(index))
    }

    /// Appends `count` buffers to `into`: all or none. Never blocks.
    ///
    /// # Errors
    /// As [`LocalCache::alloc`]; `into` is as it was.
    #[inline]
    pub fn alloc_bulk(&mut self, count: usize, into: &mut Vec<Buffer>) -> Result<(), AllocError> {
        if self.pool.inner().is_closed() {
            return Err(self.closed());
        }
        if count > self.pool.count() as usize {
            self.slot.count_empty();
            return Err(self.pool.inner().exhausted());
        }
        into.reserve(count);
        let before = into.len();
        let mut missing = count;
        while missing != 0 {
            if self.len == 0 && self.refill().is_err() {
                for buffer in into.drain(before..) {
                    self.release_buffer(buffer);
                }
                return Err(self.pool.inner().exhausted());
            }
            let now = missing.min(self.len);
            let inner = self.pool.inner();
            let taken = self.len - now..self.len;
            into.extend(self.items[taken].iter().rev().map(|&index| inner.hand_out(index)));
            self.len -= now;
            self.slot.count_alloc(now as u64, self.len);
            missing -= now;
        }
        Ok(())
    }

    /// Takes a magazine from the depot.
    #[cold]
    fn refill(&mut self) -> Result<(), AllocError> {
        debug_assert_eq!(self.len, 0);
        let inner = self.pool.inner();
        // Relaxed: a hint. What an earlier call for buffers asked for, an empty cache has given.
        self.epoch = inner.reclaim_epoch.load(Ordering::Relaxed);
        let items = &mut self.items;
        let taken = inner.look_for(|| match inner.depot.take(items) {
            0 => None,
            taken => Some(taken),
        });
        let Some(taken) = taken else {
            self.slot.count_empty();
            return Err(inner.exhausted());
        };
        inner.count_out(taken);
        self.len = taken;
        self.slot.count_refill(taken);
        Ok(())
    }

    /// Releases one skb, to this cache if it is of this pool.
    #[inline]
    pub fn release(&mut self, skb: Skb) {
        let mut skb = ManuallyDrop::new(skb);
        skb.settle_into(self);
        // SAFETY: the skb owned one reference; it is neither dropped nor used again.
        unsafe { put_references(skb.header_ptr(), 1, Some(self)) };
        self.after_release();
    }

    /// Releases a buffer that was not used.
    #[inline]
    pub fn release_buffer(&mut self, buffer: Buffer) {
        // SAFETY: the buffer owned one reference, and gave it up.
        unsafe { put_references(buffer.into_raw(), 1, Some(self)) };
        self.after_release();
    }

    /// Releases everything in `batch`, by runs; see [`crate::SkbBatch::release`].
    #[inline]
    pub fn release_batch(&mut self, batch: &mut crate::skb::SkbBatch) {
        batch.release(self);
    }

    /// Gives every cached buffer back to the depot.
    pub fn flush(&mut self) {
        self.give_back(self.len);
    }

    #[inline(always)]
    pub(crate) fn is_of(&self, pool: NonNull<PoolInner>) -> bool {
        self.pool.is(pool)
    }

    /// Takes a buffer that came home.
    #[inline(always)]
    pub(crate) fn put(&mut self, index: u32) {
        if self.len == self.items.len() {
            self.give_back(self.len / 2);
        }
        self.items[self.len] = index;
        self.len += 1;
        self.slot.count_release(self.len);
    }

    /// After releases: when somebody waits, the pool is closed or the buffers were called for,
    /// nothing is held back.
    #[inline(always)]
    pub(crate) fn after_release(&mut self) {
        let inner = self.pool.inner();
        // Relaxed: hints; see `is_closed`, `wake_waiters` and `Pool::reclaim`.
        if inner.signals.load(Ordering::Relaxed) != 0
            || inner.reclaim_epoch.load(Ordering::Relaxed) != self.epoch
        {
            self.hold_nothing_back();
        }
    }

    #[cold]
    fn hold_nothing_back(&mut self) {
        // Relaxed: a hint.
        self.epoch = self.pool.inner().reclaim_epoch.load(Ordering::Relaxed);
        self.flush();
    }

    #[cold]
    fn closed(&mut self) -> AllocError {
        self.flush();
        AllocError::Closed
    }

    /// Gives the oldest `count` buffers back, a magazine at a time.
    #[cold]
    fn give_back(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let inner = self.pool.inner();
        for magazine in self.items[..count].chunks(inner.depot.magazine_size()) {
            inner.depot.put(magazine);
        }
        self.items.copy_within(count..self.len, 0);
        self.len -= count;
        self.slot.count_flush(self.len);
        // Relaxed: it cannot reach 0, since our handle counts too, and dropping that one publishes.
        inner.life.fetch_sub(count as u64, Ordering::Relaxed);
        inner.wake_waiters();
    }
}

impl Drop for LocalCache {
    fn drop(&mut self) {
        self.flush();
        let mut slots = self.pool.inner().slots();
        slots.live.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
        let counts = self.slot.counts(self.pool.inner().start.counter);
        slots.retired.add(&counts);
    }
}

impl BufferSource for LocalCache {
    #[inline(always)]
    fn buffer(&mut self) -> Result<Buffer, AllocError> {
        self.alloc()
    }

    fn buffer_bytes(&self) -> u32 {
        self.pool.buffer_bytes()
    }
}
