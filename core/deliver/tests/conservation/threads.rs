//! Threads that do as they like, under every policy, counted while they run and when quiet.

use crate::common::{check_edges, check_home, pool};
use crate::frames::{BUFFER, Maker, Part, Place, Shape, number};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub, Policy};
use skbpool_pool::{Pool, SkbBatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A generator for threads that have to differ and need not be good at it.
struct Mixed(u64);

impl Mixed {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }

    /// Frames of any size, each fourth a chain.
    fn shapes(&mut self) -> Vec<Shape> {
        let places = [Place::Shared, Place::Filled, Place::Whole, Place::Wide];
        let frames = 1 + self.below(16);
        let mut shape = || {
            let parts = if self.below(4) == 0 { 2 + self.below(3) } else { 1 };
            let mut part =
                || Part { place: places[self.below(4) as usize], len: 8 + self.below(200) as u32 };
            (0..parts).map(|_| part()).collect()
        };
        (0..frames).map(|_| shape()).collect()
    }
}

/// Delivers for 20 rounds, and until a consumer has `taken` something.
fn run_driver(hub: &Arc<Hub>, wide: &Pool, seed: u64, taken: &AtomicU64) -> u64 {
    let mut random = Mixed(seed);
    let mut maker = Maker::new(hub, wide);
    let mut frames = 0;
    let mut round = 0;
    while round < 20 || taken.load(Ordering::Relaxed) == 0 {
        round += 1;
        let may_block = Duration::from_micros(20 * (round % 2));
        let config = DriverConfig { may_block, ..DriverConfig::with_buffers(4) };
        let mut driver = hub.attach_driver("nic", config).unwrap();
        for _ in 0..random.below(200) {
            // With no buffers left there is nothing to deliver.
            if let Ok((mut batch, made)) = maker.make(frames, &random.shapes()) {
                driver.deliver(&mut batch, &mut maker.cache);
                frames += made.len() as u64;
            }
        }
    }
    frames
}

fn run_consumer(hub: &Arc<Hub>, seed: u64, seen: &AtomicU64, stop: &AtomicBool) {
    let mut random = Mixed(seed);
    let mut cache = hub.pool().local_cache();
    let mut taken = SkbBatch::new();
    while !stop.load(Ordering::Relaxed) {
        let policy = [
            Policy::DropNewest,
            Policy::DropOldest,
            Policy::CopyOut { bytes: BUFFER * (1 + random.below(8)) },
            Policy::Block { at_most: Duration::from_micros(10) },
        ][random.below(4) as usize];
        let config = ConsumerConfig {
            quota_bytes: (random.below(2) == 0).then(|| 1 + random.below(8 * BUFFER)),
            policy,
            ring_slots: random.below(16) as u32,
            start_index: u32::MAX - 3,
            ..ConsumerConfig::with_quota(1 + random.below(24) as u32)
        };
        let mut consumer = hub.attach_consumer("tap", config).unwrap();
        for _ in 0..random.below(300) {
            let frames = consumer.poll(&mut taken, random.below(20) as usize);
            seen.fetch_add(frames as u64, Ordering::Relaxed);
            taken.as_slice().iter().for_each(|skb| assert_ne!(number(skb), u64::MAX));
            let stats = consumer.stats();
            // What a driver evicts while the sum is read counts as held.
            if policy != Policy::DropOldest {
                assert!(stats.held <= stats.quota, "{stats:?}");
            }
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
    let wide = Maker::wide(&hub, 256);
    let (taken, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let frames: u64 = std::thread::scope(|scope| {
        for seed in [3, 4, 5] {
            let (hub, taken, stop) = (&hub, &taken, &stop);
            scope.spawn(move || run_consumer(hub, seed, taken, stop));
        }
        let drivers = [1, 2].map(|seed| {
            let (hub, wide, taken) = (&hub, &wide, &taken);
            scope.spawn(move || run_driver(hub, wide, seed, taken))
        });
        let frames = drivers.map(|driver| driver.join().unwrap()).iter().sum();
        stop.store(true, Ordering::Relaxed);
        frames
    });
    let stats = hub.stats();
    assert_eq!(stats.detached_drivers.frames, frames);
    assert!(stats.drivers.is_empty() && stats.consumers.is_empty());
    assert_eq!(stats.detached_consumers.frames, taken.into_inner());
    check_edges(&hub);
    check_home(hub.pool());
    check_home(&wide);
    assert_eq!(hub.pool().stats().reserved, 0);
}
