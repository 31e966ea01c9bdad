//! I9: whatever is refused is also given back. Random operations against a model that knows what each
//! consumer must get, miss and hold; and threads that do as they like, counted when quiet.

mod common;

use common::{check_edge, check_edges, check_home, dropped, numbered, numbers, pool};
use proptest::prelude::*;
use proptest::sample::Index;
use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub, HubError};
use skbpool_pool::{DropReason, LocalCache, SkbBatch};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const BUFFERS: u32 = 64;
const DRIVER_BUFFERS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    AttachDriver,
    DetachDriver(Index),
    AttachConsumer { quota: u32, ring_slots: u32 },
    DetachConsumer(Index),
    Deliver { driver: Index, frames: u64 },
    Poll { consumer: Index, at_most: usize },
    Release { consumer: Index, views: usize },
    ReleaseOfGone { views: usize },
    Unshare { consumer: Index },
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<Index>;
    prop_oneof![
        1 => Just(Step::AttachDriver),
        1 => any().prop_map(Step::DetachDriver),
        1 => (1..12u32, 0..9u32)
            .prop_map(|(quota, ring_slots)| Step::AttachConsumer { quota, ring_slots }),
        1 => any().prop_map(Step::DetachConsumer),
        8 => (any(), 1..10u64).prop_map(|(driver, frames)| Step::Deliver { driver, frames }),
        5 => (any(), 0..12usize)
            .prop_map(|(consumer, at_most)| Step::Poll { consumer, at_most }),
        4 => (any(), 1..12usize).prop_map(|(consumer, views)| Step::Release { consumer, views }),
        1 => (1..4usize).prop_map(|views| Step::ReleaseOfGone { views }),
        1 => any().prop_map(|consumer| Step::Unshare { consumer }),
    ]
}

struct Driver {
    port: DriverPort,
    id: u64,
}

/// A consumer, and what it must have.
struct Edge {
    consumer: Consumer,
    quota: u64,
    slots: u64,
    taken: SkbBatch,
    /// What lies in the ring of each driver.
    queued: BTreeMap<u64, VecDeque<u64>>,
    offered: u64,
    frames: u64,
    ring_full: u64,
    over_quota: u64,
}

impl Edge {
    fn queued(&self) -> u64 {
        self.queued.values().map(|ring| ring.len() as u64).sum()
    }

    fn offer(&mut self, driver: u64, numbers: std::ops::Range<u64>) -> u64 {
        let held = self.queued() + self.taken.len() as u64;
        let ring = self.queued.entry(driver).or_default();
        let wanted = numbers.end - numbers.start;
        let room = wanted.min(self.slots - ring.len() as u64);
        let granted = wanted.min(self.quota - held);
        let fit = room.min(granted);
        ring.extend(numbers.start..numbers.start + fit);
        self.offered += wanted;
        if granted <= room {
            self.over_quota += wanted - fit;
        } else {
            self.ring_full += wanted - fit;
        }
        fit
    }

    fn check(&self) {
        let stats = self.consumer.stats();
        check_edge(&stats);
        assert_eq!((stats.offered, stats.frames), (self.offered, self.frames));
        assert_eq!(stats.queued, self.queued());
        assert_eq!(stats.held, self.queued() + self.taken.len() as u64);
        assert!(stats.held <= stats.quota);
        assert_eq!(dropped(&stats, DropReason::RingFull), self.ring_full);
        assert_eq!(dropped(&stats, DropReason::Quota), self.over_quota);
    }
}

struct World {
    hub: Arc<Hub>,
    cache: LocalCache,
    drivers: Vec<Driver>,
    edges: Vec<Edge>,
    /// What detached consumers took along: their quota and the views.
    gone: Vec<(u64, SkbBatch)>,
    gone_offered: u64,
    gone_frames: u64,
    next_id: u64,
    next_number: u64,
}

impl World {
    fn new() -> Self {
        let hub = Hub::new(pool(BUFFERS));
        let cache = hub.pool().local_cache();
        Self {
            hub,
            cache,
            drivers: Vec::new(),
            edges: Vec::new(),
            gone: Vec::new(),
            gone_offered: 0,
            gone_frames: 0,
            next_id: 0,
            next_number: 0,
        }
    }

