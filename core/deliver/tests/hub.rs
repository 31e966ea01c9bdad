//! From drivers to consumers: the same bytes, one buffer, freed once.

mod common;

use common::{check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, Delivered, DriverConfig, Hub};
use skbpool_pool::{
    DropReason, Free, HolderKind, MAX_REFERENCES, Owner, Pool, SkbBatch, init_zero_copy_buffer,
};
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn smoke() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(16)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::with_buffers(8)).unwrap();

    let mut batch = numbered(&mut cache, 0..5);
    let delivered = driver.deliver(&mut batch, &mut cache);
    assert_eq!(delivered, Delivered { frames: 5, published: 5, ..Delivered::default() });
    assert!(batch.is_empty());
    assert!(consumer.has_frames());
    assert_eq!((consumer.stats().queued, consumer.stats().held), (5, 5));

    assert_eq!(consumer.poll(&mut batch, 3), 3);
    assert_eq!(consumer.poll(&mut batch, 3), 2);
    assert_eq!(consumer.poll(&mut batch, 3), 0);
    assert_eq!(numbers(&batch), [0, 1, 2, 3, 4]);
    assert!(batch.as_slice().iter().all(|skb| skb.holder() == consumer.holder()));

    batch.release(&mut cache);
    let stats = consumer.stats();
    assert_eq!((stats.offered, stats.frames, stats.bytes), (5, 5, 40));
    assert_eq!((stats.queued, stats.held, stats.quota), (0, 0, 16));
    assert!(consumer.missed().is_empty());
    assert_eq!((driver.stats().frames, driver.stats().bytes), (5, 40));
    check_edges(&hub);
    check_home(hub.pool());
}

#[test]
fn every_consumer_sees_the_same_bytes_of_one_buffer() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumers = ["a", "b", "c"]
        .map(|name| hub.attach_consumer(name, ConsumerConfig::with_quota(8)).unwrap());
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();

    let mut batch = numbered(&mut cache, 0..8);
    let at = batch.as_slice()[0].header().index().unwrap();
    let generation = batch.as_slice()[0].header().generation();
    assert_eq!(driver.deliver(&mut batch, &mut cache).published, 24);
    assert_eq!(hub.pool().stats().in_flight, 1);

    let mut taken = [SkbBatch::new(), SkbBatch::new(), SkbBatch::new()];
    for (consumer, batch) in consumers.iter_mut().zip(&mut taken) {
        assert_eq!(consumer.poll(batch, 100), 8);
        assert_eq!(numbers(batch), (0..8).collect::<Vec<_>>());
        assert!(batch.as_slice().iter().all(|skb| skb.header().index() == Some(at)));
    }
    let [mut first, mut second, mut third] = taken;
    second.release(&mut cache);
    first.release(&mut cache);
    assert_eq!(hub.pool().stats().in_flight, 1, "the third still reads");
    assert_eq!(third.as_slice()[0].header().generation(), generation);
    third.release(&mut cache);
    assert_eq!(hub.pool().stats().in_flight, 0);

    let again = cache.alloc().unwrap();
    assert_eq!(again.header().index(), Some(at));
    assert_eq!(again.header().generation(), generation + 1, "it came home once");
    drop(again);
    check_edges(&hub);
    check_home(hub.pool());
}

/// A buffer that a driver brought, whose free function counts (I11).
#[test]
fn a_free_function_is_called_once_when_the_last_consumer_lets_go() {
    // Brought memory is accounted in the process's accounts, so this pool uses them as well.
    let hub = Hub::new(Pool::builder(64).build().unwrap());
    let mut cache = hub.pool().local_cache();
    let mut consumers =
        ["a", "b"].map(|name| hub.attach_consumer(name, ConsumerConfig::with_quota(8)).unwrap());
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();

    let layout = Layout::from_size_align(4096, 64).unwrap();
    // SAFETY: the layout is not empty.
    let memory = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let free = Free::closure(move |freed| {
        counted.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the header stands 64 bytes before the data, where the allocation begins.
        unsafe { std::alloc::dealloc(freed.data.sub(64).as_ptr(), layout) };
    });
    // SAFETY: the memory was just allocated and is nobody else's until it is freed.
    let buffer = unsafe { init_zero_copy_buffer(memory, 4096, 0, free, Owner::nobody()) }.unwrap();
    let mut armed = buffer.arm(4).unwrap();
    let mut batch: SkbBatch = (0..4).map(|at| armed.skb(at * 64, 64).unwrap()).collect();
    assert_eq!(driver.deliver(&mut batch, &mut cache).published, 8);

    let mut taken = SkbBatch::new();
    for consumer in &mut consumers {
        assert_eq!(consumer.poll(&mut taken, 8), 4);
    }
    while let Some(skb) = taken.pop() {
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        cache.release(skb);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(consumers.map(|consumer| consumer.stats().held), [0, 0]);
}

#[test]
fn frames_that_nobody_wants_are_released_and_are_no_drop() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let delivered = driver.deliver(&mut numbered(&mut cache, 0..7), &mut cache);
    assert_eq!(delivered, Delivered { frames: 7, unclaimed: 7, ..Delivered::default() });
    let stats = driver.stats();
    assert_eq!((stats.frames, stats.bytes, stats.unclaimed), (7, 56, 7));
    assert!(stats.dropped.is_empty());
    assert_eq!(driver.deliver(&mut SkbBatch::new(), &mut cache), Delivered::default());
    check_home(hub.pool());
}

