//! A driver whose skbs were made by lease clients.

use std::sync::Arc;

use skbpool_deliver::{DriverConfig, DriverPort, DriverStats, Hub, HubError};
use skbpool_pool::{DropCount, DropReason, LocalCache, SkbBatch, clock};

/// What became of a client's skbs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseDelivered {
    /// Skbs that at least one consumer was handed.
    pub delivered: u64,
    /// Skbs that no consumer was there for.
    pub unclaimed: u64,
    /// Views that consumers missed, each counted by itself, and skbs that came after the hub was
    /// closed.
    pub dropped: Vec<DropCount>,
}

/// Delivers skbs that others made. Dropping it detaches the driver.
pub struct LeasePort {
    hub: Arc<Hub>,
    port: DriverPort,
    cache: LocalCache,
}

impl LeasePort {
    /// Attaches to `hub` as the driver `name`. No buffers are reserved: those it delivers are reserved
    /// by whoever allocated them.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn attach(hub: &Arc<Hub>, name: &str) -> Result<Self, HubError> {
        let port = hub.attach_driver(name, DriverConfig { buffers: 0 })?;
        Ok(Self { hub: Arc::clone(hub), port, cache: hub.pool().local_cache() })
    }

    /// Hands `batch` to every consumer and empties it. Who held the skbs until now does no longer.
    ///
    /// Takes the hub's lock twice, for the reasons.
    pub fn deliver(&mut self, batch: &mut SkbBatch) -> LeaseDelivered {
        let birth = clock::tick();
        let before = drops(&self.hub);
        let (mut delivered, mut unclaimed) = (0, 0);
        let (mut missed, mut missed_bytes) = (0, 0);
        let mut closed = DropCount { reason: DropReason::Closed, frames: 0, bytes: 0 };
        // One by one, since only then is it known which of them somebody was handed. A client's calls
        // cost far more than that.
        let mut one = SkbBatch::with_capacity(1);
        for mut skb in batch.drain() {
            if skb.birth == 0 {
                skb.birth = birth;
            }
            let bytes = u64::from(skb.len());
            one.push(skb);
            let done = self.port.deliver(&mut one, &mut self.cache);
            delivered += u64::from(done.published != 0);
            unclaimed += done.unclaimed;
            missed += done.missed;
            missed_bytes += done.missed * bytes;
            if done.published + done.missed + done.unclaimed == 0 {
                closed.frames += 1;
                closed.bytes += bytes;
            }
        }
        // Its cache is nobody's reservation, so nothing stays in it.
        self.cache.flush();
        let mut dropped = Vec::new();
        if missed != 0 {
            dropped = attribute(missed, missed_bytes, &before, &drops(&self.hub));
        }
        dropped.extend((closed.frames != 0).then_some(closed));
        LeaseDelivered { delivered, unclaimed, dropped }
    }

    /// Its figures.
    pub fn stats(&self) -> DriverStats {
        self.port.stats()
    }
}

/// Frames that the consumers of `hub` missed so far, by reason.
fn drops(hub: &Hub) -> [u64; DropReason::ALL.len()] {
    let mut sums = [0; DropReason::ALL.len()];
    for drop in hub.stats().consumers.iter().flat_map(|consumer| &consumer.dropped) {
        sums[drop.reason as usize - 1] += drop.frames;
    }
    sums
}

/// Divides what one driver's consumers missed by the reasons they counted meanwhile. Exact, unless
/// another driver delivered at the same time and consumers missed its frames for another reason.
fn attribute(
    missed: u64,
    bytes: u64,
    before: &[u64; DropReason::ALL.len()],
    after: &[u64; DropReason::ALL.len()],
) -> Vec<DropCount> {
    let (mut frames_left, mut bytes_left) = (missed, bytes);
    let mut dropped = Vec::new();
    for reason in DropReason::ALL {
        let at = reason as usize - 1;
        let frames = after[at].saturating_sub(before[at]).min(frames_left);
        if frames != 0 {
            let bytes = if frames == frames_left { bytes_left } else { bytes * frames / missed };
            dropped.push(DropCount { reason, frames, bytes });
            frames_left -= frames;
            bytes_left -= bytes;
        }
    }
    if frames_left != 0 {
        // Their consumer has left since.
        let reason = DropReason::Detached;
        dropped.push(DropCount { reason, frames: frames_left, bytes: bytes_left });
    }
    dropped
}
