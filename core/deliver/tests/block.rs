//! Block with a deadline: only where the driver allowed it, never longer than both said, and over with
//! the consumer or the hub. No test here asserts a time; deadlines are far away or already over.

mod common;

use common::{check_edge, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub, Policy};
use skbpool_pool::{DropReason, SkbBatch};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(3);

fn attach(hub: &Arc<Hub>, quota: u32, at_most: Duration) -> Consumer {
    let policy = Policy::Block { at_most };
    let config = ConsumerConfig { policy, ..ConsumerConfig::with_quota(quota) };
    hub.attach_consumer("tap", config).unwrap()
}

fn driver(hub: &Arc<Hub>, may_block: Duration) -> DriverPort {
    hub.attach_driver("nic", DriverConfig { may_block, ..DriverConfig::default() }).unwrap()
}

#[test]
fn a_driver_that_may_not_be_blocked_drops_the_newest_at_once() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let consumer = attach(&hub, 4, LONG);
    let mut port = driver(&hub, Duration::ZERO);
    let delivered = port.deliver(&mut numbered(&mut cache, 0..6), &mut cache);
    assert_eq!((delivered.published, delivered.missed), (4, 2));
    let stats = consumer.stats();
    assert_eq!((dropped(&stats, DropReason::Quota), stats.waits), (2, 0));
}

/// Nothing is lost to a slow consumer, whether its quota or its ring is what it lacks.
#[test]
fn nothing_is_lost_while_the_consumer_goes_on() {
    for (quota, ring_slots) in [(8, 0), (64, 4)] {
        let hub = hub(128);
        let policy = Policy::Block { at_most: LONG };
        let config = ConsumerConfig { policy, ring_slots, ..ConsumerConfig::with_quota(quota) };
        let mut consumer = hub.attach_consumer("tap", config).unwrap();
        let mut port = driver(&hub, LONG);
        const FRAMES: u64 = 2_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut cache = hub.pool().local_cache();
                for first in (0..FRAMES).step_by(20) {
                    let mut batch = numbered(&mut cache, first..first + 20);
                    let delivered = port.deliver(&mut batch, &mut cache);
                    assert_eq!((delivered.published, delivered.missed), (20, 0));
                }
            });
            let mut cache = hub.pool().local_cache();
            let (mut taken, mut next) = (SkbBatch::new(), 0);
            while next < FRAMES {
                consumer.wait(LONG);
                consumer.poll(&mut taken, 5);
                for number in numbers(&taken) {
                    assert_eq!(number, next);
                    next += 1;
                }
                taken.release(&mut cache);
            }
        });
        let stats = consumer.stats();
        check_edge(&stats);
        assert_eq!((stats.frames, stats.dropped.len()), (FRAMES, 0));
        assert_ne!(stats.waits, 0, "20 frames do not fit at once");
        drop(consumer);
        check_edges(&hub);
        check_home(hub.pool());
    }
}

/// Both sides bound the wait, and a consumer that did nothing meanwhile is not waited for again until
/// it did.
#[test]
fn after_its_time_the_newest_are_dropped() {
    for (consumer_allows, driver_allows) in [(SHORT, LONG), (LONG, SHORT)] {
        let hub = hub(64);
        let mut cache = hub.pool().local_cache();
        let mut consumer = attach(&hub, 4, consumer_allows);
        let mut port = driver(&hub, driver_allows);
        let mut deliver = || {
            let delivered = port.deliver(&mut numbered(&mut cache, 0..6), &mut cache);
            assert_eq!(
                delivered.drops.iter().map(|drop| drop.frames).sum::<u64>(),
                delivered.missed
            );
            (delivered.published, delivered.missed)
        };
        assert_eq!(deliver(), (4, 2));
        let waits = consumer.stats().waits;
        assert_ne!(waits, 0);
        // It took nothing while the driver waited: from now on it is dropped for at once.
        for _ in 0..100 {
            assert_eq!(deliver(), (0, 6));
        }
        assert_eq!(consumer.stats().waits, waits);
        let mut taken = SkbBatch::new();
        assert_eq!(consumer.poll(&mut taken, 9), 4);
        assert_eq!(numbers(&taken), [0, 1, 2, 3]);
        drop(taken);
        assert_eq!(deliver(), (4, 2), "it is waited for again");
        let stats = consumer.stats();
        check_edge(&stats);
        assert!(stats.waits > waits);
        assert_eq!(dropped(&stats, DropReason::Quota), 2 + 600 + 2);
    }
}