#[test]
fn who_comes_later_gets_what_is_delivered_later() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..2), &mut cache);
    let mut consumer = hub.attach_consumer("late", ConsumerConfig::with_quota(8)).unwrap();
    driver.deliver(&mut numbered(&mut cache, 2..4), &mut cache);
    let mut second = hub.attach_driver("second", DriverConfig::default()).unwrap();
    second.deliver(&mut numbered(&mut cache, 10..12), &mut cache);
    let mut batch = SkbBatch::new();
    while consumer.poll(&mut batch, 1) != 0 {}
    let mut got = numbers(&batch);
    got.sort_unstable();
    assert_eq!(got, [2, 3, 10, 11]);
    assert_eq!(consumer.stats().offered, 4);
}

#[test]
fn no_driver_starves_another() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(32)).unwrap();
    let mut drivers =
        ["a", "b", "c"].map(|name| hub.attach_driver(name, DriverConfig::default()).unwrap());
    for (driver, first) in drivers.iter_mut().zip([0, 100, 200]) {
        driver.deliver(&mut numbered(&mut cache, first..first + 4), &mut cache);
    }
    let mut batch = SkbBatch::new();
    for _ in 0..3 {
        assert_eq!(consumer.poll(&mut batch, 1), 1);
    }
    let mut got = numbers(&batch);
    got.sort_unstable();
    assert_eq!(got, [0, 100, 200], "the first of each");
}

/// A view that somebody else answers for, as one from a lease, changes hands.
#[test]
fn who_held_a_view_before_is_charged_no_more() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let session = hub.pool().accounts().holder("session", HolderKind::Session).unwrap();
    let mut consumers =
        ["a", "b"].map(|name| hub.attach_consumer(name, ConsumerConfig::with_quota(2)).unwrap());
    let mut driver = hub.attach_driver("lease", DriverConfig::default()).unwrap();
    let mut batch = numbered(&mut cache, 0..4);
    for skb in batch.as_mut_slice() {
        skb.hand_to(session.id(), cache.shard());
    }
    assert_eq!(session.held().0, 4);
    driver.deliver(&mut batch, &mut cache);
    assert_eq!(session.held(), (0, 0), "two went on, two were refused");
    assert_eq!(consumers.each_ref().map(|consumer| consumer.stats().held), [2, 2]);
    for consumer in &mut consumers {
        consumer.poll(&mut batch, 4);
    }
    batch.release(&mut cache);
    check_home(hub.pool());
}

/// With as many references as can be counted, views for further consumers cannot be made (I3).
#[test]
fn a_buffer_at_its_limit_goes_to_one_consumer_and_is_counted_for_the_others() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumers =
        ["a", "b"].map(|name| hub.attach_consumer(name, ConsumerConfig::with_quota(4)).unwrap());
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    for round in 1..=3 {
        let mut batch = numbered(&mut cache, 0..1);
        let mut armed = cache.alloc().unwrap().arm(MAX_REFERENCES).unwrap();
        batch.extend([armed.skb(0, 8).unwrap(), armed.skb(8, 8).unwrap()]);
        let delivered = driver.deliver(&mut batch, &mut cache);
        assert_eq!((delivered.published, delivered.missed), (4, 2));
        let reasons: Vec<_> =
            delivered.drops.iter().map(|drop| (drop.reason, drop.bytes)).collect();
        assert_eq!(reasons, [(DropReason::SharedLimit, 16)]);
        let stats = consumers.each_ref().map(|consumer| consumer.stats());
        let limited = stats.each_ref().map(|stats| dropped(stats, DropReason::SharedLimit));
        assert_eq!(limited.iter().sum::<u64>(), 2 * round);
        check_edges(&hub);
        // Both have all of their quota again, so what could not be made was not charged.
        for consumer in &mut consumers {
            consumer.poll(&mut batch, 4);
        }
        batch.release(&mut cache);
    }
    check_home(hub.pool());
}
