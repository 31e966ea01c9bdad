//! A consumer that reads stamps in a thread of its own.

use std::time::Duration;

use skbpool_deliver::Policy;
use skbpool_engine::{Ingest, IngestConfig, StampConsumer};
use skbpool_nic::{StampedTraffic, TrafficConfig};
use skbpool_pool::clock::monotonic_ns;

use crate::child::Child;
use crate::support::*;

pub fn stamped(stream: u32, count: usize) -> Vec<Given> {
    let config = TrafficConfig { stream, ..TrafficConfig::default() };
    let mut traffic = StampedTraffic::new(config).unwrap();
    (0..count)
        .map(|number| {
            let mut frame = Given::numbered(number, 60);
            assert_eq!(traffic.write_frame(&mut frame.bytes, monotonic_ns()), 60);
            frame
        })
        .collect()
}

#[test]
fn it_sees_what_was_lost_doubled_and_exchanged() {
    let (pool, hub) = hub(2048);
    let reader = StampConsumer::attach(&hub, "stamps", 7, 1024).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut frames = stamped(7, 500);
    frames.remove(0);
    frames.remove(300);
    frames.swap(10, 11);
    frames.insert(20, frames[20].clone());
    frames.push(Given::numbered(0, 60));
    frames.push(stamped(8, 1).remove(0));
    ingest.submit(&message(&frames)).unwrap();
    // Closing reads what is there to the end.
    let report = reader.close().unwrap();
    let stamps = &report.stamps;
    assert_eq!((stamps.received, stamps.unique, stamps.foreign), (499, 498, 2));
    assert_eq!((stamps.lost, stamps.duplicated, stamps.reordered), (2, 1, 1));
    assert_eq!(stamps.before_sent, 0);
    assert_eq!(stamps.latency.unwrap().count, 499);
    assert_eq!((report.consumer.offered, report.consumer.frames), (501, 501));
    drop(ingest);
    assert_all_home(&pool);
}

#[test]
fn it_wakes_up_for_every_message_and_tells_meanwhile() {
    let (pool, hub) = hub(2048);
    let reader = StampConsumer::attach(&hub, "stamps", 7, 1024).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    for (number, frame) in stamped(7, 300).into_iter().enumerate() {
        ingest.submit(&message(&[frame])).unwrap();
        if number % 50 == 0 {
            while reader.report().unwrap().stamps.received <= number as u64 {
                std::thread::yield_now();
            }
        }
    }
    let report = reader.close().unwrap();
    assert_eq!((report.stamps.received, report.stamps.lost), (300, 0));
    drop(ingest);
    assert_all_home(&pool);
}

#[test]
fn it_ends_with_the_hub() {
    let (_, hub) = hub(2048);
    let reader = StampConsumer::attach(&hub, "stamps", 7, 1024).unwrap();
    hub.close();
    assert_eq!(reader.close().unwrap().stamps.received, 0);
    assert!(StampConsumer::attach(&hub, "late", 7, 64).is_err());
}

#[test]
fn a_pool_too_small_is_told() {
    let (pool, hub) = hub(64);
    let error = StampConsumer::attach(&hub, "stamps", 7, 64).unwrap_err();
    assert!(error.to_string().contains("stamps"), "{error}");
    assert_eq!(pool.stats().reserved, 0);
}

#[test]
fn it_closes_while_frames_keep_coming() {
    let (pool, hub) = hub(2048);
    let reader = StampConsumer::attach(&hub, "stamps", 7, 1024).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = message(&stamped(7, 200));
    let closed = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SeqCst: nothing depends on how fast it is seen.
            while !closed.load(std::sync::atomic::Ordering::SeqCst) {
                ingest.submit(&frames).unwrap();
            }
        });
        while reader.report().unwrap().stamps.received == 0 {
            std::thread::yield_now();
        }
        assert!(reader.close().unwrap().stamps.received > 0);
        closed.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    drop(ingest);
    assert_all_home(&pool);
}

/// I12: its thread reads, with its figures locked, while others fork.
#[test]
fn in_a_forked_child_it_tells_nothing_and_locks_nothing() {
    let (_pool, hub) = hub(2048);
    let mut reader = Some(StampConsumer::attach(&hub, "stamps", 7, 1024).unwrap());
    for _ in 0..20 {
        Child::fork(|| {
            let reader = reader.take().unwrap();
            assert!(reader.report().is_none());
            assert!(reader.close().is_none());
        })
        .join();
    }
    assert!(reader.unwrap().close().is_some());
}

#[test]
fn a_driver_that_may_be_blocked_waits_for_a_reader_that_asks() {
    let (pool, hub) = hub(2048);
    let at_most = Duration::from_secs(60);
    let policy = Policy::Block { at_most };
    let reader = StampConsumer::attach_with(&hub, "stamps", 7, 16, policy).unwrap();
    let config = IngestConfig { may_block: at_most, ..IngestConfig::default() };
    let mut ingest = Ingest::attach(&hub, "in", config).unwrap();
    for _ in 0..20 {
        ingest.submit(&message(&stamped(7, 1000))).unwrap();
    }
    let report = reader.close().unwrap();
    assert_eq!((report.stamps.received, report.consumer.frames), (20_000, 20_000));
    drop(ingest);
    assert_all_home(&pool);
}
