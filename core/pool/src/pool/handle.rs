//! The handle to a pool.

use super::builder::{PoolBuilder, StartValues};
use super::cache::LocalCache;
use super::error::AllocError;
use super::inner::{CLOSED, PoolInner, RECLAIM};
use super::life::HANDLE;
use crate::account::Accounts;
use crate::buffer::Buffer;
use crate::header::BufferHeader;
use crate::skb::Skb;
use crate::sync::Ordering;
use std::ptr::NonNull;
use std::sync::Arc;

/// A pool of equal buffers. Cloning gives another handle to the same pool.
///
/// The memory lives as long as there is a handle, a cache, or a buffer that is not home; dropping
/// the last handle while views are out leaves them valid (S6).
///
/// ```
/// use skbpool_pool::Pool;
/// let pool = Pool::builder(64).order(1).build()?;
/// let buffer = pool.alloc()?;
/// assert_eq!(buffer.len(), 8192);
/// assert_eq!(pool.stats().in_flight, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool {
    inner: NonNull<PoolInner>,
}

// SAFETY: everything behind the handle is Sync.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// A builder for a pool of `count` buffers.
    pub fn builder(count: u32) -> PoolBuilder {
        PoolBuilder::new(count)
    }

    /// # Safety
    /// - One `HANDLE` in `life` is given up to the new handle.
    pub(super) unsafe fn from_inner(inner: NonNull<PoolInner>) -> Self {
        Self { inner }
    }

    #[inline(always)]
    pub(super) fn inner(&self) -> &PoolInner {
        // SAFETY: our handle keeps it alive.
        unsafe { self.inner.as_ref() }
    }

    /// The pool that a view's own buffer belongs to; none for memory that a caller brought.
    pub fn of(skb: &Skb) -> Option<Pool> {
        skb.header().index()?;
        // SAFETY: a header with an index is a pool's, and the skb keeps its buffer out of the depot.
        let inner = unsafe { Self::of_header(skb.header_ptr()) };
        // SAFETY: alive, as said.
        unsafe { inner.as_ref() }.count_handle();
        Some(Self { inner })
    }

    /// The pool that a header with an index lies in.
    ///
    /// # Safety
    /// - `header` is a pool's, and its buffer is outside the depot, which keeps the pool alive.
    #[inline(always)]
    pub(crate) unsafe fn of_header(header: NonNull<BufferHeader>) -> NonNull<PoolInner> {
        // SAFETY: the builder wrote the pool's own address there, which is never null.
        unsafe { NonNull::new_unchecked(header.as_ref().owner.owner.cast::<PoolInner>()) }
    }

    /// One buffer from the depot. Never blocks; costs a few atomic operations, so loops use a
    /// [`LocalCache`].
    ///
    /// # Errors
    /// [`AllocError::Exhausted`], [`AllocError::Closed`].
    #[track_caller]
    pub fn alloc(&self) -> Result<Buffer, AllocError> {
        self.inner().alloc()
    }

    /// A cache for one thread's loop. It holds back up to [`Pool::cache_capacity`] free buffers.
    pub fn local_cache(&self) -> LocalCache {
        LocalCache::new(self.clone())
    }

    /// Most free buffers that one cache holds back.
    pub fn cache_capacity(&self) -> u32 {
        4 * self.inner().depot.magazine_size() as u32
    }

    /// Asks all caches to give back what they hold: each does at its owner's next release.
    pub fn reclaim(&self) {
        // Relaxed: a hint; a cache that sees it late flushes late.
        self.inner().signals.fetch_add(RECLAIM, Ordering::Relaxed);
    }

    /// Tells releasers that one more caller waits for a buffer.
    #[cfg(any(test, not(loom)))]
    pub(crate) fn count_waiter(&self) {
        // Relaxed: a hint to releasers; one that misses it costs a millisecond.
        self.inner().signals.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells that one that waited does no longer.
    #[cfg(any(test, not(loom)))]
    pub(crate) fn uncount_waiter(&self) {
        // Relaxed: as above.
        self.inner().signals.fetch_sub(1, Ordering::Relaxed);
    }

    /// Closes the pool: allocation answers [`AllocError::Closed`], waiters wake, views stay valid.
    /// Returns how many buffers are still in flight. Closing twice is harmless.
    pub fn close(&self) -> u32 {
        let inner = self.inner();
        // Relaxed: nothing is published with it; see `is_closed`.
        inner.signals.fetch_or(CLOSED, Ordering::Relaxed);
        inner.wake.notify_all();
        let is_first = inner.note_closed();
        let in_flight = inner.occupancy().in_flight;
        if is_first && in_flight != 0 {
            inner.board.tell_orphaned();
        }
        in_flight
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed()
    }

    /// Whether this process is a fork of the one that made the pool. Then the pool is dead: nothing can
    /// be had from it, and views that were inherited are private copies.
    pub fn is_forked(&self) -> bool {
        self.inner().is_forked()
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        &self.inner().name
    }

    /// Buffers it has.
    pub fn count(&self) -> u32 {
        self.inner().count()
    }

    /// Its buffers have `4096 << order` bytes.
    pub fn order(&self) -> u8 {
        self.inner().order
    }

    /// Shards of its depot.
    pub fn depot_shards(&self) -> u32 {
        self.inner().depot.shards()
    }

    /// Bytes of each buffer.
    pub fn buffer_bytes(&self) -> u32 {
        self.inner().buffer_bytes
    }

    /// Where its counters, tags and generations began.
    pub fn start_values(&self) -> StartValues {
        self.inner().start
    }

    /// Whether its memory lies on huge pages.
    pub fn is_huge(&self) -> bool {
        self.inner().region.is_huge()
    }

    /// What a model can ask about its memory.
    #[cfg(all(test, loom))]
    pub(crate) fn pages(&self) -> &Arc<crate::region::Pages> {
        self.inner().region.pages()
    }

    /// The word that its caches look at, for models.
    #[cfg(all(test, loom))]
    pub(crate) fn signals(&self) -> u64 {
        self.inner().signals.load(Ordering::Relaxed)
    }

    /// The accounts its views are held in.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.inner().accounts
    }

    /// Whether both are handles of the same pool.
    pub fn is_same(&self, other: &Pool) -> bool {
        self.inner == other.inner
    }
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        self.inner().count_handle();
        Self { inner: self.inner }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: one handle in `life` is ours.
        unsafe { PoolInner::let_go(self.inner, HANDLE) }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish()
    }
}
