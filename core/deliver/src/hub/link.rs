//! One driver's connection to one consumer.

use super::bell::Doorbell;
use super::quota::Quota;
use super::stats::{ConsumerStats, Counter, add_drops};
use crate::spsc::{Dequeue, Enqueue};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, fence};
use skbpool_pool::{
    DropCount, DropCounters, DropReason, Holder, HolderId, LocalCache, Skb, SkbBatch,
};
use std::sync::{Arc, PoisonError};

/// What both ends of all links of one consumer share.
#[derive(Debug)]
pub(crate) struct ConsumerShared {
    name: String,
    pub(crate) holder: Holder,
    quota: Quota,
    pub(crate) doorbell: Doorbell,
    /// Where the raw counters of the consumer and its links begin.
    start: u64,
    /// The consumer is gone; drivers drop their ends when they see it.
    detached: AtomicBool,
    /// Frames and bytes the consumer took out of its rings.
    pub(crate) frames: Counter,
    pub(crate) bytes: Counter,
    /// What it took and could not use.
    refused: DropCounters,
    /// Counters of the links there are, and the sums of those that are gone.
    links: Mutex<LinkList>,
}

#[derive(Debug, Default)]
pub(super) struct LinkList {
    live: Vec<Arc<LinkCounters>>,
    gone: GoneLinks,
}

/// Sums over links whose driver has left.
#[derive(Debug, Default)]
struct GoneLinks {
    offered: u64,
    enqueued: u64,
    enqueued_bytes: u64,
    dropped: Vec<DropCount>,
}

/// Written by the driver's end.
#[derive(Debug)]
struct LinkCounters {
    offered: Counter,
    enqueued: Counter,
    enqueued_bytes: Counter,
    drops: DropCounters,
}

impl LinkCounters {
    fn start_at(start: u64) -> Self {
        Self {
            offered: Counter::start_at(start),
            enqueued: Counter::start_at(start),
            enqueued_bytes: Counter::start_at(start),
            drops: DropCounters::start_at(start),
        }
    }

    /// Counts frames that were counted as offered before.
    #[cold]
    fn count_drop(&self, reason: DropReason, frames: u64, bytes: u64) {
        // SYNC: Release fence pairs with the Acquire fence of `stats`.
        fence(Ordering::Release);
        self.drops.count(reason, frames, bytes);
    }
}

impl ConsumerShared {
    /// A consumer whose raw counters begin at `start`.
    pub(crate) fn start_at(
        start: u64,
        name: &str,
        holder: Holder,
        quota: Quota,
        doorbell: Doorbell,
    ) -> Self {
        Self {
            name: name.to_owned(),
            holder,
            quota,
            doorbell,
            start,
            detached: AtomicBool::new(false),
            frames: Counter::start_at(start),
            bytes: Counter::start_at(start),
            refused: DropCounters::start_at(start),
            links: Mutex::new(LinkList::default()),
        }
    }

    /// Counts frames that the consumer took and could not use.
    pub(crate) fn count_refused(&self, reason: DropReason, frames: u64, bytes: u64) {
        // SYNC: Release fence pairs with the Acquire fence of `stats`.
        fence(Ordering::Release);
        self.refused.count(reason, frames, bytes);
    }

    /// Says that the consumer leaves. It must look into its rings once more afterwards.
    pub(crate) fn detach(&self) {
        // SYNC: Release pairs with the Acquire of `is_detached`: what the consumer took is final.
        self.detached.store(true, Ordering::Release);
        // SYNC: SeqCst fence pairs with the one in `Doorbell::press`: a driver that publishes after
        // our last look sees that we have left, and drops its end.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn is_detached(&self) -> bool {
        // SYNC: Acquire pairs with the Release of `detach`.
        self.detached.load(Ordering::Acquire)
    }

