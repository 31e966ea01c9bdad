//! One writer's part of the accounts.

use super::accounts::{Accounts, MAX_HOLDERS};
use super::copies::CopyCells;
use super::holder::HolderId;
use crate::clock::Ticker;
use crate::sync::{AtomicU64, Ordering, bump};
use std::sync::Arc;

/// Buckets of the latency histogram: bucket `b` counts latencies below `2^b` ticks of
/// [`crate::clock::TICK_NS`], the last one everything above.
pub const LATENCY_BUCKETS: usize = if cfg!(any(loom, shuttle)) { 1 } else { 32 };

/// What one holder took and gave back through one shard. Monotonic, may wrap; what is held is the
/// sum of `acquired` over all shards minus the sum of `released`.
#[derive(Debug)]
pub(super) struct HolderCell {
    acquired: AtomicU64,
    acquired_bytes: AtomicU64,
    released: AtomicU64,
    released_bytes: AtomicU64,
}

/// `cells[holder]` for every holder, and the latencies of what was released through this shard.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) cells: [HolderCell; MAX_HOLDERS],
    latency: [AtomicU64; LATENCY_BUCKETS],
    latency_ticks: AtomicU64,
    pub(super) copies: CopyCells,
}

impl Shard {
    pub(super) fn start_at(start: u64) -> Self {
        let counter = || AtomicU64::new(start);
        Self {
            cells: std::array::from_fn(|_| HolderCell {
                acquired: counter(),
                acquired_bytes: counter(),
                released: counter(),
                released_bytes: counter(),
            }),
            latency: std::array::from_fn(|_| counter()),
            latency_ticks: counter(),
            copies: CopyCells::start_at(start),
        }
    }

    /// `[acquired, acquired bytes, released, released bytes]` of one holder.
    ///
    /// Sinks are read before sources, so that what is in motion counts as held, never as negative.
    pub(super) fn read(&self, holder: usize) -> [u64; 4] {
        let cell = &self.cells[holder];
        // SYNC: Acquire pairs with the Release of `publish` and `share`: whoever sees a release also
        // sees the acquisition that came before it.
        let released = cell.released.load(Ordering::Acquire);
        let released_bytes = cell.released_bytes.load(Ordering::Acquire);
        // Relaxed: what has to be seen was ordered by the loads above.
        let acquired = cell.acquired.load(Ordering::Relaxed);
        let acquired_bytes = cell.acquired_bytes.load(Ordering::Relaxed);
        [acquired, acquired_bytes, released, released_bytes]
    }

    /// Views one holder gave back through this shard.
    pub(super) fn released(&self, holder: usize) -> u64 {
        // SYNC: Acquire pairs with the Release of `ShardHandle::release`: whoever counts on the
        // release also sees what came before it.
        self.cells[holder].released.load(Ordering::Acquire)
    }

    /// Adds what this shard counted since its raw counters were `start`.
    pub(super) fn read_latency(&self, start: u64, into: &mut LatencyHistogram) {
        // Relaxed: counters, read for reporting only.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed).wrapping_sub(start);
        for (total, bucket) in into.buckets.iter_mut().zip(&self.latency) {
            *total = total.wrapping_add(read(bucket));
        }
        into.sum_ticks = into.sum_ticks.wrapping_add(read(&self.latency_ticks));
    }
}

/// Time from a frame's arrival to the release of its views, of all shards together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    /// Bucket `b` counts latencies below `2^b` ticks, and not below `2^(b-1)`.
    pub buckets: [u64; LATENCY_BUCKETS],
    /// Sum of all latencies in ticks.
    pub sum_ticks: u64,
}

/// The right to write one shard. A thread's loop owns one; those that came too late share shard 0
/// and pay a read-modify-write for each count. So does whoever counts for a holder of other accounts,
/// in whose shard 0 that is done.
#[derive(Debug)]
pub struct ShardHandle {
    accounts: Arc<Accounts>,
    index: usize,
    ticker: Ticker,
}

impl ShardHandle {
    pub(super) fn new(accounts: Arc<Accounts>, index: usize) -> Self {
        Self { accounts, index, ticker: Ticker::default() }
    }

    /// The accounts this shard belongs to.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// The tick now, for what arrives; see [`Ticker`].
    #[inline]
    pub fn tick(&mut self) -> u32 {
        self.ticker.now()
    }

