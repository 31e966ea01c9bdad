//! The hub: the list of who is there.

use super::bell::Doorbell;
use super::config::{ConsumerConfig, DriverConfig, Policy};
use super::consumer::Consumer;
use super::copies::Copies;
use super::ends::Ends;
use super::error::HubError;
use super::link::{LinkRx, LinkTx, link};
use super::port::{DriverCounters, DriverPort};
use super::quota::Quota;
use super::shared::ConsumerShared;
use super::stats::{ConsumerStats, DriverStats, HubStats};
use crate::claimed;
use crate::spsc::{MAX_SLOTS, Ring, RingError};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use skbpool_pool::{AllocError, HolderKind, Pool, Reservation};
use std::sync::{Arc, PoisonError};

struct DriverEntry {
    id: u64,
    name: String,
    counters: Arc<DriverCounters>,
    /// Links it has not fetched yet.
    inbox: Vec<LinkTx>,
}

struct ConsumerEntry {
    id: u64,
    config: ConsumerConfig,
    /// Slots of each of its rings.
    slots: u32,
    shared: Arc<ConsumerShared>,
    /// Links it has not fetched yet.
    inbox: Vec<LinkRx>,
    reservation: Reservation,
}

/// A consumer that is gone, but not without trace.
struct Leaving {
    /// Shared with drivers that have not looked since.
    shared: Arc<ConsumerShared>,
    /// As long as views it took are out, their buffers are promised to nobody else.
    reservation: Option<Reservation>,
}

#[derive(Default)]
pub(super) struct Control {
    next_id: u64,
    drivers: Vec<DriverEntry>,
    consumers: Vec<ConsumerEntry>,
    detached_drivers: DriverStats,
    detached_consumers: ConsumerStats,
    leaving: Vec<Leaving>,
}

/// Joins the drivers and consumers of one pool.
///
/// Attaching and detaching take its lock; delivering and polling only compare its version.
pub struct Hub {
    pool: Pool,
    /// Raised whenever somebody comes or goes.
    version: AtomicU64,
    closed: AtomicBool,
    control: Mutex<Control>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub for frames in buffers of `pool`. Its counters begin where the pool's do.
    pub fn new(pool: Pool) -> Arc<Self> {
        let start = pool.start_values().counter;
        let hub = Arc::new(Self {
            pool,
            version: AtomicU64::new(start),
            closed: AtomicBool::new(false),
            control: Mutex::new(Control::default()),
        });
        #[cfg(not(loom))]
        skbpool_pool::fork::register(Arc::downgrade(&hub) as _);
        hub
    }

    /// Its pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Attaches a driver.
    ///
    /// # Errors
    /// [`HubError`]: its buffers do not fit the pool beside everybody's, or the hub is closed.
    pub fn attach_driver(
        self: &Arc<Self>,
        name: &str,
        config: DriverConfig,
    ) -> Result<DriverPort, HubError> {
        self.fold_leaving(self.open_control()?);
        let reservation = self.pool.reserve(config.buffers, &format!("driver \"{name}\""))?;
        let holder = self.pool.accounts().holder(name, HolderKind::Driver)?;
        let mut control = self.open_control()?;
        // All of them before the first is linked: without the memory for one, nothing has changed.
        let rings: Result<Vec<_>, _> = control.consumers.iter().map(ConsumerEntry::ring).collect();
        let (id, mut inbox) = (control.new_id(), Vec::new());
        let counters = Arc::new(DriverCounters::start_at(self.pool.start_values().counter));
        for (consumer, ring) in control.consumers.iter_mut().zip(rings?) {
            let (tx, rx) = link(&consumer.shared, ring);
            inbox.push(tx);
            consumer.inbox.push(rx);
        }
        control.drivers.push(DriverEntry {
            id,
            name: name.to_owned(),
            counters: Arc::clone(&counters),
            inbox,
        });
        self.raise_version();
        Ok(DriverPort::new(Arc::clone(self), id, holder, counters, reservation, config.may_block))
    }

