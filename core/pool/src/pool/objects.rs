//! Free buffers as bare objects, moved in blocks.

use super::cache::LocalCache;
use super::error::AllocError;
use super::handle::Pool;
use super::inner::PoolInner;
use super::stats::CacheSlot;
use crate::buffer::Buffer;
use crate::header::BufferHeader;
use crate::skb::Skb;
use crossbeam_utils::CachePadded;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// Why bare objects could not be had; the container is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetBulkError {
    /// No buffers.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The container was made by another pool, whose buffers alone it can hold.
    #[error("the container is of another pool; make one with this cache's pool")]
    OtherPool,
}

/// Free buffers of one pool, in nobody's reach but the owner's: what a stage passes on that does not
/// know yet what it will write.
///
/// They stay free: no reference is taken and no header touched until [`FreeBuffers::pop`] makes one a
/// [`Buffer`]. Figures count them as cached. Dropping it gives what is in it back to the depot;
/// nothing else does, so a container that lies about full starves the pool.
///
/// ```
/// let pool = skbpool_pool::Pool::builder(64).build()?;
/// let (mut cache, mut free) = (pool.local_cache(), pool.free_buffers(32));
/// cache.get_bulk(4, &mut free)?;
/// let buffer = free.pop().expect("four are in it");
/// assert_eq!((pool.stats().cached, pool.stats().in_flight), (3, 1));
/// # assert_eq!(cache.cached(), 0);
/// cache.put_bulk(&mut free);
/// drop(buffer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FreeBuffers {
    /// Headers of free buffers, all of `pool`, counted in its `life`.
    items: Vec<NonNull<BufferHeader>>,
    slot: Arc<CachePadded<CacheSlot>>,
    pool: Pool,
}

// SAFETY: it owns the free buffers it points to, and headers are Sync.
unsafe impl Send for FreeBuffers {}

impl FreeBuffers {
    pub(super) fn new(pool: Pool, capacity: usize) -> Self {
        let capacity = capacity.min(pool.count() as usize);
        let slot = pool.inner().open_slot();
        Self { items: Vec::with_capacity(capacity), slot, pool }
    }

    /// The pool whose buffers it holds.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Buffers in it.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes the buffer that was put in last; none if it is empty or the pool closed.
    #[inline]
    #[track_caller]
    pub fn pop(&mut self) -> Option<Buffer> {
        if self.pool.is_closed() {
            return None;
        }
        let header = self.items.pop()?;
        let count = self.slot.count_alloc(1, self.items.len());
        // SAFETY: it came from the free list.
        let buffer = unsafe { PoolInner::hand_out(header) };
        self.pool.inner().record_if_sampled(&buffer, count, Location::caller());
        Some(buffer)
    }

    /// Gives the first `count` back to the depot.
    fn give_back(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let items = self.items.drain(..count);
        let inner = self.pool.inner();
        inner.depot_put(inner.depot.home(), items.as_slice());
        drop(items);
        self.slot.set_cached(self.items.len());
        inner.count_home(count);
    }
}

impl Drop for FreeBuffers {
    fn drop(&mut self) {
        self.give_back(self.items.len());
        self.pool.inner().close_slot(&self.slot);
    }
}

impl std::fmt::Debug for FreeBuffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreeBuffers")
            .field("pool", &self.pool.name())
            .field("len", &self.len())
            .finish()
    }
}

impl Pool {
    /// An empty container for bare objects of this pool; it allocates only beyond `capacity` buffers.
    pub fn free_buffers(&self, capacity: usize) -> FreeBuffers {
        FreeBuffers::new(self.clone(), capacity)
    }
}

impl LocalCache {
    /// Releases what a bulk got before the `error`, which then tells how it is without that.
    #[cold]
    pub(super) fn take_back(
        &mut self,
        error: AllocError,
        taken: impl Iterator<Item = Skb>,
    ) -> AllocError {
        taken.for_each(|skb| self.release(skb));
        match error {
            AllocError::Exhausted { .. } => self.pool.inner().exhausted(),
            closed => closed,
        }
    }

    /// Moves `count` free buffers to the end of `into`: all or none. Never blocks, never calls them
    /// allocated. Costs one comparison of pools and one copy of `8 × count` bytes.
    ///
    /// # Errors
    /// [`GetBulkError::Alloc`] as [`LocalCache::alloc`], [`GetBulkError::OtherPool`]; `into` is as it
    /// was.
    #[inline(always)]
    pub fn get_bulk(&mut self, count: usize, into: &mut FreeBuffers) -> Result<(), GetBulkError> {
        if !self.pool.is_same(&into.pool) {
            return Err(GetBulkError::OtherPool);
        }
        if count > self.cached() || self.is_signalled() {
            return self.get_bulk_by_parts(count, into);
        }
        self.move_top(count, into);
        Ok(())
    }

    /// Moves the `count` buffers released last, of which there are as many.
    #[inline(always)]
    fn move_top(&mut self, count: usize, into: &mut FreeBuffers) {
        let cached = self.cached();
        let rest = cached - count;
        into.items.extend_from_slice(&self.items[rest..cached]);
        into.slot.set_cached(into.items.len());
        self.slot.set_cached(rest);
    }

    /// As `get_bulk`, where the depot has to help or somebody has called.
    #[cold]
    fn get_bulk_by_parts(
        &mut self,
        count: usize,
        into: &mut FreeBuffers,
    ) -> Result<(), GetBulkError> {
        self.check_open()?;
        if count > self.pool.count() as usize {
            self.slot.count_empty();
            return Err(self.pool.inner().exhausted().into());
        }
        let before = into.items.len();
        let mut missing = count;
        while missing != 0 {
            if let Err(error) = self.prepare() {
                // The cache is empty now; what it cannot hold goes on to the depot.
                while into.items.len() > before {
                    self.give_back(self.cached());
                    self.keep_last((into.items.len() - before).min(self.items.len()), into);
                }
                return Err(self.take_back(error, std::iter::empty()).into());
            }
            let now = missing.min(self.cached());
            self.move_top(now, into);
            missing -= now;
        }
        Ok(())
    }

    /// Moves everything in `free` to this cache, as far as there is room; what is over, and what is of
    /// another pool, goes to its pool's depot.
    ///
    /// Costs one comparison of pools and one copy of 8 bytes a buffer.
    #[inline(always)]
    pub fn put_bulk(&mut self, free: &mut FreeBuffers) {
        let count = free.items.len();
        if count > self.items.len() - self.cached() || !self.pool.is_same(&free.pool) {
            return self.put_bulk_by_parts(free);
        }
        self.keep_last(count, free);
        self.after_release();
    }

    /// Moves the last `count` of `free`, for which there is room.
    #[inline(always)]
    fn keep_last(&mut self, count: usize, free: &mut FreeBuffers) {
        let rest = free.items.len() - count;
        let cached = self.cached();
        self.items[cached..][..count].copy_from_slice(&free.items[rest..]);
        free.items.truncate(rest);
        free.slot.set_cached(rest);
        self.slot.set_cached(cached + count);
    }

    #[cold]
    fn put_bulk_by_parts(&mut self, free: &mut FreeBuffers) {
        if !self.pool.is_same(&free.pool) {
            return free.give_back(free.len());
        }
        self.give_back(self.cached() / 2);
        let room = self.items.len() - self.cached();
        free.give_back(free.len().saturating_sub(room));
        self.keep_last(free.len(), free);
        self.after_release();
    }
}
