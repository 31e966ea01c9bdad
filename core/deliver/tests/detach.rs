//! Drivers and consumers leave in every order: what is out stays valid, what lies in rings is released
//! once, and nothing is kept for those who never look again.

mod common;

use common::{all_dropped, check_edge, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, DriverConfig};
use skbpool_pool::{DropReason, Free, MAX_HOLDERS, SkbBatch, adopt_raw};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Every order in which driver, consumer, views and the hub's last handle can go, the views some in
/// the ring and some taken.
#[test]
fn in_every_order() {
    #[derive(Clone, Copy, PartialEq)]
    enum Part {
        Driver,
        Consumer,
        Views,
        Hub,
    }
    use Part::{Consumer, Driver, Hub, Views};
    let parts = [Driver, Consumer, Views, Hub];
    let orders = (0..256)
        .map(|code| [0, 2, 4, 6].map(|shift| parts[code >> shift & 3]))
        .filter(|order| parts.iter().all(|part| order.contains(part)));
    let mut count = 0;
    for order in orders {
        count += 1;
        let hub = hub(64);
        let pool = hub.pool().clone();
        let mut cache = pool.local_cache();
        let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(6)).unwrap();
        let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        driver.deliver(&mut numbered(&mut cache, 0..8), &mut cache);
        let mut taken = SkbBatch::new();
        consumer.poll(&mut taken, 2);
        let (mut hub, mut driver, mut consumer) = (Some(hub), Some(driver), Some(consumer));
        for part in order {
            match part {
                Driver => drop(driver.take()),
                Consumer => {
                    drop(consumer.take());
                    let Some(hub) = &hub else { continue };
                    let stats = hub.stats().detached_consumers;
                    assert_eq!((stats.offered, stats.frames, stats.bytes), (8, 2, 16));
                    assert_eq!(dropped(&stats, DropReason::Quota), 2);
                    assert_eq!(dropped(&stats, DropReason::Detached), 4);
                    check_edge(&stats);
                }
                Views => {
                    assert_eq!(numbers(&taken), [0, 1]);
                    taken.release(&mut cache);
                }
                Hub => drop(hub.take()),
            }
            if let Some(hub) = &hub {
                check_edges(hub);
            }
        }
        check_home(&pool);
        assert!(pool.accounts().snapshot().is_empty(), "every name is retired");
        assert_eq!(pool.stats().reserved, 0);
    }
    assert_eq!(count, 24);
}

#[test]
fn a_driver_that_left_is_read_to_the_end() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(8)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..10), &mut cache);
    drop(driver);
    let mut batch = SkbBatch::new();
    for _ in 0..3 {
        consumer.poll(&mut batch, 3);
        check_edge(&consumer.stats());
    }
    assert_eq!(numbers(&batch), (0..8).collect::<Vec<_>>());
    assert_eq!(consumer.poll(&mut batch, 3), 0);
    let stats = consumer.stats();
    assert_eq!((stats.offered, stats.frames, stats.bytes, all_dropped(&stats)), (10, 8, 64, 2));
    assert_eq!(hub.stats().detached_drivers.frames, 10);
}

#[test]
fn frames_for_a_consumer_that_is_gone_are_its_own_loss() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let gone = hub.attach_consumer("gone", ConsumerConfig::with_quota(8)).unwrap();
    let mut stays = hub.attach_consumer("stays", ConsumerConfig::with_quota(8)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..3), &mut cache);
    drop(gone);
    let delivered = driver.deliver(&mut numbered(&mut cache, 3..5), &mut cache);
    assert_eq!((delivered.published, delivered.missed), (2, 0), "one consumer is left");
    let mut batch = SkbBatch::new();
    stays.poll(&mut batch, 8);
    assert_eq!(numbers(&batch), [0, 1, 2, 3, 4]);
    drop(stays);
    assert_eq!(driver.deliver(&mut numbered(&mut cache, 5..6), &mut cache).unclaimed, 1);
    batch.release(&mut cache);
    check_edges(&hub);
    check_home(hub.pool());
}

