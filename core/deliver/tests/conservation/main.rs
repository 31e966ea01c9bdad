//! I9: whatever is refused is also given back. Random operations against a model that knows what each
//! consumer must get, miss and hold; and threads that do as they like, counted when quiet.
//! `PROPTEST_CASES` sets how many sequences.

#[path = "../common/mod.rs"]
mod common;
mod edge;
mod threads;

use common::{check_edge, check_edges, check_home, numbered, pool};
use edge::{BUFFER, Edge, is_copy};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use skbpool_deliver::{ConsumerConfig, Delivered, DriverConfig, DriverPort, Hub, HubError, Policy};
use skbpool_pool::{LocalCache, SkbBatch};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

const BUFFERS: u32 = 64;
const DRIVER_BUFFERS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    AttachDriver { may_block: bool },
    DetachDriver(Index),
    AttachConsumer { quota: u32, quota_bytes: Option<u64>, ring_slots: u32, policy: Policy },
    DetachConsumer(Index),
    Deliver { driver: Index, frames: u64 },
    Poll { consumer: Index, at_most: usize },
    Release { consumer: Index, views: usize },
    ReleaseOfGone { views: usize },
    Unshare { consumer: Index },
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::DropNewest),
        Just(Policy::DropOldest),
        (1..4u64).prop_map(|buffers| Policy::CopyOut { bytes: buffers * BUFFER }),
        Just(Policy::Block { at_most: Duration::from_micros(1) }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<Index>;
    let any_bool = proptest::prelude::any::<bool>;
    prop_oneof![
        1 => any_bool().prop_map(|may_block| Step::AttachDriver { may_block }),
        1 => any().prop_map(Step::DetachDriver),
        1 => (1..12u32, prop::option::of(1..6 * BUFFER), 0..9u32, policy()).prop_map(
            |(quota, quota_bytes, ring_slots, policy)| {
                Step::AttachConsumer { quota, quota_bytes, ring_slots, policy }
            }
        ),
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
        self.gone.retain(|(_, taken)| !taken.as_slice().iter().all(is_copy));
        let quotas = self.edges.iter().map(|edge| edge.quota).sum::<u64>()
            + self.gone.iter().map(|(quota, _)| quota).sum::<u64>();
        let reserved = quotas + u64::from(DRIVER_BUFFERS) * self.drivers.len() as u64;
        reserved + u64::from(more) <= u64::from(BUFFERS)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::AttachDriver { may_block } => {
                let fits = self.fits(DRIVER_BUFFERS);
                let may_block = Duration::from_micros(u64::from(may_block));
                let config =
                    DriverConfig { may_block, ..DriverConfig::with_buffers(DRIVER_BUFFERS) };
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
            Step::AttachConsumer { quota, quota_bytes, ring_slots, policy } => {
                let fits = self.fits(quota);
                let config = ConsumerConfig {
                    quota_bytes,
                    ring_slots,
                    policy,
                    start_index: u32::MAX - 3,
                    ..ConsumerConfig::with_quota(quota)
                };
                match self.hub.attach_consumer("tap", config.clone()) {
                    Ok(consumer) => {
                        assert!(fits);
                        self.edges.push(Edge::new(consumer, &config));
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
                self.edges[at].poll(at_most);
            }
            Step::Release { consumer, views } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                self.edges[at].release(views, &mut self.cache);
            }
            Step::ReleaseOfGone { views } => {
                for (_, taken) in &mut self.gone {
                    taken.split_off(taken.len().saturating_sub(views)).release(&mut self.cache);
                }
            }
            Step::Unshare { consumer } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                self.edges[at].unshare(self.hub.pool(), &mut self.cache);
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
        let mut model = Delivered { frames, ..Delivered::default() };
        for edge in &mut self.edges {
            edge.offer(*id, numbers.clone(), &mut model);
        }
        let figures = |told: &Delivered| {
            [told.frames, told.published, told.copied, told.missed, told.evicted]
        };
        assert_eq!(figures(&delivered), figures(&model));
        assert_eq!(delivered.drops.iter().map(|drop| drop.frames).sum::<u64>(), delivered.missed);
        assert_eq!(delivered.published + delivered.missed, frames * self.edges.len() as u64);
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
        let taken = self.gone.iter().flat_map(|(_, taken)| taken.as_slice());
        let held = taken.filter(|skb| !is_copy(skb)).count();
        assert_eq!(stats.detached_consumers.held, held as u64);
        let frames = stats.detached_drivers.frames
            + stats.drivers.iter().map(|driver| driver.frames).sum::<u64>();
        assert_eq!(frames, self.next_number);
        // One buffer a delivery, or one a view that was made private.
        assert!(self.hub.pool().stats().in_flight <= BUFFERS);
    }

    /// Everybody leaves, and everything is home.
    fn end(self) {
        let Self { hub, mut cache, drivers, edges, gone, .. } = self;
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
        assert_eq!(hub.pool().stats().reserved, 0);
    }
}

#[test]
fn every_frame_is_taken_missed_or_held() {
    let (cases, taken) = (Cell::new(0_u64), Cell::new(0_u64));
    let config = Config { failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&prop::collection::vec(step(), 1..200), |steps| {
        cases.set(cases.get() + 1);
        taken.set(taken.get() + steps.len() as u64);
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
        world.end();
        Ok(())
    });
    println!("{} sequences, {} steps", cases.get(), taken.get());
    run.unwrap_or_else(|error| panic!("{error}"));
}
