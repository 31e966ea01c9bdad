//! I9: whatever is refused is also given back. Random operations against a model that knows what each
//! consumer must get, miss and hold, of frames of all sizes and chains of them; and threads that do as
//! they like, counted when quiet. `PROPTEST_CASES` sets how many sequences.

#[path = "../common/mod.rs"]
mod common;
mod edge;
mod frames;
mod memory;
mod threads;

use common::{check_edges, check_home, pool};
use edge::{Edge, Figures, charge, is_copy};
use frames::{BUFFER, Maker, Mix, Shape, shape};
use memory::Memory;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use skbpool_deliver::{ConsumerConfig, Delivered, DriverConfig, DriverPort, Hub, HubError, Policy};
use skbpool_pool::{CopyStage, SkbBatch};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

const BUFFERS: u32 = 64;
const WIDE_BUFFERS: u32 = 64;
const DRIVER_BUFFERS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    AttachDriver { may_block: bool },
    DetachDriver(Index),
    AttachConsumer { quota: u32, quota_bytes: Option<u64>, ring_slots: u32, policy: Policy },
    DetachConsumer(Index),
    Deliver { driver: Index, shapes: Vec<Shape> },
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
        1 => (1..12u32, prop::option::of(1..10 * BUFFER), 0..9u32, policy()).prop_map(
            |(quota, quota_bytes, ring_slots, policy)| {
                Step::AttachConsumer { quota, quota_bytes, ring_slots, policy }
            }
        ),
        1 => any().prop_map(Step::DetachConsumer),
        8 => (any(), prop::collection::vec(shape(), 1..10))
            .prop_map(|(driver, shapes)| Step::Deliver { driver, shapes }),
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

/// A consumer that left, and what it took along.
struct Gone {
    quota: u64,
    taken: SkbBatch,
    memory: Memory,
}

struct World {
    hub: Arc<Hub>,
    mix: Mix,
    maker: Maker,
    drivers: Vec<Driver>,
    edges: Vec<Edge>,
    gone: Vec<Gone>,

    /// Sums over consumers that left.
    gone_figures: Figures,
    /// Frames and bytes that drivers delivered.
    delivered: (u64, u64),
    evicted: u64,
    next_id: u64,
}

impl World {
    fn new(mix: Mix) -> Self {
        let hub = Hub::new(pool(BUFFERS));
        let maker = Maker::new(&hub, &Maker::wide(&hub, WIDE_BUFFERS));
        Self {
            hub,
            mix,
            maker,
            drivers: Vec::new(),
            edges: Vec::new(),
            gone: Vec::new(),
            gone_figures: Figures::default(),
            delivered: (0, 0),
            evicted: 0,
            next_id: 0,
        }
    }

