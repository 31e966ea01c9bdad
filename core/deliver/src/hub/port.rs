//! A driver's place at the hub.

use super::control::Hub;
use super::delivered::Delivered;
use super::link::LinkTx;
use super::stats::{Counter, DriverStats};
use skbpool_pool::{DropCounters, DropReason, Holder, HolderId, LocalCache, Reservation, SkbBatch};
use std::sync::Arc;

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
    scratch: SkbBatch,
    _reservation: Reservation,
}

impl DriverPort {
    pub(super) fn new(
        hub: Arc<Hub>,
        id: u64,
        holder: Holder,
        counters: Arc<DriverCounters>,
        reservation: Reservation,
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
            scratch: SkbBatch::new(),
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
    /// Never waits: what a consumer cannot take is dropped and counted as that consumer's own, and
    /// the buffer goes home if nobody else has it. With several consumers each but the last gets
    /// clones. Costs for each consumer one atomic addition a run of views of one buffer, and once a
    /// batch two atomic operations for the quota, plain stores for the ring and the counters, and a
    /// fence. `cache` is of the hub's pool, or of one with the same accounts. A frame whose holder was
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
        self.counters.bytes.add(batch.bytes());
        let chained = batch.as_slice().iter().any(|skb| skb.is_chain());
        let Some((last, others)) = self.links.split_last_mut() else {
            delivered.unclaimed = frames as u64;
            self.counters.unclaimed.add(frames as u64);
            batch.release(cache);
            return delivered;
        };
        let mut gone = false;
        for link in others {
            let fit = link.fit(batch, chained);
            let cloned = batch.clone_front_into(fit.frames, &mut self.scratch);
            let done = self.scratch.len();
            let refused = refused(batch, fit.frames);
            gone |= !link.publish(&mut self.scratch, fit, refused, cache);
            if refused.0 != 0 {
                delivered.drops.add(fit.reason, refused.0, refused.1);
            }
            if cloned.is_err() {
                let (frames, bytes) = link.refuse(&batch.as_slice()[done..fit.frames]);
                delivered.drops.add(DropReason::SharedLimit, frames, bytes);
            }
            delivered.published += done as u64;
            delivered.missed += (frames - done) as u64;
        }
        let fit = last.fit(batch, chained);
        let refused = refused(batch, fit.frames);
        self.scratch.extend(batch.as_mut_vec().drain(fit.frames..));
        gone |= !last.publish(batch, fit, refused, cache);
        self.scratch.release(cache);
        if refused.0 != 0 {
            delivered.drops.add(fit.reason, refused.0, refused.1);
        }
        delivered.published += fit.frames as u64;
        delivered.missed += refused.0;
        if gone {
            self.links.retain(|link| !link.shared.is_detached());
        }
        delivered
    }

    /// Counts frames that never got into a buffer.
    pub fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        self.counters.drops.count(reason, frames, bytes);
    }

    /// The driver's figures.
    pub fn stats(&self) -> DriverStats {
        self.counters.stats("")
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

/// Frames and bytes behind the first `views` skbs.
#[inline]
fn refused(batch: &SkbBatch, views: usize) -> (u64, u64) {
    let refused = &batch.as_slice()[views..];
    (refused.len() as u64, refused.iter().map(|skb| u64::from(skb.len())).sum())
}

impl Drop for DriverPort {
    fn drop(&mut self) {
        self.links.clear();
        self.hub.detach_driver(self.id);
    }
}