    /// Attaches a consumer: from now on it is offered every frame of every driver.
    ///
    /// # Errors
    /// [`HubError`]: its quota does not fit the pool beside everybody's, or the hub is closed.
    pub fn attach_consumer(
        self: &Arc<Self>,
        name: &str,
        config: ConsumerConfig,
    ) -> Result<Consumer, HubError> {
        if config.quota == 0 || config.quota_bytes == Some(0) {
            return Err(HubError::NoQuota { name: name.to_owned() });
        }
        config.check()?;
        let copies = match config.policy {
            Policy::CopyOut { bytes } => Some(Copies::new(&self.pool, name, bytes)?),
            _ => None,
        };
        self.fold_leaving(self.open_control()?);
        let what = format!("the quota of consumer \"{name}\"");
        let reservation = self.pool.reserve(config.quota, &what)?;
        let holder = self.pool.accounts().holder(name, HolderKind::Consumer)?;
        let (bell, token) = config.bell.clone().unwrap_or_default();
        let quota = Quota::start_at(config.quota, config.quota_bytes, config.start_index_64());
        let doorbell = Doorbell::new(Arc::clone(&bell), token);
        let start = self.pool.start_values().counter;
        let slots = config.slots(copies.as_ref().map_or(0, Copies::buffers));
        let mut shared = ConsumerShared::start_at(start, name, holder, quota, doorbell);
        shared.policy = config.policy;
        shared.copies = copies;
        shared.run = config.run.clone();
        shared.outside = config.outside;
        // Before the lock, so that if it is refused its pool of copies goes after the lock.
        let shared = Arc::new(shared);
        let mut control = self.open_control()?;
        let rings: Result<Vec<_>, _> = control.drivers.iter().map(|_| config.ring(slots)).collect();
        let mut inbox = Vec::new();
        for (driver, ring) in control.drivers.iter_mut().zip(rings?) {
            let (tx, rx) = link(&shared, ring);
            driver.inbox.push(tx);
            inbox.push(rx);
        }
        let id = control.new_id();
        control.consumers.push(ConsumerEntry {
            id,
            config,
            slots,
            shared: Arc::clone(&shared),
            inbox,
            reservation,
        });
        self.raise_version();
        Ok(Consumer::new(Arc::clone(self), id, shared, bell))
    }

    /// Refuses whoever comes from now on, and wakes every consumer.
    pub fn close(&self) {
        self.refuse();
        if self.pool.is_forked() {
            return;
        }
        for consumer in &self.control().consumers {
            consumer.shared.doorbell.press();
            consumer.shared.room.call();
        }
    }

    pub(super) fn refuse(&self) {
        // Relaxed: drivers see it by the version raised next, sleepers by the fence in `press`, and
        // whoever attaches by the lock.
        self.closed.store(true, Ordering::Relaxed);
        self.raise_version();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        // Relaxed: see `close`.
        self.closed.load(Ordering::Relaxed)
    }

    /// Everybody's figures. Takes the lock.
    pub fn stats(&self) -> HubStats {
        self.fold_leaving(self.control());
        let control = self.control();
        // Sinks before sources: what consumers took before what drivers received.
        let consumers = control.consumers.iter().map(|entry| entry.shared.stats()).collect();
        let mut detached_consumers = control.detached_consumers.clone();
        for leaving in &control.leaving {
            detached_consumers.add(&leaving.shared.stats());
        }
        let drivers = control.drivers.iter().map(|entry| entry.counters.stats(&entry.name));
        HubStats {
            drivers: drivers.collect(),
            detached_drivers: control.detached_drivers.clone(),
            consumers,
            detached_consumers,
        }
    }

    #[inline(always)]
    pub(crate) fn version(&self) -> u64 {
        // SYNC: Acquire pairs with the Release of `raise_version`: who sees that something changed sees
        // whether the hub was closed. The lists are read under the lock.
        self.version.load(Ordering::Acquire)
    }

    fn raise_version(&self) {
        // SYNC: Release pairs with the Acquire of `version`.
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn take_driver_links(&self, id: u64, links: &mut Vec<LinkTx>) {
        let mut control = self.control();
        if let Some(driver) = control.drivers.iter_mut().find(|driver| driver.id == id) {
            links.append(&mut driver.inbox);
        }
    }

    pub(super) fn take_consumer_links(&self, id: u64, links: &mut Vec<LinkRx>) {
        let mut control = self.control();
        if let Some(consumer) = control.consumers.iter_mut().find(|consumer| consumer.id == id) {
            links.append(&mut consumer.inbox);
        }
    }

    pub(super) fn detach_driver(&self, id: u64) {
        let mut control = self.control();
        let Some(at) = control.drivers.iter().position(|driver| driver.id == id) else { return };
        let entry = control.drivers.swap_remove(at);
        control.detached_drivers.add(&entry.counters.stats(""));
        drop(entry);
        // A consumer that sleeps would never look, and keep a ring for every driver that ever came.
        for consumer in &mut control.consumers {
            consumer.inbox.retain_mut(|link| !link.is_finished());
        }
        drop(control);
        self.raise_version();
    }

    pub(super) fn detach_consumer(&self, id: u64) {
        let mut control = self.control();
        let Some(at) = control.consumers.iter().position(|consumer| consumer.id == id) else {
            return;
        };
        let entry = control.consumers.swap_remove(at);
        // A driver that idles would never look, and keep a ring for every consumer that ever came.
        for driver in &mut control.drivers {
            driver.inbox.retain(|link| !link.shared.is_detached());
        }
        let ConsumerEntry { shared, inbox, reservation, .. } = entry;
        control.leaving.push(Leaving { shared, reservation: Some(reservation) });
        drop(control);
        // Outside the lock, since releasing frames may call a free function.
        drop(inbox);
        self.fold_leaving(self.control());
        self.raise_version();
    }

    /// Lets go of those that are gone, outside the lock: a pool of copies that goes with one takes the
    /// lock of the forks' registry, which comes before this one.
    fn fold_leaving(&self, mut control: MutexGuard<'_, Control>) {
        let gone = control.fold_leaving();
        drop((control, gone));
    }

    fn open_control(&self) -> Result<MutexGuard<'_, Control>, HubError> {
        let control = self.control();
        match self.is_closed() {
            false => Ok(control),
            true if self.pool.is_forked() => Err(HubError::ForkedPool(AllocError::ForkedPool)),
            true => Err(HubError::Closed),
        }
    }

    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        // Every change is one push or remove, so a panic leaves the lists consistent.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerEntry {
    fn ring(&self) -> Result<Ends, RingError> {
        self.config.ring(self.slots)
    }
}

