//! Ring indices, quota counters, accounts and tags that begin just short of their end (I4).

mod common;

use common::{check_edges, check_home, dropped, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub};
use skbpool_pool::{Accounts, DropReason, Pool, SkbBatch, StartValues};

#[test]
fn everything_wraps_and_nothing_is_lost() {
    for start_index in [0, 1, u32::MAX - 3, i32::MAX as u32 - 3] {
        let start = u64::from(start_index) | 0xffff_ffff_0000_0000;
        let pool = Pool::builder(64)
            .accounts(Accounts::start_at(start))
            .start_at(StartValues { counter: start, tag: start, generation: start_index })
            .build()
            .unwrap();
        let hub = Hub::new(pool);
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