    /// Its figures. Sinks are read before sources: what was taken, what was dropped, what was offered.
    pub(crate) fn stats(&self) -> ConsumerStats {
        let links = self.links();
        // First of all: if it has left, what it took is final, and the rest was dropped.
        let detached = self.is_detached();
        let (held, _) = self.holder.held();
        let (frames, bytes) = (self.frames.get(), self.bytes.get());
        let refused = self.refused.snapshot();
        // SYNC: Acquire fence pairs with the Release fence of `count_refused`: what was refused was
        // published before.
        fence(Ordering::Acquire);
        let gone = &links.gone;
        let mut stats = ConsumerStats {
            name: self.name.clone(),
            offered: gone.offered,
            frames,
            bytes,
            queued: 0,
            held,
            quota: self.quota.limit(),
            dropped: gone.dropped.clone(),
        };
        let (mut enqueued, mut enqueued_bytes) = (gone.enqueued, gone.enqueued_bytes);
        for link in &links.live {
            add_drops(&mut stats.dropped, &link.drops.snapshot());
            // SYNC: Acquire fence pairs with the Release fence of `count_drop`: what was dropped was
            // offered before.
            fence(Ordering::Acquire);
            enqueued_bytes += link.enqueued_bytes.get();
            enqueued += link.enqueued.get();
            stats.offered += link.offered.get();
        }
        add_drops(&mut stats.dropped, &refused);
        let of = |what: fn(&DropCount) -> u64| refused.iter().map(what).sum::<u64>();
        let left = enqueued.saturating_sub(frames + of(|drop| drop.frames));
        if detached {
            // What was published for it and never taken was released with its rings.
            let bytes = enqueued_bytes.saturating_sub(bytes + of(|drop| drop.bytes));
            if left != 0 {
                let reason = DropReason::Detached;
                add_drops(&mut stats.dropped, &[DropCount { reason, frames: left, bytes }]);
            }
        } else {
            stats.queued = left;
        }
        stats
    }

    pub(super) fn links(&self) -> MutexGuard<'_, LinkList> {
        // Sums are added one after the other, and nothing in between panics.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's end of a link.
#[derive(Debug)]
pub(crate) struct LinkTx {
    /// Dropped first: frames in it are released before the hub can find that nobody has `shared`.
    ring: Enqueue<Skb>,
    counters: Arc<LinkCounters>,
    pub(crate) shared: Arc<ConsumerShared>,
}

/// The consumer's end of a link.
#[derive(Debug)]
pub(crate) struct LinkRx {
    /// Dropped first, as in [`LinkTx`].
    pub(crate) ring: Dequeue<Skb>,
    counters: Arc<LinkCounters>,
    shared: Arc<ConsumerShared>,
}

/// How many frames of a batch fit a consumer now, and why not more.
#[derive(Clone, Copy)]
pub(crate) struct Fit {
    pub(crate) frames: usize,
    pub(crate) reason: DropReason,
}

/// How many views the frames of a batch are: a chain is one in every buffer it lies in.
pub(crate) fn views(frames: &[Skb]) -> u64 {
    frames.iter().map(|skb| u64::from(skb.views())).sum()
}

/// Both ends of a new link over `ring`.
pub(crate) fn link(
    shared: &Arc<ConsumerShared>,
    (tx, rx): (Enqueue<Skb>, Dequeue<Skb>),
) -> (LinkTx, LinkRx) {
    let counters = Arc::new(LinkCounters::start_at(shared.start));
    shared.links().live.push(Arc::clone(&counters));
    let (shared_tx, shared_rx) = (Arc::clone(shared), Arc::clone(shared));
    (
        LinkTx { shared: shared_tx, counters: Arc::clone(&counters), ring: tx },
        LinkRx { shared: shared_rx, counters, ring: rx },
    )
}

impl LinkTx {
    /// How many of the frames the consumer can take now, from the first on; `chained` says that there
    /// may be chains among them. Those that fit have to be published or refused, for the quota counts
    /// their views as the consumer's from here on.
    #[inline]
    pub(crate) fn fit(&mut self, batch: &SkbBatch, chained: bool) -> Fit {
        let wanted = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let room = self.ring.room(wanted).min(wanted) as usize;
        let frames = if chained {
            self.fit_chains(&batch.as_slice()[..room])
        } else {
            self.shared.quota.grant(&self.shared.holder, room as u64) as usize
        };
        // Where both are in the way, the quota is what the consumer can do something about.
        let by_quota = frames < room
            || (room < batch.len() && self.shared.quota.is_used_up(&self.shared.holder));
        let reason = if by_quota { DropReason::Quota } else { DropReason::RingFull };
        Fit { frames, reason }
    }