    /// Whether `more` buffers can be promised beside what is promised already.
    fn fits(&mut self, more: u32) -> bool {
        self.gone.retain(|(_, taken)| !taken.is_empty());
        let quotas = self.edges.iter().map(|edge| edge.quota).sum::<u64>()
            + self.gone.iter().map(|(quota, _)| quota).sum::<u64>();
        let reserved = quotas + u64::from(DRIVER_BUFFERS) * self.drivers.len() as u64;
        reserved + u64::from(more) <= u64::from(BUFFERS)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::AttachDriver => {
                let fits = self.fits(DRIVER_BUFFERS);
                let config = DriverConfig { buffers: DRIVER_BUFFERS };
                match self.hub.attach_driver("nic", config) {
                    Ok(port) => {
                        assert!(fits);
                        self.next_id += 1;
                        self.drivers.push(Driver { port, id: self.next_id });
                    }
                    Err(error) => assert!(!fits && matches!(error, HubError::PoolTooSmall(_))),
                }
            }
            Step::DetachDriver(at) if !self.drivers.is_empty() => {
                drop(self.drivers.swap_remove(at.index(self.drivers.len())));
            }
            Step::AttachConsumer { quota, ring_slots } => {
                let fits = self.fits(quota);
                let config = ConsumerConfig {
                    ring_slots,
                    start_index: u32::MAX - 3,
                    ..ConsumerConfig::with_quota(quota)
                };
                match self.hub.attach_consumer("tap", config) {
                    Ok(consumer) => {
                        assert!(fits);
                        let slots = if ring_slots == 0 { quota } else { ring_slots };
                        self.edges.push(Edge {
                            consumer,
                            quota: u64::from(quota),
                            slots: u64::from(slots.next_power_of_two()),
                            taken: SkbBatch::new(),
                            queued: BTreeMap::new(),
                            offered: 0,
                            frames: 0,
                            ring_full: 0,
                            over_quota: 0,
                        });
                    }
                    Err(error) => assert!(!fits && matches!(error, HubError::PoolTooSmall(_))),
                }
            }
            Step::DetachConsumer(at) if !self.edges.is_empty() => {
                let edge = self.edges.swap_remove(at.index(self.edges.len()));
                self.gone_offered += edge.offered;
                self.gone_frames += edge.frames;
                drop(edge.consumer);
                self.gone.push((edge.quota, edge.taken));
            }
            Step::Deliver { driver, frames } if !self.drivers.is_empty() => {
                self.deliver(driver.index(self.drivers.len()), frames);
            }
            Step::Poll { consumer, at_most } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                poll(&mut self.edges[at], at_most);
            }
            Step::Release { consumer, views } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                let taken = &mut self.edges[at].taken;
                taken.split_off(taken.len().saturating_sub(views)).release(&mut self.cache);
            }
            Step::ReleaseOfGone { views } => {
                for (_, taken) in &mut self.gone {
                    taken.split_off(taken.len().saturating_sub(views)).release(&mut self.cache);
                }
            }
            Step::Unshare { consumer } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                for skb in self.edges[at].taken.as_mut_slice() {
                    skb.unshare(&mut self.cache).expect("a free buffer");
                }
            }
            _ => {}
        }
    }

    fn deliver(&mut self, at: usize, frames: u64) {
        let Driver { port, id } = &mut self.drivers[at];
        let numbers = self.next_number..self.next_number + frames;
        self.next_number = numbers.end;
        let mut batch = numbered(&mut self.cache, numbers.clone());
        let delivered = port.deliver(&mut batch, &mut self.cache);
        let published: u64 =
            self.edges.iter_mut().map(|edge| edge.offer(*id, numbers.clone())).sum();
        assert_eq!((delivered.frames, delivered.published), (frames, published));
        assert_eq!(delivered.missed, frames * self.edges.len() as u64 - published);
        assert_eq!(delivered.unclaimed, if self.edges.is_empty() { frames } else { 0 });
    }

    fn check(&self) {
        self.edges.iter().for_each(Edge::check);
        let stats = self.hub.stats();
        assert_eq!(stats.drivers.len(), self.drivers.len());
        assert_eq!(stats.consumers.len(), self.edges.len());
        check_edge(&stats.detached_consumers);
        assert_eq!(stats.detached_consumers.offered, self.gone_offered);
        assert_eq!(stats.detached_consumers.frames, self.gone_frames);
        let held: usize = self.gone.iter().map(|(_, taken)| taken.len()).sum();
        assert_eq!(stats.detached_consumers.held, held as u64);
        let frames = stats.detached_drivers.frames
            + stats.drivers.iter().map(|driver| driver.frames).sum::<u64>();
        assert_eq!(frames, self.next_number);
        // One buffer a delivery, or one a view that was made private.
        assert!(self.hub.pool().stats().in_flight <= BUFFERS);
    }
}

