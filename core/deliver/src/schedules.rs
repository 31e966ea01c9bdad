//! Scenarios of more threads than a model can take: shuttle runs each under random schedules. Its
//! atomics are sequentially consistent, so these look for interleavings; orderings are for the models.

use crate::sync::explore;
use crate::{ConsumerConfig, DriverConfig, Hub, Policy, Ring, claimed};
use shuttle::thread;
use skbpool_pool::{Accounts, Pool, SkbBatch, StartValues};
use std::sync::Arc;

/// Two rings in a row, indices that wrap (I4), values that arrive once and in order.
#[test]
fn four_threads_pass_values_on_over_rings() {
    explore(|| {
        let threads: Vec<_> = (0..2)
            .flat_map(|_| {
                let (mut tx, mut rx) = Ring::channel(2, u32::MAX - 1).unwrap();
                let producer = thread::spawn(move || {
                    let mut values: Vec<u32> = (0..6).collect();
                    while !values.is_empty() {
                        tx.enqueue_vec(&mut values);
                        thread::yield_now();
                    }
                });
                let consumer = thread::spawn(move || {
                    let mut got = Vec::new();
                    while got.len() < 6 {
                        rx.dequeue(&mut got, 2);
                        thread::yield_now();
                    }
                    assert_eq!(got, (0..6).collect::<Vec<_>>());
                });
                [producer, consumer]
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Two rings, each with a producer that takes the oldest back where there is no room, and a consumer that
/// takes: every value leaves once, to one of them, and both see them in order.
#[test]
fn four_threads_take_and_evict() {
    explore(|| {
        let rings: Vec<_> = [0, u64::MAX - 2]
            .map(|start| {
                let (mut tx, mut rx) = claimed::channel(2, start).unwrap();
                let producer = thread::spawn(move || {
                    let [mut evicted, mut dropped] = [Vec::new(), Vec::new()];
                    for value in 0..6u32 {
                        if tx.room(1) == 0 && !tx.is_held_up() {
                            tx.evict(&mut evicted, 1);
                        }
                        let mut values = vec![value];
                        tx.enqueue_vec(&mut values);
                        dropped.append(&mut values);
                    }
                    [evicted, dropped]
                });
                let consumer = thread::spawn(move || {
                    let mut got = Vec::new();
                    while rx.is_connected() || rx.filled() != 0 {
                        rx.dequeue(&mut got, 2);
                        thread::yield_now();
                    }
                    got
                });
                (producer, consumer)
            })
            .into_iter()
            .collect();
        for (producer, consumer) in rings {
            let [evicted, dropped] = producer.join().unwrap();
            let parts = [evicted, dropped, consumer.join().unwrap()];
            assert!(parts.iter().all(|part| part.is_sorted()), "{parts:?}");
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..6).collect::<Vec<_>>(), "{parts:?}");
        }
    });
}

/// Two drivers deliver, two consumers read and one of them leaves, a third comes and the hub closes:
/// whatever was offered to a consumer was taken, is queued, or is counted as missed (I9), and every
/// buffer is home in the end (I1).
fn six_threads(start: u64) {
    let start = StartValues { counter: start, tag: start, generation: start as u32 };
    let pool = Pool::builder(16).accounts(Accounts::new()).start_at(start).build().unwrap();
    let hub = Hub::new(pool);
    let config = || ConsumerConfig { start_index: u32::MAX - 1, ..ConsumerConfig::with_quota(3) };
    let mut threads = Vec::new();
    for name in ["nic0", "nic1"] {
        let mut port = hub.attach_driver(name, DriverConfig::default()).unwrap();
        let pool = hub.pool().clone();
        threads.push(thread::spawn(move || {
            let mut cache = pool.local_cache();
            let mut batch = SkbBatch::new();
            for _ in 0..2 {
                if cache.alloc_batch(2, &mut batch).is_ok() {
                    let delivered = port.deliver(&mut batch, &mut cache);
                    assert_eq!(delivered.frames, 2);
                }
            }
        }));
    }
    for name in ["stays", "leaves"] {
        // One of them has its oldest frames taken back where its ring is full.
        let policy = if name == "stays" { Policy::DropOldest } else { Policy::DropNewest };
        let config = ConsumerConfig { ring_slots: 2, policy, ..config() };
        let mut consumer = hub.attach_consumer(name, config).unwrap();
        threads.push(thread::spawn(move || {
            let mut batch = SkbBatch::new();
            let mut cache = consumer.pool().local_cache();
            for _ in 0..3 {
                consumer.poll(&mut batch, 2);
                cache.release_batch(&mut batch);
                if name == "leaves" {
                    break;
                }
            }
        }));
    }
    let late = Arc::clone(&hub);
    threads.push(thread::spawn(move || {
        if let Ok(mut consumer) = late.attach_consumer("late", config()) {
            consumer.poll(&mut SkbBatch::new(), 4);
        }
    }));
    let closing = Arc::clone(&hub);
    threads.push(thread::spawn(move || closing.close()));
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = hub.stats();
    let gone = &stats.detached_consumers;
    let missed: u64 = gone.dropped.iter().map(|drop| drop.frames).sum();
    assert_eq!(gone.offered, gone.frames + gone.queued + missed);
    assert_eq!((gone.queued, gone.held, stats.consumers.len()), (0, 0, 0));
    let audit = hub.pool().audit().unwrap();
    assert_eq!((audit.free, audit.in_flight), (16, 0));
    assert_eq!(hub.pool().stats().violations, 0);
}

#[test]
fn drivers_consumers_and_a_hub_that_closes() {
    explore(|| six_threads(0));
}

#[test]
fn across_every_wrap() {
    explore(|| six_threads(u64::MAX - 3));
}