    /// Views of `wanted` that the quota grants, for models.
    #[cfg(all(test, loom))]
    pub(crate) fn grant(&self, wanted: u64) -> u64 {
        self.shared.quota.grant(&self.shared.holder, wanted)
    }

    /// How many of `frames` the quota has views for.
    #[cold]
    fn fit_chains(&self, frames: &[Skb]) -> usize {
        let granted = self.shared.quota.grant(&self.shared.holder, views(frames));
        let mut left = granted;
        let fitting = frames
            .iter()
            .take_while(|skb| {
                let rest = left.checked_sub(u64::from(skb.views()));
                left = rest.unwrap_or(left);
                rest.is_some()
            })
            .count();
        self.shared.quota.settle(left);
        fitting
    }

    /// Publishes all of `batch`, which fits, and counts `refused` frames (and bytes) as missed.
    /// Answers false if the consumer has left: then this end has to be dropped, and with it goes
    /// whatever lies in the ring.
    #[inline]
    #[must_use]
    pub(crate) fn publish(
        &mut self,
        batch: &mut SkbBatch,
        fit: Fit,
        refused: (u64, u64),
        cache: &mut LocalCache,
    ) -> bool {
        let frames = batch.len();
        let offered = frames as u64 + refused.0;
        self.counters.offered.add(offered);
        if refused.0 != 0 {
            self.counters.count_drop(fit.reason, refused.0, refused.1);
        }
        if frames == 0 {
            return true;
        }
        let holder = self.shared.holder.id();
        let (mut views, mut truesize, mut bytes) = (0, 0, 0);
        for skb in batch.as_mut_slice() {
            let charge = (u64::from(skb.views()), u64::from(skb.truesize()));
            if skb.holder() != HolderId::NONE {
                cache.shard().release(skb.holder(), charge.0, charge.1);
            }
            views += charge.0;
            truesize += charge.1;
            bytes += u64::from(skb.len());
            skb.set_holder(holder);
        }
        cache.shard().acquire(holder, views, truesize);
        self.shared.quota.settle(views);
        self.counters.enqueued_bytes.add(bytes);
        self.counters.enqueued.add(frames as u64);
        let enqueued = self.ring.enqueue_vec(batch.as_mut_vec());
        debug_assert_eq!(enqueued as usize, frames, "the caller asked `fit` first");
        self.shared.doorbell.press();
        // The fence in `press` pairs with the one in `detach`: either the consumer's last look saw
        // these frames, or we see here that it has left.
        !self.shared.is_detached()
    }

    /// Counts frames that would fit, of a buffer whose reference count is at its limit; returns how
    /// many they are, and their bytes.
    #[cold]
    pub(crate) fn refuse(&mut self, frames: &[Skb]) -> (u64, u64) {
        self.shared.quota.settle(views(frames));
        let bytes = frames.iter().map(|skb| u64::from(skb.len())).sum();
        let frames = frames.len() as u64;
        self.counters.offered.add(frames);
        self.counters.count_drop(DropReason::SharedLimit, frames, bytes);
        (frames, bytes)
    }
}

impl LinkRx {
    /// Whether the driver has left and everything it published was taken.
    pub(crate) fn is_finished(&mut self) -> bool {
        !self.ring.is_connected() && self.ring.filled(1) == 0
    }

    /// Releases what lies in the ring.
    pub(crate) fn drain(&mut self) {
        let mut left = Vec::new();
        while self.ring.dequeue(&mut left, 256) != 0 {
            left.clear();
        }
    }
}

impl Drop for LinkRx {
    fn drop(&mut self) {
        if self.ring.is_connected() {
            // The driver may still count; its counters stay listed with the consumer.
            return;
        }
        let mut links = self.shared.links();
        let counters = &self.counters;
        links.live.retain(|live| !Arc::ptr_eq(live, counters));
        let gone = &mut links.gone;
        gone.offered += counters.offered.get();
        gone.enqueued += counters.enqueued.get();
        gone.enqueued_bytes += counters.enqueued_bytes.get();
        add_drops(&mut gone.dropped, &counters.drops.snapshot());
    }
}