/// Polls, and checks that what comes is what lies at the front of some driver's ring.
fn poll(edge: &mut Edge, at_most: usize) {
    let mut batch = SkbBatch::new();
    let count = edge.consumer.poll(&mut batch, at_most);
    assert_eq!(count as u64, edge.queued().min(at_most as u64));
    for number in numbers(&batch) {
        let ring = edge.queued.values_mut().find(|ring| ring.front() == Some(&number));
        ring.expect("the oldest of some driver").pop_front();
    }
    edge.frames += count as u64;
    edge.taken.append(&mut batch);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_frame_is_taken_missed_or_held(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
        let World { hub, mut cache, drivers, edges, gone, .. } = world;
        for edge in edges {
            let mut taken = edge.taken;
            taken.release(&mut cache);
        }
        for (_, mut taken) in gone {
            taken.release(&mut cache);
        }
        drop(drivers);
        check_edges(&hub);
        check_home(hub.pool());
        prop_assert_eq!(hub.pool().stats().reserved, 0);
    }
}

/// A generator for threads that have to differ and need not be good at it.
struct Mixed(u64);

impl Mixed {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }
}

fn run_driver(hub: &Arc<Hub>, seed: u64) -> u64 {
    let mut random = Mixed(seed);
    let mut cache = hub.pool().local_cache();
    let mut frames = 0;
    for _ in 0..20 {
        let mut driver = hub.attach_driver("nic", DriverConfig { buffers: 4 }).unwrap();
        for _ in 0..random.below(200) {
            let count = 1 + random.below(16);
            driver.deliver(&mut numbered(&mut cache, 0..count), &mut cache);
            frames += count;
        }
    }
    frames
}

fn run_consumer(hub: &Arc<Hub>, seed: u64, stop: &AtomicBool) {
    let mut random = Mixed(seed);
    let mut cache = hub.pool().local_cache();
    let mut taken = SkbBatch::new();
    while !stop.load(Ordering::Relaxed) {
        let config = ConsumerConfig {
            ring_slots: random.below(16) as u32,
            start_index: u32::MAX - 3,
            ..ConsumerConfig::with_quota(1 + random.below(24) as u32)
        };
        let mut consumer = hub.attach_consumer("tap", config).unwrap();
        for _ in 0..random.below(300) {
            consumer.poll(&mut taken, random.below(20) as usize);
            let stats = consumer.stats();
            assert!(stats.held <= stats.quota, "{stats:?}");
            let dropped: u64 = stats.dropped.iter().map(|drop| drop.frames).sum();
            assert!(stats.offered >= stats.frames + stats.queued + dropped, "{stats:?}");
            if random.below(3) == 0 {
                taken.release(&mut cache);
            }
        }
        drop(consumer);
        taken.release(&mut cache);
    }
}

#[test]
fn threads_that_come_go_deliver_and_release_lose_nothing() {
    let hub = Hub::new(pool(256));
    let stop = AtomicBool::new(false);
    let frames: u64 = std::thread::scope(|scope| {
        for seed in [3, 4, 5] {
            let (hub, stop) = (&hub, &stop);
            scope.spawn(move || run_consumer(hub, seed, stop));
        }
        let drivers = [1, 2].map(|seed| {
            let hub = &hub;
            scope.spawn(move || run_driver(hub, seed))
        });
        let frames = drivers.map(|driver| driver.join().unwrap()).iter().sum();
        stop.store(true, Ordering::Relaxed);
        frames
    });
    let stats = hub.stats();
    assert_eq!(stats.detached_drivers.frames, frames);
    assert!(stats.drivers.is_empty() && stats.consumers.is_empty());
    assert_ne!(stats.detached_consumers.frames, 0);
    check_edges(&hub);
    check_home(hub.pool());
    assert_eq!(hub.pool().stats().reserved, 0);
}