    /// Whether others write it too.
    #[inline(always)]
    pub(super) fn is_shared(&self) -> bool {
        self.index == 0
    }

    #[inline(always)]
    pub(super) fn shard(&self) -> &Shard {
        self.accounts.shard(self.index)
    }

    /// Counts `views` views of together `bytes` truesize as taken by `holder`.
    #[inline]
    pub fn acquire(&mut self, holder: HolderId, views: u64, bytes: u64) {
        if self.index == 0 || !self.accounts.has(holder) {
            self.accounts.acquire_shared(holder, views, bytes);
            return;
        }
        let cell = &self.accounts.shard(self.index).cells[holder.index()];
        publish(&cell.acquired_bytes, bytes);
        publish(&cell.acquired, views);
    }

    /// Counts `views` views of together `bytes` truesize as given back by `holder`.
    #[inline]
    pub fn release(&mut self, holder: HolderId, views: u64, bytes: u64) {
        if self.index == 0 || !self.accounts.has(holder) {
            self.accounts.release_shared(holder, views, bytes);
            return;
        }
        let cell = &self.accounts.shard(self.index).cells[holder.index()];
        publish(&cell.released_bytes, bytes);
        publish(&cell.released, views);
    }

    /// Counts `views` views of `holder` whose frames arrived `ticks` ago, in the accounts that it is
    /// registered in; [`HolderId::NONE`]'s in these.
    #[inline]
    pub fn observe_latency(&mut self, holder: HolderId, ticks: u32, views: u64) {
        if self.index == 0 || !(holder == HolderId::NONE || self.accounts.has(holder)) {
            self.accounts.observe_latency_shared(holder, ticks, views);
            return;
        }
        let shard = self.accounts.shard(self.index);
        bump(&shard.latency[bucket(ticks)], views);
        bump(&shard.latency_ticks, u64::from(ticks) * views);
    }
}

impl Drop for ShardHandle {
    fn drop(&mut self) {
        self.accounts.give_back_shard(self.index);
    }
}

impl Accounts {
    /// Counts an acquisition through the shard that everybody shares, of the holder's accounts.
    #[inline]
    pub(crate) fn acquire_shared(&self, holder: HolderId, views: u64, bytes: u64) {
        self.count_for(holder, |accounts| {
            let cell = &accounts.shard(0).cells[holder.index()];
            share(&cell.acquired_bytes, bytes);
            share(&cell.acquired, views);
        });
    }

    /// Counts a latency through the shard that everybody shares.
    pub(crate) fn observe_latency_shared(&self, holder: HolderId, ticks: u32, views: u64) {
        let count = |accounts: &Accounts| {
            let shard = accounts.shard(0);
            // Relaxed: counters, read for reporting only.
            shard.latency[bucket(ticks)].fetch_add(views, Ordering::Relaxed);
            shard.latency_ticks.fetch_add(u64::from(ticks) * views, Ordering::Relaxed);
        };
        if holder == HolderId::NONE { count(self) } else { self.count_for(holder, count) }
    }

    /// Counts a release through the shard that everybody shares, of the holder's accounts.
    #[inline]
    pub(crate) fn release_shared(&self, holder: HolderId, views: u64, bytes: u64) {
        self.count_for(holder, |accounts| {
            let cell = &accounts.shard(0).cells[holder.index()];
            share(&cell.released_bytes, bytes);
            share(&cell.released, views);
        });
    }
}

/// The bucket that counts a latency of `ticks`.
#[inline(always)]
fn bucket(ticks: u32) -> usize {
    ((u32::BITS - ticks.leading_zeros()) as usize).min(LATENCY_BUCKETS - 1)
}

/// Adds to a counter that only the owner of its shard writes.
#[inline(always)]
fn publish(counter: &AtomicU64, by: u64) {
    // Relaxed: this thread wrote the value itself.
    let next = counter.load(Ordering::Relaxed).wrapping_add(by);
    // SYNC: Release pairs with the Acquire of `Shard::read`, which sees sources after sinks.
    counter.store(next, Ordering::Release);
}

/// Adds to a counter of the shared shard.
#[inline(always)]
fn share(counter: &AtomicU64, by: u64) {
    // SYNC: Release pairs with the Acquire of `Shard::read`, as in `publish`.
    counter.fetch_add(by, Ordering::Release);
}
