//! S5, I6: a consumer that stopped slows nobody, holds no more than its quota, and what it missed is
//! counted as its own.

mod common;

use common::{check_edge, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Policy};
use skbpool_pool::{DropReason, SkbBatch};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const QUOTA: u32 = 10;
const BATCH: u64 = 16;
const ROUNDS: u64 = 500;

/// Delivers rounds; returns what the reader got. `stopped_polls`: how many frames the other consumer
/// takes, and keeps, before it stops.
fn run(stopped_polls: usize) {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut stopped = hub.attach_consumer("stopped", ConsumerConfig::with_quota(QUOTA)).unwrap();
    let mut reader = hub.attach_consumer("reader", ConsumerConfig::with_quota(16)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::with_buffers(8)).unwrap();
    let (mut parked, mut batch) = (SkbBatch::new(), SkbBatch::new());
    let mut got = Vec::new();
    for round in 0..ROUNDS {
        let frames = round * BATCH..(round + 1) * BATCH;
        let mut burst = numbered(&mut cache, frames);
        driver.deliver(&mut burst, &mut cache);
        if round == 0 {
            stopped.poll(&mut parked, stopped_polls);
        }
        assert_eq!(reader.poll(&mut batch, BATCH as usize), BATCH as usize);
        got.extend(numbers(&batch));
        batch.release(&mut cache);
        let stats = stopped.stats();
        assert!(stats.held <= u64::from(QUOTA), "{stats:?}");
        assert!(hub.pool().stats().in_flight <= QUOTA, "it pins what it holds and no more");
    }
    assert!(got.into_iter().eq(0..ROUNDS * BATCH), "the reader lost nothing");
    let [missed] = stopped.missed()[..] else { panic!("one reason") };
    assert_eq!(missed.reason, DropReason::Quota);
    assert_eq!(missed.frames, ROUNDS * BATCH - u64::from(QUOTA));
    assert_eq!(missed.bytes, missed.frames * 8);
    assert!(reader.missed().is_empty());
    assert_eq!(stopped.stats().held, u64::from(QUOTA));
    check_edges(&hub);

    // Continued, it finds the oldest frames, and receives anew when it has released.
    stopped.poll(&mut parked, usize::MAX);
    assert_eq!(numbers(&parked), (0..u64::from(QUOTA)).collect::<Vec<_>>());
    parked.release(&mut cache);
    driver.deliver(&mut numbered(&mut cache, 0..5), &mut cache);
    assert_eq!(stopped.poll(&mut parked, usize::MAX), 5);
    reader.poll(&mut parked, usize::MAX);
    parked.release(&mut cache);
    check_home(hub.pool());
}

#[test]
fn that_never_polls() {
    run(0);
}

#[test]
fn that_sits_on_views_it_took() {
    run(4);
}

#[test]
fn that_sits_on_its_whole_quota() {
    run(QUOTA as usize);
}

/// Driver and reader on threads of their own. The driver goes on when the reader has room, so the
/// reader must get everything; nothing in that depends on the consumer that sleeps.
#[test]
fn while_others_run_on_threads_of_their_own() {
    let hub = hub(256);
    let stopped = hub.attach_consumer("stopped", ConsumerConfig::with_quota(QUOTA)).unwrap();
    let mut reader = hub.attach_consumer("reader", ConsumerConfig::with_quota(64)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::with_buffers(32)).unwrap();
    let released = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            for round in 0..ROUNDS {
                while (round + 1) * BATCH - released.load(Ordering::Acquire) > 64 {
                    std::thread::yield_now();
                }
                let mut burst = numbered(&mut cache, round * BATCH..(round + 1) * BATCH);
                driver.deliver(&mut burst, &mut cache);
            }
        });
        let mut cache = hub.pool().local_cache();
        let (mut batch, mut next) = (SkbBatch::new(), 0);
        while next < ROUNDS * BATCH {
            if reader.poll(&mut batch, 32) == 0 {
                std::thread::yield_now();
            }
            for number in numbers(&batch) {
                assert_eq!(number, next);
                next += 1;
            }
            batch.release(&mut cache);
            released.store(next, Ordering::Release);
        }
    });
    let stats = stopped.stats();
    assert_eq!((stats.held, stats.queued), (u64::from(QUOTA), u64::from(QUOTA)));
    assert_eq!(dropped(&stats, DropReason::Quota), ROUNDS * BATCH - u64::from(QUOTA));
    assert_eq!(reader.stats().frames, ROUNDS * BATCH);
    check_edge(&stats);
    drop(stopped);
    check_edges(&hub);
    check_home(hub.pool());
}

/// What is parked may be parked under any policy: the driver never waits for it, but once where it
/// allowed that; the reader gets every frame; and what the parked one holds stays within its bounds.
#[test]
fn under_every_policy() {
    const MEMORY: u64 = 2 * 4096;
    let at_most = Duration::from_millis(1);
    let none = Duration::ZERO;
    let policies = [
        (Policy::DropNewest, none),
        (Policy::DropOldest, none),
        (Policy::CopyOut { bytes: MEMORY }, none),
        (Policy::Block { at_most }, none),
        (Policy::Block { at_most }, at_most),
    ];
    for (policy, may_block) in policies {
        for keeps in [0, 4, QUOTA as usize] {
            let hub = hub(64);
            let mut cache = hub.pool().local_cache();
            let config =
                ConsumerConfig { policy, ring_slots: 16, ..ConsumerConfig::with_quota(QUOTA) };
            let mut stopped = hub.attach_consumer("stopped", config).unwrap();
            let mut reader = hub.attach_consumer("reader", ConsumerConfig::with_quota(16)).unwrap();
            let config = DriverConfig { may_block, ..DriverConfig::with_buffers(8) };
            let mut driver = hub.attach_driver("nic", config).unwrap();
            let (mut parked, mut batch) = (SkbBatch::new(), SkbBatch::new());
            let mut waits = None;
            for round in 0..ROUNDS {
                let frames = round * BATCH..(round + 1) * BATCH;
                driver.deliver(&mut numbered(&mut cache, frames.clone()), &mut cache);
                if round == 0 {
                    stopped.poll(&mut parked, keeps);
                }
                assert_eq!(reader.poll(&mut batch, usize::MAX), BATCH as usize, "{policy:?}");
                assert!(numbers(&batch).into_iter().eq(frames));
                batch.release(&mut cache);
                let stats = stopped.stats();
                waits.get_or_insert(stats.waits);
                assert!(stats.held <= u64::from(QUOTA) && stats.copies_held_bytes <= MEMORY);
                assert!(hub.pool().stats().in_flight <= QUOTA, "{policy:?}");
            }
            let stats = stopped.stats();
            check_edge(&stats);
            assert_eq!(stats.offered, ROUNDS * BATCH);
            assert_eq!(stats.held, u64::from(QUOTA), "{policy:?}");
            assert_eq!(Some(stats.waits), waits, "it is not waited for again");
            assert_eq!(stats.waits == 0, may_block.is_zero());
            assert!(reader.missed().is_empty());
            // Of the first batch the newest or the oldest were published.
            let first = match policy {
                Policy::DropOldest => BATCH - u64::from(QUOTA),
                _ => 0,
            };
            assert!(numbers(&parked).into_iter().eq(first..first + keeps as u64));
            check_edges(&hub);
            drop(parked);
            drop((stopped, reader));
            check_edges(&hub);
            check_home(hub.pool());
        }
    }
}
