//! Watermarks beside caches, loose callers and one who closes the pool: each crossing is told once, low
//! and high in turn, and whoever waits for the end hears of it.

use super::together;
use crate::account::Accounts;
use crate::pool::{Pool, PoolEvent, StartValues};
use crate::skb::SkbBatch;
use crate::sync::explore;
use PoolEvent::{Exhausted, Gone, HighWatermark, LowWatermark, Orphaned};

const BUFFERS: u32 = 4;

fn seven_threads(start: StartValues) {
    let pool = Pool::builder(BUFFERS)
        .accounts(Accounts::new())
        .watermarks(2, 3)
        .start_at(start)
        .build()
        .unwrap();
    let mut parts: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for _ in 0..2 {
        let mut events = pool.events();
        parts.push(Box::new(move || {
            let mut told = vec![events.wait_next()];
            while told.last() != Some(&Gone) {
                told.push(events.wait_next());
            }
            let crossings: Vec<_> = told
                .iter()
                .filter(|&&event| matches!(event, LowWatermark | HighWatermark))
                .collect();
            assert!(
                crossings
                    .iter()
                    .zip([LowWatermark, HighWatermark].iter().cycle())
                    .all(|(&one, other)| one == other),
                "{told:?}"
            );
            // Behind `Gone` nothing is out, so the pool is not low.
            assert_eq!(crossings.len() % 2, 0, "{told:?}");
            assert!(told.iter().filter(|&&event| event == Orphaned).count() <= 1, "{told:?}");
            let exhausted = told.iter().filter(|&&event| event == Exhausted).count() as u64;
            assert!(exhausted <= crossings.len() as u64 + events.missed(), "{told:?}");
            assert_eq!(events.try_next(), None);
        }));
    }
    for _ in 0..2 {
        let pool = pool.clone();
        parts.push(Box::new(move || {
            let mut cache = pool.local_cache();
            let mut batch = SkbBatch::new();
            for _ in 0..2 {
                let _ = cache.alloc_batch(2, &mut batch);
                cache.release_batch(&mut batch);
            }
        }));
    }
    for _ in 0..2 {
        let pool = pool.clone();
        parts.push(Box::new(move || {
            let held = [pool.alloc(), pool.alloc()];
            drop(held);
            drop(pool.alloc());
        }));
    }
    parts.push(Box::new(move || {
        pool.close();
    }));
    together(parts);
}

#[test]
fn each_crossing_is_told_once_until_the_end() {
    explore(|| seven_threads(StartValues::default()));
}

/// I4: the counters of crossings wrap meanwhile.
#[test]
fn across_every_wrap() {
    let start = StartValues { counter: u64::MAX - 3, tag: u64::MAX - 3, generation: u32::MAX - 3 };
    explore(move || seven_threads(start));
}
