//! A driver whose skbs were made by lease clients.

use std::sync::Arc;

use skbpool_deliver::{DriverConfig, DriverPort, DriverStats, Drops, Hub, HubError};
use skbpool_pool::{DropCount, LocalCache, SkbBatch, clock};

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
        let port = hub.attach_driver(name, DriverConfig::with_buffers(0))?;
        Ok(Self { port, cache: hub.pool().local_cache() })
    }

    /// Hands `batch` to every consumer and empties it. Who held the skbs until now does no longer.
    pub fn deliver(&mut self, batch: &mut SkbBatch) -> LeaseDelivered {
        let birth = clock::tick();
        let (mut delivered, mut unclaimed) = (0, 0);
        let mut drops = Drops::default();
        // One by one, since only then is it known which of them somebody was handed. A client's calls
        // cost far more than that.
        let mut one = SkbBatch::with_capacity(1);
        for mut skb in batch.drain() {
            if skb.birth == 0 {
                skb.birth = birth;
            }
            one.push(skb);
            let done = self.port.deliver(&mut one, &mut self.cache);
            delivered += u64::from(done.published != 0);
            unclaimed += done.unclaimed;
            drops.add_all(&done.drops);
        }
        // Its cache is nobody's reservation, so nothing stays in it.
        self.cache.flush();
        LeaseDelivered { delivered, unclaimed, dropped: drops.iter().collect() }
    }

    /// Its figures.
    pub fn stats(&self) -> DriverStats {
        self.port.stats()
    }
}
