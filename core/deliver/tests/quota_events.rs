//! A consumer that goes over its quota, and has room again, is an event that a program can wait for.

mod common;

use QuotaEvent::{Exceeded, Gone, Recovered};
use common::{check_home, hub, numbered};
use skbpool_deliver::{ConsumerConfig, DriverConfig, QuotaEvent};
use skbpool_pool::SkbBatch;
use std::time::{Duration, Instant};

#[test]
fn over_the_quota_once_until_half_of_it_is_free() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let config = ConsumerConfig { ring_slots: 64, ..ConsumerConfig::with_quota(8) };
    let mut consumer = hub.attach_consumer("tap", config).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut events = consumer.quota_events();
    let mut deliver =
        |frames| driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache).published;

    assert_eq!(deliver(8), 8);
    assert_eq!(events.try_next(), None, "a quota that is used up is not exceeded");
    assert_eq!((deliver(1), deliver(5)), (0, 0));
    assert_eq!((events.try_next(), events.try_next()), (Some(Exceeded), None));

    let mut held = SkbBatch::new();
    assert_eq!(consumer.poll(&mut held, 64), 8);
    let mut held: Vec<_> = held.into_iter().collect();
    held.truncate(5);
    assert_eq!((deliver(1), events.try_next()), (1, None), "three of eight are free");
    held.truncate(2);
    assert_eq!((deliver(6), events.try_next()), (5, None), "a frame was refused again");
    held.clear();
    let mut rest = SkbBatch::new();
    consumer.poll(&mut rest, 2);
    drop(rest);
    assert_eq!((deliver(1), events.try_next()), (1, Some(Recovered)));

    // Who was not there is not told; who did not look is told the last.
    let mut late = consumer.quota_events();
    for _ in 0..3 {
        deliver(20);
        let mut all = SkbBatch::new();
        consumer.poll(&mut all, 64);
        drop(all);
        deliver(1);
    }
    deliver(20);
    for watcher in [&mut events, &mut late] {
        assert_eq!((watcher.try_next(), watcher.missed()), (Some(Exceeded), 6));
        assert_eq!(watcher.try_next(), None);
    }
    let pool = hub.pool().clone();
    drop((consumer, driver, cache));
    assert_eq!(
        (events.try_next(), events.try_next()),
        (Some(Gone), None),
        "it outlives its consumer"
    );
    check_home(&pool);
}

/// That half is free is seen by the next delivery, though an earlier look left room enough for it.
#[test]
fn while_it_is_over_each_delivery_looks_again() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(8)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut events = consumer.quota_events();
    driver.deliver(&mut numbered(&mut cache, 0..9), &mut cache);
    assert_eq!(events.try_next(), Some(Exceeded));
    let mut held = SkbBatch::new();
    consumer.poll(&mut held, 8);
    drop(held.split_off(5));
    driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
    assert_eq!(events.try_next(), None, "three were free");
    drop(held);
    driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
    assert_eq!(events.try_next(), Some(Recovered));
}

/// Where the ring is full as well, the quota is still what the consumer can do something about.
#[test]
fn a_ring_as_large_as_the_quota_hides_nothing() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let config = ConsumerConfig { ring_slots: 4, ..ConsumerConfig::with_quota(4) };
    let consumer = hub.attach_consumer("tap", config).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut events = consumer.quota_events();
    driver.deliver(&mut numbered(&mut cache, 0..4), &mut cache);
    assert_eq!(events.try_next(), None);
    driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
    assert_eq!(events.try_next(), Some(Exceeded));
}

#[test]
fn a_watcher_sleeps_until_the_quota_is_exceeded() {
    let hub = hub(64);
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(4)).unwrap();
    let mut events = consumer.quota_events();
    let deadline = Instant::now() + Duration::from_millis(2);
    assert_eq!(events.next_until(deadline), None);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let soon = Instant::now() + Duration::from_secs(60);
            [events.next_until(soon), events.next_until(soon)]
        });
        let mut cache = hub.pool().local_cache();
        let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        driver.deliver(&mut numbered(&mut cache, 0..5), &mut cache);
        let mut taken = SkbBatch::new();
        consumer.poll(&mut taken, 4);
        drop(taken);
        driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
        assert_eq!(watcher.join().unwrap(), [Some(Exceeded), Some(Recovered)]);
    });
}

/// The end is told once, after what came before it, and to those who sleep; then nobody waits.
#[test]
fn the_end_is_told_when_the_consumer_leaves() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    for recovers in [false, true] {
        let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(4)).unwrap();
        let mut deliver =
            |frames| driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache).published;
        let (mut events, mut asleep) = (consumer.quota_events(), consumer.quota_events());
        assert_eq!(deliver(5), 4);
        let soon = Instant::now() + Duration::from_secs(600);
        assert_eq!(asleep.next_until(soon), Some(Exceeded));
        if recovers {
            assert_eq!(consumer.poll(&mut SkbBatch::new(), 4), 4);
            assert_eq!((deliver(1), asleep.next_until(soon)), (1, Some(Recovered)));
        }
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| asleep.next_until(soon));
            drop(consumer);
            assert_eq!(watcher.join().unwrap(), Some(Gone));
        });
        assert_eq!(deliver(9), 0);
        assert_eq!((asleep.is_over(), asleep.next_until(soon)), (true, None));
        let told: Vec<_> = std::iter::from_fn(|| events.next_until(soon)).collect();
        let before = if recovers { &[Exceeded, Recovered][..] } else { &[Exceeded] };
        assert_eq!(told, [before, &[Gone]].concat());
        assert_eq!(events.missed(), 0);
    }
    drop((driver, cache));
    check_home(hub.pool());
}