/// Neither numbers of holders nor rings are kept for consumers that came and went while a driver had
/// nothing to deliver.
#[test]
fn consumers_come_and_go_while_a_driver_idles() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut idle = hub.attach_driver("idle", DriverConfig::default()).unwrap();
    let fetched = hub.attach_consumer("fetched", ConsumerConfig::with_quota(1)).unwrap();
    idle.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
    drop(fetched);
    let mut busy = hub.attach_driver("busy", DriverConfig::default()).unwrap();
    for round in 0..2 * MAX_HOLDERS as u64 {
        let consumer = hub.attach_consumer("passing", ConsumerConfig::with_quota(8)).unwrap();
        busy.deliver(&mut numbered(&mut cache, round..round + 1), &mut cache);
        assert_eq!(consumer.stats().queued, 1);
    }
    busy.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
    assert_eq!(hub.stats().detached_consumers.offered, 1 + 2 * MAX_HOLDERS as u64);
    check_edges(&hub);
    check_home(hub.pool());
}

/// Nor for drivers that came and went while a consumer slept; what they left in its rings it finds.
#[test]
fn drivers_come_and_go_while_a_consumer_sleeps() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("asleep", ConsumerConfig::with_quota(3)).unwrap();
    for round in 0..2 * MAX_HOLDERS as u64 {
        let mut driver = hub.attach_driver("passing", DriverConfig::default()).unwrap();
        driver.deliver(&mut numbered(&mut cache, round..round + 1), &mut cache);
    }
    let stats = consumer.stats();
    assert_eq!((stats.offered, stats.queued), (2 * MAX_HOLDERS as u64, 3));
    check_edge(&stats);
    let mut batch = SkbBatch::new();
    while consumer.poll(&mut batch, 1) != 0 {}
    assert_eq!(numbers(&batch), [0, 1, 2]);
    assert_eq!(consumer.stats().offered, stats.offered);
    assert_eq!(hub.stats().detached_drivers.frames, stats.offered);
    check_edges(&hub);
}

/// Free functions are the caller's code: they may ask the hub, which must not hold its lock then.
#[test]
fn a_free_function_may_look_at_the_hub_while_somebody_leaves() {
    static BYTES: [u8; 64] = [7; 64];
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let calls = Arc::new(AtomicU32::new(0));
    for driver_first in [true, false] {
        let consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(8)).unwrap();
        let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        let (asked, counted) = (Arc::clone(&hub), Arc::clone(&calls));
        let free = Free::closure(move |_| {
            asked.stats();
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let data = NonNull::from(&BYTES).cast();
        // SAFETY: a static is valid for ever and nobody writes to it.
        let buffer =
            unsafe { adopt_raw(data, BYTES.len(), false, free, skbpool_pool::Owner::nobody()) };
        let mut batch = SkbBatch::from_iter([buffer.unwrap().into_skb(0..64).unwrap()]);
        driver.deliver(&mut batch, &mut cache);
        if driver_first {
            drop(driver);
            drop(consumer);
        } else {
            drop(consumer);
            drop(driver);
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// A consumer leaves on its own thread while a driver delivers as fast as it can.
#[test]
fn while_the_driver_delivers() {
    const CYCLES: u32 = 300;
    let hub = hub(256);
    let stop = AtomicBool::new(false);
    let mut driver = hub.attach_driver("nic", DriverConfig::with_buffers(8)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            while !stop.load(Ordering::Relaxed) {
                driver.deliver(&mut numbered(&mut cache, 0..8), &mut cache);
            }
        });
        let mut cache = hub.pool().local_cache();
        let mut batch = SkbBatch::new();
        for cycle in 0..CYCLES {
            let config = ConsumerConfig::with_quota(1 + cycle % 24);
            let mut consumer = hub.attach_consumer("passing", config).unwrap();
            for _ in 0..cycle % 4 {
                consumer.poll(&mut batch, 5);
                std::thread::yield_now();
            }
            // Some leave with views in their hands.
            if cycle % 2 == 0 {
                batch.release(&mut cache);
            }
            drop(consumer);
            batch.release(&mut cache);
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(driver);
    check_edges(&hub);
    check_home(hub.pool());
    assert_eq!(hub.pool().stats().reserved, 0);
}
