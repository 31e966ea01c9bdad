//! Consumers that sleep are called; nobody sleeps to wait for that here. A call that gets lost is a
//! test that never ends.

mod common;

use common::{check_edges, check_home, hub, numbered, numbers};
use skbpool_deliver::{Bell, Consumer, ConsumerConfig, DriverConfig, Hub};
use skbpool_pool::SkbBatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Further away than any clock reaches.
const FOR_EVER: Duration = Duration::MAX;
const ROUNDS: u64 = 2000;

fn sharing(hub: &Arc<Hub>, bell: &Arc<Bell>, token: u64) -> Consumer {
    let bell = Some((Arc::clone(bell), token));
    let config = ConsumerConfig { bell, ..ConsumerConfig::with_quota(16) };
    hub.attach_consumer(&format!("tap{token}"), config).unwrap()
}

#[test]
fn who_asks_is_called_once_and_who_has_frames_need_not_ask() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let bell = Bell::new();
    let mut consumer = sharing(&hub, &bell, 7);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut deliver = || driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache);

    deliver();
    assert_eq!(bell.wait(Duration::ZERO), None, "nobody asked");
    assert!(!consumer.arm(), "there are frames");
    let mut batch = SkbBatch::new();
    consumer.poll(&mut batch, 8);
    assert!(consumer.arm());
    assert_eq!(bell.wait(Duration::ZERO), None);
    deliver();
    deliver();
    assert_eq!(bell.wait(FOR_EVER), Some(7));
    assert_eq!(bell.wait(Duration::ZERO), None, "once");
    assert!(consumer.disarm(), "the call was made");

    consumer.poll(&mut batch, 8);
    assert!(consumer.arm());
    assert!(!consumer.disarm(), "the wish is taken back");
    deliver();
    assert_eq!(bell.wait(Duration::ZERO), None);
}

#[test]
fn an_end_that_has_passed_is_no_wait() {
    let hub = hub(64);
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(4)).unwrap();
    assert!(!consumer.wait(Duration::ZERO));
    assert!(!consumer.wait(Duration::from_nanos(1)));
}

/// One frame at a time, the next only when it was read: every round is one sleep and one call.
#[test]
fn a_consumer_with_a_bell_of_its_own() {
    let hub = hub(64);
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(4)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            for round in 0..ROUNDS {
                while read.load(Ordering::Acquire) < round {
                    std::thread::yield_now();
                }
                driver.deliver(&mut numbered(&mut cache, round..round + 1), &mut cache);
            }
        });
        let mut batch = SkbBatch::new();
        for round in 0..ROUNDS {
            assert!(consumer.wait(FOR_EVER));
            assert_eq!(consumer.poll(&mut batch, 4), 1);
            assert_eq!(numbers(&batch), [round]);
            drop(batch.pop());
            read.store(round + 1, Ordering::Release);
        }
    });
    check_edges(&hub);
    check_home(hub.pool());
}

/// One thread waits for three consumers of two drivers, as a dispatcher does.
#[test]
fn one_thread_for_many_consumers() {
    let hub = hub(128);
    let bell = Bell::new();
    let mut consumers = [0, 1, 2].map(|token| sharing(&hub, &bell, token));
    let drivers = ["a", "b"].map(|name| hub.attach_driver(name, DriverConfig::default()).unwrap());
    // What the slowest consumer has read of each driver; rings have room for what is ahead of it.
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for mut driver in drivers {
            let (hub, read) = (&hub, &read);
            scope.spawn(move || {
                let mut cache = hub.pool().local_cache();
                for round in 0..ROUNDS {
                    while 2 * round >= read.load(Ordering::Acquire) + 8 {
                        std::thread::yield_now();
                    }
                    driver.deliver(&mut numbered(&mut cache, round..round + 1), &mut cache);
                }
            });
        }
        let mut cache = hub.pool().local_cache();
        let (mut batch, mut got) = (SkbBatch::new(), [0; 3]);
        let mut ready: Vec<usize> = vec![0, 1, 2];
        while got.iter().any(|&count| count < 2 * ROUNDS) {
            for which in ready.drain(..) {
                // Poll and ask anew until there is nothing: then the bell will call.
                loop {
                    got[which] += consumers[which].poll(&mut batch, 3) as u64;
                    batch.release(&mut cache);
                    read.store(*got.iter().min().unwrap(), Ordering::Release);
                    if consumers[which].arm() {
                        break;
                    }
                }
            }
            if got.iter().any(|&count| count < 2 * ROUNDS) {
                ready.push(bell.wait(FOR_EVER).unwrap() as usize);
            }
        }
    });
    for consumer in &consumers {
        assert_eq!(consumer.stats().frames, 2 * ROUNDS, "{:?}", consumer.stats());
    }
    check_edges(&hub);
    check_home(hub.pool());
}

#[test]
fn closing_the_hub_wakes_everybody() {
    let hub = hub(64);
    let bell = Bell::new();
    let mut shared = [1, 2].map(|token| sharing(&hub, &bell, token));
    assert!(shared.iter_mut().all(Consumer::arm));
    let mut own = hub.attach_consumer("own", ConsumerConfig::with_quota(4)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| hub.close());
        assert!(!own.wait(FOR_EVER));
        let mut called = [1, 2].map(|_| bell.wait(FOR_EVER).unwrap());
        called.sort_unstable();
        assert_eq!(called, [1, 2]);
    });
    assert!(own.is_finished());
    assert!(!own.wait(FOR_EVER), "and nobody sleeps at a closed hub");
}
