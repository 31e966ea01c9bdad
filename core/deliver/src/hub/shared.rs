//! What both ends of a consumer's links share, and its figures.

use super::bell::Doorbell;
use super::config::{Policy, RunToCompletion};
use super::copies::Copies;
use super::delivered::Delivered;
use super::link::sizes;
use super::quota::Quota;
use super::quota_events::QuotaEvents;
use super::room::Room;
use super::stats::{ConsumerStats, Counter, add_drops};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, fence};
use skbpool_pool::{DropCount, DropCounters, DropReason, Holder, LocalCache, SkbBatch};
use std::sync::{Arc, PoisonError};

/// What both ends of all links of one consumer share.
#[derive(Debug)]
pub(crate) struct ConsumerShared {
    name: String,
    pub(crate) holder: Holder,
    pub(super) quota: Quota,
    pub(crate) policy: Policy,
    /// Its own memory, if it copies what the quota does not grant.
    pub(super) copies: Option<Copies>,
    pub(crate) doorbell: Doorbell,
    /// It takes frames out of the process.
    pub(super) outside: bool,
    /// What drivers run after they delivered.
    pub(super) run: Option<Arc<dyn RunToCompletion>>,
    /// Where drivers wait that may be blocked.
    pub(super) room: Room,
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
    copied: u64,
    copied_bytes: u64,
    waits: u64,
    dropped: Vec<DropCount>,
}

/// Written by the driver's end.
#[derive(Debug)]
pub(super) struct LinkCounters {
    pub(super) offered: Counter,
    pub(super) enqueued: Counter,
    pub(super) enqueued_bytes: Counter,
    /// Of those that were enqueued, the ones that were copied.
    pub(super) copied: Counter,
    pub(super) copied_bytes: Counter,
    /// How often the driver waited.
    pub(super) waits: Counter,
    /// Of those that were offered; [`DropReason::Evicted`] of those that were enqueued.
    drops: DropCounters,
}

impl LinkCounters {
    pub(super) fn start_at(start: u64) -> Self {
        Self {
            offered: Counter::start_at(start),
            enqueued: Counter::start_at(start),
            enqueued_bytes: Counter::start_at(start),
            copied: Counter::start_at(start),
            copied_bytes: Counter::start_at(start),
            waits: Counter::start_at(start),
            drops: DropCounters::start_at(start),
        }
    }

    /// Counts frames that were counted as offered before, and for [`DropReason::Evicted`] as enqueued.
    #[cold]
    pub(super) fn count_drop(&self, reason: DropReason, frames: u64, bytes: u64) {
        // SYNC: Release fence pairs with the Acquire fence of `stats`.
        fence(Ordering::Release);
        self.drops.count(reason, frames, bytes);
    }

    /// Counts frames that the driver took back, and releases them.
    pub(super) fn count_evicted(
        &self,
        evicted: &mut SkbBatch,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) {
        let (frames, bytes) = sizes(evicted.as_slice());
        self.count_drop(DropReason::Evicted, frames, bytes);
        delivered.evicted += frames;
        delivered.evicted_bytes += bytes;
        evicted.release(cache);
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
            policy: Policy::DropNewest,
            copies: None,
            doorbell,
            outside: false,
            run: None,
            room: Room::new(),
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

    pub(crate) fn quota_events(&self) -> QuotaEvents {
        self.quota.events()
    }

    /// Says that the consumer leaves. It must look into its rings once more afterwards.
    pub(crate) fn detach(&self) {
        // SYNC: Release pairs with the Acquire of `is_detached`: what the consumer took is final.
        self.detached.store(true, Ordering::Release);
        // SYNC: SeqCst fence pairs with the one in `Doorbell::press`: a driver that publishes after
        // our last look sees that we have left, and drops its end.
        fence(Ordering::SeqCst);
        self.room.call();
    }

    pub(crate) fn is_detached(&self) -> bool {
        // SYNC: Acquire pairs with the Release of `detach`.
        self.detached.load(Ordering::Acquire)
    }

    /// Whether copies that were made for it are out.
    pub(super) fn holds_copies(&self) -> bool {
        self.copies.as_ref().is_some_and(|copies| copies.holder.held().0 != 0)
    }

    /// Its figures. Sinks are read before sources: what was taken, what was dropped, what was offered.
    pub(crate) fn stats(&self) -> ConsumerStats {
        let links = self.links();
        // First of all: if it has left, what it took is final, and the rest was dropped.
        let detached = self.is_detached();
        let (held, held_bytes) = self.holder.held();
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
            held_bytes,
            quota: self.quota.views(),
            quota_bytes: self.quota.bytes(),
            copied: gone.copied,
            copied_bytes: gone.copied_bytes,
            copies_held_bytes: self.copies.as_ref().map_or(0, |copies| copies.holder.held().1),
            copy_memory: self.copies.as_ref().map_or(0, Copies::bytes),
            waits: gone.waits,
            dropped: gone.dropped.clone(),
        };
        let (mut enqueued, mut enqueued_bytes) = (gone.enqueued, gone.enqueued_bytes);
        for link in &links.live {
            add_drops(&mut stats.dropped, &link.drops.snapshot());
            // SYNC: Acquire fence pairs with the Release fence of `count_drop`: what was dropped was
            // offered before.
            fence(Ordering::Acquire);
            stats.waits += link.waits.get();
            stats.copied += link.copied.get();
            stats.copied_bytes += link.copied_bytes.get();
            enqueued_bytes += link.enqueued_bytes.get();
            enqueued += link.enqueued.get();
            stats.offered += link.offered.get();
        }
        // Both went out of the rings again without being taken: evicted by drivers, refused by itself.
        let evicted = stats.dropped.iter().find(|drop| drop.reason == DropReason::Evicted).copied();
        let and_out = |taken: u64, what: fn(&DropCount) -> u64| {
            refused.iter().chain(&evicted).map(what).fold(taken, u64::wrapping_add)
        };
        let left = enqueued.saturating_sub(and_out(frames, |drop| drop.frames));
        add_drops(&mut stats.dropped, &refused);
        if detached {
            // What was published for it and never taken was released with its rings.
            let bytes = enqueued_bytes.saturating_sub(and_out(bytes, |drop| drop.bytes));
            if left != 0 {
                let reason = DropReason::Detached;
                add_drops(&mut stats.dropped, &[DropCount { reason, frames: left, bytes }]);
            }
        } else {
            stats.queued = left;
        }
        stats
    }

    /// Lists the counters of a new link.
    pub(super) fn add_link(&self) -> Arc<LinkCounters> {
        let counters = Arc::new(LinkCounters::start_at(self.start));
        self.links().live.push(Arc::clone(&counters));
        counters
    }

    /// Keeps the sums of a link whose driver has left, and forgets it.
    pub(super) fn fold_link(&self, counters: &Arc<LinkCounters>) {
        let mut links = self.links();
        links.live.retain(|live| !Arc::ptr_eq(live, counters));
        let gone = &mut links.gone;
        gone.offered += counters.offered.get();
        gone.enqueued += counters.enqueued.get();
        gone.enqueued_bytes += counters.enqueued_bytes.get();
        gone.copied += counters.copied.get();
        gone.copied_bytes += counters.copied_bytes.get();
        gone.waits += counters.waits.get();
        add_drops(&mut gone.dropped, &counters.drops.snapshot());
    }

    pub(super) fn links(&self) -> MutexGuard<'_, LinkList> {
        // Sums are added one after the other, and nothing in between panics.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
