//! A driver's place at the hub.

use super::bell::Deadline;
use super::control::Hub;
use super::delivered::Delivered;
use super::link::LinkTx;
use super::stats::{Counter, DriverStats};
use skbpool_pool::{
    DropCounters, DropReason, Holder, HolderId, LocalCache, Reservation, Share, SkbBatch,
};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct DriverCounters {
    frames: Counter,
    bytes: Counter,
    unclaimed: Counter,
    pub(crate) drops: DropCounters,
}

impl DriverCounters {
    pub(super) fn start_at(start: u64) -> Self {
        Self {
            frames: Counter::start_at(start),
            bytes: Counter::start_at(start),
            unclaimed: Counter::start_at(start),
            drops: DropCounters::start_at(start),
        }
    }

    pub(crate) fn stats(&self, name: &str) -> DriverStats {
        DriverStats {
            name: name.to_owned(),
            unclaimed: self.unclaimed.get(),
            dropped: self.drops.snapshot(),
            frames: self.frames.get(),
            bytes: self.bytes.get(),
        }
    }
}

/// Where a driver delivers. Used through `&mut` by its receive loop; dropping it detaches the driver,
/// and views that are out stay valid (S6).
#[derive(Debug)]
pub struct DriverPort {
    hub: Arc<Hub>,
    id: u64,
    holder: Holder,
    links: Vec<LinkTx>,
    seen: u64,
    /// The hub was closed.
    closed: bool,
    counters: Arc<DriverCounters>,
    /// What each link gets of a batch.
    shares: Vec<Share>,
    may_block: Duration,
    _reservation: Reservation,
}

impl DriverPort {
    pub(super) fn new(
        hub: Arc<Hub>,
        id: u64,
        holder: Holder,
        counters: Arc<DriverCounters>,
        reservation: Reservation,
        may_block: Duration,
    ) -> Self {
        let version = hub.version();
        Self {
            hub,
            id,
            holder,
            links: Vec::new(),
            // Older than the driver, so that the first delivery fetches the links.
            seen: version.wrapping_sub(1),
            closed: false,
            counters,
            shares: Vec::new(),
            may_block,
            _reservation: reservation,
        }
    }

    /// Who answers for the buffers that this driver has posted.
    pub fn holder(&self) -> HolderId {
        self.holder.id()
    }

    /// Hands `batch` to every consumer and empties it. After the hub was closed, everything is
    /// dropped and counted.
    ///
    /// Never waits, unless the driver may be blocked and a consumer asks for it ([`Block`](crate::Policy::Block)):
    /// then others get theirs first, and those that it runs ([`RunToCompletion`](crate::RunToCompletion)) are
    /// run before and after. What these do takes as long as it takes, and may wait: a stamp reader does for
    /// other drivers that run it. What a consumer cannot take is dropped and counted as that
    /// consumer's own, by its policy, and the buffer goes home if nobody else has it. Costs one change
    /// of the count for each run of views of one buffer, however many consumers there are, none for a
    /// single one that takes all; for each consumer 64 bytes copied a view, two atomic operations for
    /// the quota (four with a limit of bytes), plain stores for the ring and the counters, and a fence.
    /// `cache` is of the hub's pool, or of one with the same accounts. A frame whose holder was
    /// registered in other accounts than those costs a look for them, under a lock that readers share.
    pub fn deliver(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache) -> Delivered {
        let frames = batch.len();
        let mut delivered = Delivered { frames: frames as u64, ..Delivered::default() };
        if frames == 0 {
            return delivered;
        }
        self.refresh();
        if self.closed {
            let bytes = batch.bytes();
            self.count_drop(DropReason::Closed, frames as u64, bytes);
            delivered.drops.add(DropReason::Closed, frames as u64, bytes);
            batch.release(cache);
            return delivered;
        }
        self.counters.frames.add(frames as u64);
        let (bytes, chained) = batch.measure();
        self.counters.bytes.add(bytes);
        if self.links.is_empty() {
            delivered.unclaimed = frames as u64;
            self.counters.unclaimed.add(frames as u64);
            batch.release(cache);
            return delivered;
        }
        let may_wait = !self.may_block.is_zero();
        self.shares.resize_with(self.links.len(), Share::default);
        for (link, share) in self.links.iter_mut().zip(&mut self.shares) {
            share.wanted = link.fit(batch, chained, may_wait, cache, &mut delivered);
        }
        batch.fan_out(&mut self.shares, cache);
        let mut gone = false;
        for (link, share) in self.links.iter_mut().zip(&mut self.shares) {
            gone |= !link.publish(share, cache, &mut delivered);
        }
        let published = delivered.published;
        // One that has no room is run too: it may be full of what came before it could be run.
        self.run_inline(cache);
        if may_wait {
            gone |= self.wait_for_room(batch, cache, &mut delivered);
            if delivered.published != published {
                self.run_inline(cache);
            }
        }
        if gone {
            self.links.retain(|link| !link.shared.is_detached());
        }
        delivered
    }

    /// Runs the consumers that this driver runs to completion.
    #[inline]
    fn run_inline(&self, cache: &mut LocalCache) {
        for run in self.links.iter().filter_map(|link| link.shared.run.as_ref()) {
            run.run(cache);
        }
    }

    /// Waits for consumers that may block this driver, one after the other, and publishes what they
    /// make room for; answers whether one of them has left. `scratch` is empty and stays so.
    fn wait_for_room(
        &mut self,
        scratch: &mut SkbBatch,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> bool {
        let mut end = None;
        let mut gone = false;
        for link in self.links.iter_mut().filter(|link| !link.waiting.is_empty()) {
            // The clock is read when there is something to wait for.
            let end = *end.get_or_insert_with(|| Deadline::after(self.may_block));
            gone |= link.wait_for_room(&self.hub, end, scratch, cache, delivered);
        }
        gone
    }

    /// Whether a consumer takes frames out of the process. Costs a load, a lock after somebody attached,
    /// and a look at each consumer.
    pub fn serves_outside(&mut self) -> bool {
        self.refresh();
        self.links.iter().any(|link| link.shared.outside)
    }

    /// Counts frames that never got into a buffer.
    pub fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        self.counters.drops.count(reason, frames, bytes);
    }

    /// The driver's figures.
    pub fn stats(&self) -> DriverStats {
        self.counters.stats("")
    }

    /// What tells the driver's figures from any thread, also when the driver has left.
    pub fn observer(&self) -> DriverObserver {
        DriverObserver { counters: Arc::clone(&self.counters) }
    }

    /// Learns of consumers that came or went: one load when nobody did, a lock otherwise.
    #[inline]
    fn refresh(&mut self) {
        let version = self.hub.version();
        if version != self.seen {
            self.seen = version;
            self.closed = self.hub.is_closed();
            self.links.retain(|link| !link.shared.is_detached());
            self.hub.take_driver_links(self.id, &mut self.links);
        }
    }
}

/// Tells the figures of one driver, whose name may be another's too.
#[derive(Clone, Debug)]
pub struct DriverObserver {
    counters: Arc<DriverCounters>,
}

impl DriverObserver {
    /// The figures; the name is empty.
    pub fn stats(&self) -> DriverStats {
        self.counters.stats("")
    }
}

impl Drop for DriverPort {
    fn drop(&mut self) {
        self.links.clear();
        self.hub.detach_driver(self.id);
    }
}
