//! Ring indices, quota counters, accounts and tags that begin just short of their end (I4).

mod common;

use common::{all_dropped, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub, Policy};
use skbpool_pool::{Accounts, DropCount, DropReason, Pool, SkbBatch, StartValues};
use std::sync::Arc;

/// A hub whose counters, tags and generations begin there.
fn hub_that_wraps(start: u64, generation: u32) -> Arc<Hub> {
    let pool = Pool::builder(64)
        .accounts(Accounts::start_at(start))
        .start_at(StartValues { counter: start, tag: start, generation })
        .build()
        .unwrap();
    Hub::new(pool)
}

/// What is evicted, copied and dropped by a consumer that takes less than is delivered, and what it
/// takes, is the same wherever counters begin.
#[test]
fn under_every_policy() {
    let wait = std::time::Duration::from_micros(1);
    let policies = [
        (Policy::DropNewest, 0, 0),
        (Policy::DropOldest, 39 * 2, 0),
        (Policy::CopyOut { bytes: 4096 }, 0, 20),
        (Policy::Block { at_most: wait }, 0, 0),
    ];
    for start_index in [0, 1, u32::MAX - 3, i32::MAX as u32 - 3] {
        let start = u64::from(start_index) | 0xffff_ffff_0000_0000;
        for (policy, evicted, copied) in policies {
            let hub = hub_that_wraps(start, start_index);
            let mut cache = hub.pool().local_cache();
            let config = ConsumerConfig {
                start_index,
                policy,
                quota_bytes: Some(16 * 4096),
                ring_slots: 8,
                ..ConsumerConfig::with_quota(5)
            };
            let mut consumer = hub.attach_consumer("tap", config).unwrap();
            let config = DriverConfig { may_block: wait, ..DriverConfig::default() };
            let mut driver = hub.attach_driver("nic", config).unwrap();
            let mut batch = SkbBatch::new();
            let mut sums = [0; 4];
            for round in 0..40 {
                let frames = round * 6..(round + 1) * 6;
                let delivered = driver.deliver(&mut numbered(&mut cache, frames), &mut cache);
                sums[0] += delivered.evicted;
                sums[1] += delivered.copied;
                sums[2] += delivered.published;
                sums[3] += consumer.poll(&mut batch, 3) as u64;
                batch.release(&mut cache);
            }
            let stats = consumer.stats();
            assert_eq!((stats.offered, stats.frames, stats.copied), (240, sums[3], sums[1]));
            assert_eq!(sums[2], stats.frames + stats.queued + sums[0]);
            assert_eq!(all_dropped(&stats), 240 - sums[2] + sums[0]);
            assert_eq!((dropped(&stats, DropReason::Evicted), sums[0]), (evicted, evicted));
            assert!(copied == 0 && sums[1] == 0 || sums[1] >= copied, "{policy:?}: {sums:?}");
            drop(consumer);
            check_edges(&hub);
            check_home(hub.pool());
        }
    }
}

#[test]
fn everything_wraps_and_nothing_is_lost() {
    for start_index in [0, 1, u32::MAX - 3, i32::MAX as u32 - 3] {
        let start = u64::from(start_index) | 0xffff_ffff_0000_0000;
        let hub = hub_that_wraps(start, start_index);
        let mut cache = hub.pool().local_cache();
        let config = ConsumerConfig { start_index, ring_slots: 4, ..ConsumerConfig::with_quota(5) };
        let mut consumers =
            ["a", "b"].map(|name| hub.attach_consumer(name, config.clone()).unwrap());
        let mut drivers =
            ["x", "y"].map(|name| hub.attach_driver(name, DriverConfig::default()).unwrap());
        let mut batch = SkbBatch::new();
        for round in 0..20 {
            for driver in &mut drivers {
                let frames = round * 3..(round + 1) * 3;
                let delivered = driver.deliver(&mut numbered(&mut cache, frames), &mut cache);
                assert_eq!(delivered.published + delivered.missed, 6);
            }
            for consumer in &mut consumers {
                // Three of the first driver, and of the second what the quota leaves.
                assert_eq!(consumer.poll(&mut batch, 8), 5);
                let mut got = numbers(&batch);
                got.sort_unstable();
                let first = round * 3;
                assert_eq!(got, [first, first, first + 1, first + 1, first + 2]);
                batch.release(&mut cache);
                assert_eq!(consumer.stats().held, 0);
            }
        }
        for consumer in &consumers {
            let stats = consumer.stats();
            assert_eq!((stats.offered, stats.frames), (120, 100));
            assert_eq!(dropped(&stats, DropReason::Quota), 20);
        }
        check_edges(&hub);
        check_home(hub.pool());
    }
}

/// Figures are modulo 2^64, those that a caller counts as well: what is new of them is told, and sums of
/// those who left add up.
#[test]
fn drops_beyond_what_a_counter_holds() {
    use DropReason::{Malformed, Quota};
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    for left_before in [0, 1, 2] {
        let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(1)).unwrap();
        driver.deliver(&mut numbered(&mut cache, 0..3), &mut cache);
        let counts = [
            (Quota, 2, 16),
            (Quota, u64::MAX, u64::MAX),
            (Quota, 3, 4),
            (Malformed, u64::MAX, u64::MAX),
            // From here on there are none, as in the beginning.
            (Malformed, 1, 1),
            (Malformed, 5, 6),
        ];
        for (at, &(reason, frames, bytes)) in counts.iter().enumerate() {
            if at != 0 {
                consumer.count_refused(reason, frames, bytes);
            }
            assert_eq!(consumer.missed(), [DropCount { reason, frames, bytes }], "count {at}");
            assert_eq!(consumer.missed(), []);
            hub.stats();
        }
        let stats = consumer.stats();
        assert_eq!((dropped(&stats, Quota), dropped(&stats, Malformed)), (4, 5));
        driver.count_drop(Malformed, u64::MAX, u64::MAX);
        consumer.count_refused(Malformed, u64::MAX - 5, 0);
        drop(consumer);
        let gone = hub.stats().detached_consumers;
        assert_eq!(dropped(&gone, Malformed), 0u64.wrapping_sub(left_before + 1));
        drop(driver);
        driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        let dropped = hub.stats().detached_drivers.dropped;
        assert_eq!(dropped[0].frames, 0u64.wrapping_sub(left_before + 1));
    }
    drop((driver, cache));
    check_home(hub.pool());
}