    /// Whether `more` buffers can be promised beside what is promised already.
    fn fits(&mut self, more: u32) -> bool {
        self.gone.retain(|gone| !gone.taken.as_slice().iter().all(is_copy));
        let quotas = self.edges.iter().map(|edge| edge.quota).sum::<u64>()
            + self.gone.iter().map(|gone| gone.quota).sum::<u64>();
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
                let quota = edge.quota;
                let (taken, memory, figures) = edge.leave();
                self.gone_figures.add(&figures);
                self.gone.push(Gone { quota, taken, memory });
            }
            Step::Deliver { driver, shapes } if !self.drivers.is_empty() => {
                self.deliver(driver.index(self.drivers.len()), &self.mix.only(shapes));
            }
            Step::Poll { consumer, at_most } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                self.edges[at].poll(at_most);
            }
            Step::Release { consumer, views } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                self.edges[at].release(views, &mut self.maker.cache);
            }
            Step::ReleaseOfGone { views } => {
                for Gone { taken, .. } in &mut self.gone {
                    let at = taken.len().saturating_sub(views);
                    taken.split_off(at).release(&mut self.maker.cache);
                }
            }
            Step::Unshare { consumer } if !self.edges.is_empty() => {
                let at = consumer.index(self.edges.len());
                self.edges[at].unshare(self.hub.pool(), &mut self.maker.cache);
            }
            _ => {}
        }
    }

    fn deliver(&mut self, at: usize, shapes: &[Shape]) {
        let Ok((mut batch, frames)) = self.maker.make(self.delivered.0, shapes) else {
            let pools = [self.hub.pool(), &self.maker.wide];
            let left = pools.map(|pool| pool.count() - pool.stats().in_flight);
            assert!(left.iter().any(|&left| left < 4 * 10), "{left:?} are enough");
            return;
        };
        let Driver { port, id } = &mut self.drivers[at];
        let told = port.deliver(&mut batch, &mut self.maker.cache);
        let count = frames.len() as u64;
        let mut model = Delivered { frames: count, ..Delivered::default() };
        for edge in &mut self.edges {
            edge.offer(*id, &frames, &mut model);
        }
        if self.edges.is_empty() {
            model.unclaimed = count;
        }
        assert_eq!(told, model);
        assert_eq!(told.published + told.missed, count * self.edges.len() as u64);
        self.delivered.0 += count;
        self.delivered.1 += frames.iter().map(|frame| frame.len).sum::<u64>();
        self.evicted += told.evicted;
    }

    /// Frames and bytes that were copied for all consumers there ever were.
    fn copied(&self) -> (u64, u64) {
        let figures = self.edges.iter().map(|edge| &edge.figures).chain([&self.gone_figures]);
        figures.fold((0, 0), |sum, of| (sum.0 + of.copied.0, sum.1 + of.copied.1))
    }

    fn check(&self) {
        self.edges.iter().for_each(Edge::check);
        let stats = self.hub.stats();
        assert_eq!(stats.drivers.len(), self.drivers.len());
        assert_eq!(stats.consumers.len(), self.edges.len());
        let gone = &stats.detached_consumers;
        self.gone_figures.check(gone, 0);
        let held = |copies| {
            let charges = self.gone.iter().map(|gone| charge(&gone.taken, copies));
            charges.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
        };
        assert_eq!((gone.held, gone.held_bytes), held(false));
        assert_eq!(gone.copies_held_bytes, held(true).1);
        let drivers = || stats.drivers.iter().chain([&stats.detached_drivers]);
        let delivered =
            drivers().fold((0, 0), |sum, driver| (sum.0 + driver.frames, sum.1 + driver.bytes));
        assert_eq!(delivered, self.delivered);
        let copies = self.hub.pool().accounts().copies()[CopyStage::CopyOut as usize];
        assert_eq!((copies.frames, copies.bytes), self.copied());
        // Copies are charged view by view as well.
        let holders = self.hub.pool().accounts().snapshot().into_iter();
        let copies = holders.filter(|holder| holder.name == "tap copies");
        let charged = copies.fold((0, 0), |sum, of| (sum.0 + of.views, sum.1 + of.bytes));
        let here = self.edges.iter().map(|edge| edge.held(true)).chain([held(true)]);
        assert_eq!(charged, here.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1)));
    }

    /// Everybody leaves, and everything is home.
    fn end(self) {
        let Self { hub, mut maker, drivers, edges, mut gone, .. } = self;
        for edge in edges {
            let quota = edge.quota;
            let (taken, memory, _) = edge.leave();
            gone.push(Gone { quota, taken, memory });
        }
        gone.iter_mut().for_each(|gone| gone.taken.release(&mut maker.cache));
        gone.iter().for_each(|gone| gone.memory.end());
        drop(drivers);
        check_edges(&hub);
        check_home(hub.pool());
        check_home(&maker.wide);
        assert_eq!(hub.pool().stats().reserved, 0);
        let gone = hub.stats().detached_consumers;
        assert_eq!((gone.held, gone.held_bytes, gone.copies_held_bytes), (0, 0, 0));
    }
}

#[test]
fn every_frame_is_taken_missed_or_held() {
    let sums = Cell::new([0; 5]);
    let config = Config { failure_persistence: None, ..Config::default() };
    let sequence = (Mix::any(), prop::collection::vec(step(), 1..200));
    let run = TestRunner::new(config).run(&sequence, |(mix, steps)| {
        let count = steps.len() as u64;
        let mut world = World::new(mix);
        for step in steps {
            world.take(step);
            world.check();
        }
        let more = [1, count, world.delivered.0, world.evicted, world.copied().0];
        sums.set(std::array::from_fn(|at| sums.get()[at] + more[at]));
        world.end();
        Ok(())
    });
    let [sequences, steps, frames, evicted, copied] = sums.get();
    println!(
        "{sequences} sequences, {steps} steps, {frames} frames, {evicted} evicted, {copied} copied"
    );
    run.unwrap_or_else(|error| panic!("{error}"));
}