impl ConsumerConfig {
    /// Slots of a ring beside memory of `copies` buffers.
    fn slots(&self, copies: u32) -> u32 {
        match self.ring_slots {
            0 => self.quota.saturating_add(copies).min(MAX_SLOTS),
            slots => slots,
        }
    }

    fn check(&self) -> Result<(), RingError> {
        let slots = if self.ring_slots == 0 { self.quota } else { self.ring_slots };
        if slots > MAX_SLOTS { Err(RingError::Slots { slots }) } else { Ok(()) }
    }

    fn ring(&self, slots: u32) -> Result<Ends, RingError> {
        Ok(match self.policy {
            Policy::DropOldest => claimed::channel(slots, self.start_index_64())?.into(),
            _ => Ring::channel(slots, self.start_index)?.into(),
        })
    }

    /// Extends the sign, so that what begins short of its end does so in 64 bits as well.
    fn start_index_64(&self) -> u64 {
        self.start_index as i32 as u64
    }
}

impl Control {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Every consumer that a driver may have a link to.
    #[cfg(not(loom))]
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Arc<ConsumerShared>> {
        let there = self.consumers.iter().map(|entry| &entry.shared);
        there.chain(self.leaving.iter().map(|leaving| &leaving.shared))
    }

    /// Gives back what was reserved for those who hold nothing any more; adds up those to whom no
    /// driver has a ring either, and returns them, to be let go of outside the lock.
    fn fold_leaving(&mut self) -> Vec<Leaving> {
        let (mut gone, mut at) = (Vec::new(), 0);
        while let Some(leaving) = self.leaving.get_mut(at) {
            if leaving.shared.holder.held().0 == 0 {
                leaving.reservation = None;
            }
            // `get_mut` rather than a count: it acquires what the last driver to let go has counted.
            match Arc::get_mut(&mut leaving.shared) {
                Some(shared) if leaving.reservation.is_none() && !shared.holds_copies() => {
                    self.detached_consumers.add(&shared.stats());
                    gone.push(self.leaving.swap_remove(at));
                }
                _ => at += 1,
            }
        }
        gone
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use skbpool_pool::Accounts;

    /// Who never looks keeps no ring of those who came and went.
    #[test]
    fn nobody_keeps_links_to_those_who_left() {
        let pool = Pool::builder(64).accounts(Accounts::new()).build().unwrap();
        let hub = Hub::new(pool);
        let _idle = hub.attach_driver("idle", DriverConfig::default()).unwrap();
        let _asleep = hub.attach_consumer("asleep", ConsumerConfig::with_quota(4)).unwrap();
        let unfetched = || {
            let control = hub.control();
            (control.drivers[0].inbox.len(), control.consumers[0].inbox.len())
        };
        assert_eq!(unfetched(), (1, 1));
        for _ in 0..3 {
            let driver = hub.attach_driver("passing", DriverConfig::default()).unwrap();
            let consumer = hub.attach_consumer("passing", ConsumerConfig::with_quota(4)).unwrap();
            assert_eq!(unfetched(), (2, 2));
            drop((driver, consumer));
        }
        assert_eq!(unfetched(), (1, 1));
        assert_eq!(hub.control().leaving.len(), 1, "the last, until somebody looks");
        hub.stats();
        assert_eq!(hub.control().leaving.len(), 0);
    }
}
