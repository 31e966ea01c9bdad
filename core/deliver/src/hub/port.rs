//! A driver's place at the hub.

use super::control::Hub;
use super::link::LinkTx;
use super::stats::{DriverStats, count, read};
use crate::sync::AtomicU64;
use skbpool_pool::{DropCounters, DropReason, Holder, HolderId, LocalCache, Reservation, SkbBatch};
use std::sync::Arc;

/// What became of a batch, summed over consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames of the batch.
    pub frames: u64,
    /// Views that were published.
    pub published: u64,
    /// Views that consumers missed.
    pub missed: u64,
    /// Frames that no consumer was there for.
    pub unclaimed: u64,
}

#[derive(Debug)]
pub(crate) struct DriverCounters {
    frames: AtomicU64,
    bytes: AtomicU64,
    unclaimed: AtomicU64,
    pub(crate) drops: DropCounters,
}

impl DriverCounters {
    pub(super) fn new() -> Self {
        Self {
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            unclaimed: AtomicU64::new(0),
            drops: DropCounters::default(),
        }
    }

    pub(crate) fn stats(&self, name: &str) -> DriverStats {
        DriverStats {
            name: name.to_owned(),
            unclaimed: read(&self.unclaimed),
            dropped: self.drops.snapshot(),
            frames: read(&self.frames),
            bytes: read(&self.bytes),
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
        Self {
            hub,
            id,
            holder,
            links: Vec::new(),
            // Differs from the hub's version, so that the first delivery fetches the links.
            seen: u64::MAX,
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
    /// fence. `cache` is of the hub's pool, or of one with the same accounts.
    pub fn deliver(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache) -> Delivered {
        let frames = batch.len();
        let mut delivered = Delivered { frames: frames as u64, ..Delivered::default() };
        if frames == 0 {
            return delivered;
        }
        self.refresh();
        if self.closed {
            self.count_drop(DropReason::Closed, frames as u64, batch.bytes());
            batch.release(cache);
            return delivered;
        }
        count(&self.counters.frames, frames as u64);
        count(&self.counters.bytes, batch.bytes());
        let Some((last, others)) = self.links.split_last_mut() else {
            delivered.unclaimed = frames as u64;
            count(&self.counters.unclaimed, frames as u64);
            batch.release(cache);
            return delivered;
        };
        let mut gone = false;
        for link in others {
            let fit = link.fit(frames);
            let cloned = batch.clone_front_into(fit.views, &mut self.scratch);
            let done = self.scratch.len();
            let refused = refused(batch, fit.views);
            gone |= !link.publish(&mut self.scratch, fit, refused, cache);
            if cloned.is_err() {
                let unshared = &batch.as_slice()[done..fit.views];
                let bytes = unshared.iter().map(|skb| u64::from(skb.len())).sum();
                link.refuse(unshared.len() as u64, bytes);
            }
            delivered.published += done as u64;
            delivered.missed += (frames - done) as u64;
        }
        let fit = last.fit(frames);
        let refused = refused(batch, fit.views);
        self.scratch.extend(batch.as_mut_vec().drain(fit.views..));
        gone |= !last.publish(batch, fit, refused, cache);
        self.scratch.release(cache);
        delivered.published += fit.views as u64;
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