/// Returns when the driver has looked once more for room, or waits no longer.
fn await_a_look<T>(consumer: &Consumer, driver: &ScopedJoinHandle<T>) {
    let before = consumer.stats().waits;
    while consumer.stats().waits < before + 2 && !driver.is_finished() {
        std::thread::yield_now();
    }
}

/// A chain waits until there are as many views for it as it has, and what is behind it waits with it.
#[test]
fn a_chain_waits_for_all_its_views() {
    let hub = hub(64);
    let mut consumer = attach(&hub, 4, LONG);
    let mut port = driver(&hub, LONG);
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            let mut batch = numbered(&mut cache, 0..3);
            let chain = numbered(&mut cache, 10..13).into_iter().reduce(|mut chain, part| {
                chain.append_frag(part).unwrap();
                chain
            });
            batch.extend(chain);
            batch.append(&mut numbered(&mut cache, 3..4));
            port.deliver(&mut batch, &mut cache)
        });
        let mut taken = SkbBatch::new();
        let mut take = |taken: &mut SkbBatch, frames: usize| {
            let before = taken.len();
            while taken.len() < before + frames {
                assert!(consumer.wait(LONG));
                consumer.poll(taken, 1);
            }
            await_a_look(&consumer, &driver);
            let stats = consumer.stats();
            (stats.queued, stats.held)
        };
        assert_eq!(take(&mut taken, 3), (0, 3));
        drop(taken.pop());
        assert_eq!(take(&mut taken, 0), (0, 2));
        drop(taken.pop());
        // Three of four views: the chain, and nothing behind it.
        assert_eq!(take(&mut taken, 1), (0, 4));
        assert_eq!(numbers(&taken), [0, 10]);
        assert_eq!(taken.as_slice()[1].views(), 3);
        drop(taken.pop());
        assert_eq!(take(&mut taken, 1), (0, 2));
        assert_eq!(numbers(&taken), [0, 3]);
        let delivered = driver.join().unwrap();
        assert_eq!((delivered.published, delivered.missed), (5, 0));
    });
    check_edge(&consumer.stats());
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}

/// What a driver waits for does not keep others waiting: they get theirs first.
#[test]
fn others_get_theirs_before_the_driver_waits() {
    let hub = hub(64);
    let mut blocking = attach(&hub, 2, LONG);
    let mut reader = hub.attach_consumer("reader", ConsumerConfig::with_quota(16)).unwrap();
    let mut port = driver(&hub, LONG);
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            port.deliver(&mut numbered(&mut cache, 0..6), &mut cache)
        });
        // The reader has all six while the other's driver waits for it.
        let mut taken = SkbBatch::new();
        while taken.len() < 6 {
            assert!(reader.wait(LONG));
            reader.poll(&mut taken, 6);
        }
        assert!(!driver.is_finished());
        while blocking.stats().frames < 6 {
            taken.drain();
            blocking.wait(LONG);
            blocking.poll(&mut taken, 9);
        }
        let delivered = driver.join().unwrap();
        assert_eq!((delivered.published, delivered.missed), (12, 0));
    });
    check_edges(&hub);
    check_home(hub.pool());
}

/// How a wait of ten minutes ends when it has to, and what the frames are counted as.
#[test]
fn a_wait_ends_with_the_consumer_the_hub_or_the_pool() {
    type End = fn(&Hub, &mut Option<Consumer>);
    let ends: [(DropReason, End); 3] = [
        (DropReason::Detached, |_, consumer| drop(consumer.take())),
        (DropReason::Closed, |hub, _| hub.close()),
        (DropReason::Closed, |hub, _| {
            hub.pool().close();
        }),
    ];
    for (reason, end) in ends {
        let hub = hub(64);
        let mut consumer = Some(attach(&hub, 2, LONG));
        let mut port = driver(&hub, LONG);
        std::thread::scope(|scope| {
            let driver = scope.spawn(|| {
                let mut cache = hub.pool().local_cache();
                port.deliver(&mut numbered(&mut cache, 0..6), &mut cache)
            });
            while hub.stats().consumers[0].waits == 0 {
                std::thread::yield_now();
            }
            end(&hub, &mut consumer);
            let delivered = driver.join().unwrap();
            assert_eq!(delivered.published + delivered.missed, 6);
            // Into a ring that was just emptied by a consumer that leaves, two more may go.
            assert!(
                delivered.published == 2
                    || (delivered.published, reason) == (4, DropReason::Detached)
            );
            let why: Vec<_> =
                delivered.drops.iter().map(|drop| (drop.reason, drop.frames)).collect();
            assert_eq!(why, [(reason, delivered.missed)]);
        });
        drop((consumer, port));
        check_edges(&hub);
        check_home(hub.pool());
    }
}
