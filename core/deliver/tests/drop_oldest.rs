//! Drop oldest: what a consumer finds are the newest frames, and what made place for them is counted as
//! evicted.

mod common;

use common::{check_edge, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub, Policy};
use skbpool_pool::{DropReason, LocalCache, Skb, SkbBatch};
use std::sync::Arc;

fn attach(hub: &Arc<Hub>, quota: u32, ring_slots: u32) -> (Consumer, DriverPort) {
    let config = ConsumerConfig {
        ring_slots,
        policy: Policy::DropOldest,
        ..ConsumerConfig::with_quota(quota)
    };
    let consumer = hub.attach_consumer("tap", config).unwrap();
    (consumer, hub.attach_driver("nic", DriverConfig::default()).unwrap())
}

/// Delivers these numbers; returns `[published, missed, evicted]`.
fn deliver(
    port: &mut DriverPort,
    cache: &mut LocalCache,
    numbers: std::ops::Range<u64>,
) -> [u64; 3] {
    let batch = numbered(cache, numbers);
    deliver_batch(port, cache, batch)
}

/// As [`deliver`], as one chain: a view of eight bytes for each number, together charged a buffer.
fn deliver_chain(
    port: &mut DriverPort,
    cache: &mut LocalCache,
    numbers: std::ops::Range<u64>,
) -> [u64; 3] {
    let batch = chain(cache, numbers);
    deliver_batch(port, cache, batch)
}

fn chain(cache: &mut LocalCache, numbers: std::ops::Range<u64>) -> SkbBatch {
    let chain = numbered(cache, numbers).into_iter().reduce(|mut chain: Skb, part| {
        chain.append_frag(part).unwrap();
        chain
    });
    chain.into_iter().collect()
}

fn deliver_batch(port: &mut DriverPort, cache: &mut LocalCache, mut batch: SkbBatch) -> [u64; 3] {
    let delivered = port.deliver(&mut batch, cache);
    assert_eq!(delivered.drops.iter().map(|drop| drop.frames).sum::<u64>(), delivered.missed);
    [delivered.published, delivered.missed, delivered.evicted]
}

fn poll(consumer: &mut Consumer) -> (SkbBatch, Vec<u64>) {
    let mut taken = SkbBatch::new();
    consumer.poll(&mut taken, usize::MAX);
    let got = numbers(&taken);
    (taken, got)
}

#[test]
fn the_newest_stay() {
    for (quota, ring_slots) in [(4, 4), (4, 16), (16, 4)] {
        let hub = hub(64);
        let mut cache = hub.pool().local_cache();
        let (mut consumer, mut port) = attach(&hub, quota, ring_slots);
        assert_eq!(deliver(&mut port, &mut cache, 0..3), [3, 0, 0]);
        assert_eq!(deliver(&mut port, &mut cache, 3..5), [2, 0, 1]);
        assert_eq!(deliver(&mut port, &mut cache, 5..9), [4, 0, 4]);
        let stats = consumer.stats();
        check_edge(&stats);
        assert_eq!((stats.queued, stats.held), (4, 4));
        assert_eq!(dropped(&stats, DropReason::Evicted), 5);
        assert_eq!(stats.dropped[0].bytes, 5 * 8);
        assert_eq!(hub.pool().stats().in_flight, 1, "what was evicted went home");
        let (_taken, got) = poll(&mut consumer);
        assert_eq!(got, [5, 6, 7, 8]);
        check_edges(&hub);
    }
}

/// Of a batch that is larger than what there can be, the newest are published, and the others dropped
/// for what was in the way.
#[test]
fn of_a_batch_that_is_too_large_the_newest_are_published() {
    for (quota, ring_slots, reason) in [(4, 8, DropReason::Quota), (16, 4, DropReason::RingFull)] {
        let hub = hub(64);
        let mut cache = hub.pool().local_cache();
        let (mut consumer, mut port) = attach(&hub, quota, ring_slots);
        deliver(&mut port, &mut cache, 0..2);
        assert_eq!(deliver(&mut port, &mut cache, 2..12), [4, 6, 2]);
        assert_eq!(dropped(&consumer.stats(), reason), 6);
        assert_eq!(poll(&mut consumer).1, [8, 9, 10, 11]);
        check_edges(&hub);
        check_home(hub.pool());
    }
}

/// Views that the consumer took are its own, and so is what they take of the quota.
#[test]
fn what_was_taken_stays_valid_and_stays_charged() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 4, 0);
    deliver(&mut port, &mut cache, 0..3);
    let (taken, got) = poll(&mut consumer);
    assert_eq!(got, [0, 1, 2]);
    assert_eq!(deliver(&mut port, &mut cache, 3..4), [1, 0, 0]);
    for round in 1..50u64 {
        assert_eq!(deliver(&mut port, &mut cache, 2 * round..2 * round + 2), [1, 1, 1]);
        assert_eq!(numbers(&taken), [0, 1, 2]);
        assert_eq!(consumer.stats().held, 4);
    }
    assert_eq!(poll(&mut consumer).1, [99], "the newest of all");
    drop(taken);
    check_edges(&hub);
    check_home(hub.pool());
}

/// What other drivers published is not this driver's to take back.
#[test]
fn a_driver_evicts_only_what_it_published() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut first) = attach(&hub, 4, 0);
    let mut second = hub.attach_driver("second", DriverConfig::default()).unwrap();
    deliver(&mut first, &mut cache, 0..3);
    assert_eq!(deliver(&mut second, &mut cache, 10..12), [1, 1, 0]);
    assert_eq!(deliver(&mut second, &mut cache, 12..14), [1, 1, 1]);
    assert_eq!(poll(&mut consumer).1, [0, 1, 2, 13]);
    check_edges(&hub);
}

/// A frame that an empty consumer could not take either drives nobody out.
#[test]
fn nothing_goes_for_a_frame_that_never_fits() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 2, 4);
    deliver(&mut port, &mut cache, 0..2);
    assert_eq!(deliver_chain(&mut port, &mut cache, 2..5), [0, 1, 0]);
    assert_eq!(dropped(&consumer.stats(), DropReason::Quota), 1);
    // Beside others it takes nobody along: one goes for the one that is new, whichever comes first.
    for (number, chain_is_last) in [(10, false), (11, true)] {
        let mut batch = chain(&mut cache, 2..5);
        let mut more = numbered(&mut cache, number..number + 1);
        if chain_is_last {
            std::mem::swap(&mut batch, &mut more);
        }
        batch.append(&mut more);
        assert_eq!(deliver_batch(&mut port, &mut cache, batch), [1, 1, 1]);
    }
    assert_eq!(dropped(&consumer.stats(), DropReason::Quota), 3);
    assert_eq!(poll(&mut consumer).1, [10, 11]);
    check_home(hub.pool());
}

/// Views and bytes that the consumer is charged for, and buffers that are out.
fn held(hub: &Hub, consumer: &Consumer) -> [u64; 3] {
    let stats = consumer.stats();
    check_edge(&stats);
    [stats.held, stats.held_bytes, u64::from(hub.pool().stats().in_flight)]
}

/// A chain is as many views as it has parts: as many of the oldest go for it, whole chains among them,
/// and one of them may go for a single view.
#[test]
fn chains_take_the_place_of_views_and_views_that_of_chains() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 6, 8);
    assert_eq!(deliver(&mut port, &mut cache, 0..4), [4, 0, 0]);
    assert_eq!(deliver(&mut port, &mut cache, 4..5), [1, 0, 0]);
    assert_eq!(held(&hub, &consumer), [5, 2 * 4096, 2]);
    // Three views where one is left: two go.
    assert_eq!(deliver_chain(&mut port, &mut cache, 10..13), [1, 0, 2]);
    assert_eq!(held(&hub, &consumer), [6, 2 * 1024 + 4096 + 3 * 1365, 3]);
    // Four where none is: the three views that are left, and the chain behind them.
    assert_eq!(deliver_chain(&mut port, &mut cache, 20..24), [1, 0, 4]);
    assert_eq!(held(&hub, &consumer), [4, 4096, 1]);
    // Two frames where none is: the chain, and no view behind it.
    assert_eq!(deliver(&mut port, &mut cache, 30..32), [2, 0, 0]);
    assert_eq!(held(&hub, &consumer), [6, 2 * 4096, 2]);
    assert_eq!(deliver(&mut port, &mut cache, 32..34), [2, 0, 1]);
    assert_eq!(held(&hub, &consumer), [4, 2 * 4096, 2]);
    // A view where none is, with slots left: one.
    assert_eq!(deliver(&mut port, &mut cache, 34..36), [2, 0, 0]);
    assert_eq!(deliver(&mut port, &mut cache, 36..37), [1, 0, 1]);
    let stats = consumer.stats();
    assert_eq!(dropped(&stats, DropReason::Evicted), 2 + 4 + 1 + 1);
    assert_eq!(stats.dropped[0].bytes, 2 * 8 + (3 * 8 + 24) + 32 + 8);
    assert_eq!((stats.offered, stats.queued), (14, 6));
    let (taken, got) = poll(&mut consumer);
    assert_eq!(got, [31, 32, 33, 34, 35, 36]);
    drop(taken);
    check_edges(&hub);
    check_home(hub.pool());
}

/// The same by bytes: a chain of two views is charged a buffer, so two of half a buffer go for it, and it
/// for one of those.
#[test]
fn chains_and_views_take_the_place_of_each_other_by_bytes() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let config = ConsumerConfig {
        ring_slots: 16,
        quota_bytes: Some(3 * 4096),
        policy: Policy::DropOldest,
        ..ConsumerConfig::with_quota(16)
    };
    let mut consumer = hub.attach_consumer("tap", config).unwrap();
    let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    assert_eq!(deliver(&mut port, &mut cache, 0..2), [2, 0, 0]);
    assert_eq!(deliver_chain(&mut port, &mut cache, 10..12), [1, 0, 0]);
    assert_eq!(deliver(&mut port, &mut cache, 20..24), [4, 0, 0]);
    assert_eq!(held(&hub, &consumer), [8, 3 * 4096, 3]);
    assert_eq!(deliver_chain(&mut port, &mut cache, 30..32), [1, 0, 2]);
    assert_eq!(held(&hub, &consumer), [8, 3 * 4096, 3]);
    // Half a buffer twice: the chain goes for the first, and leaves room for the second.
    for (number, evicted) in [(40, 1), (42, 0)] {
        let half = numbered(&mut cache, number..number + 2).split_off(1);
        assert_eq!(deliver_batch(&mut port, &mut cache, half), [1, 0, evicted]);
    }
    assert_eq!(held(&hub, &consumer), [8, 3 * 4096, 4]);
    // A whole buffer is four quarters.
    assert_eq!(deliver(&mut port, &mut cache, 50..51), [1, 0, 4]);
    assert_eq!(poll(&mut consumer).1.len(), 4);
    assert_eq!(dropped(&consumer.stats(), DropReason::Evicted), 2 + 1 + 4);
    check_edges(&hub);
    check_home(hub.pool());
}

/// What the consumer took leaves too little for a chain, whatever goes for it: what lay in the ring is
/// not known to be too little before it is out.
#[test]
fn what_was_taken_may_be_in_the_way_of_a_chain() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 6, 8);
    deliver(&mut port, &mut cache, 0..4);
    let (taken, _) = poll(&mut consumer);
    deliver(&mut port, &mut cache, 4..6);
    assert_eq!(deliver_chain(&mut port, &mut cache, 10..13), [0, 1, 2]);
    assert_eq!(held(&hub, &consumer), [4, 4096, 1]);
    let stats = consumer.stats();
    assert_eq!((dropped(&stats, DropReason::Quota), stats.queued), (1, 0));
    drop(taken);
    assert_eq!(deliver_chain(&mut port, &mut cache, 20..26), [1, 0, 0]);
    assert_eq!(consumer.poll(&mut SkbBatch::new(), 9), 1);
    check_edges(&hub);
    check_home(hub.pool());
}

/// One consumer drops the oldest, one the newest; they share buffers and nothing else.
#[test]
fn beside_a_consumer_that_drops_the_newest() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut newest, mut port) = attach(&hub, 4, 0);
    let mut oldest = hub.attach_consumer("other", ConsumerConfig::with_quota(4)).unwrap();
    deliver(&mut port, &mut cache, 0..3);
    assert_eq!(deliver(&mut port, &mut cache, 3..6), [3 + 1, 2, 2]);
    assert_eq!(poll(&mut newest).1, [2, 3, 4, 5]);
    assert_eq!(poll(&mut oldest).1, [0, 1, 2, 3]);
    check_edges(&hub);
    check_home(hub.pool());
}

/// A consumer on a thread of its own, as fast as it can: what it gets is in order, and everything is
/// accounted for.
#[test]
fn a_consumer_that_polls_meanwhile_gets_frames_in_order() {
    let hub = hub(64);
    let (mut consumer, mut port) = attach(&hub, 8, 4);
    const BATCHES: u64 = 5_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            for batch in 0..BATCHES {
                deliver(&mut port, &mut cache, batch * 3..batch * 3 + 3);
            }
            drop(port);
        });
        let mut cache = hub.pool().local_cache();
        let (mut last, mut taken) = (None, SkbBatch::new());
        while last != Some(BATCHES * 3 - 1) {
            if consumer.poll(&mut taken, 2) == 0 {
                std::thread::yield_now();
            }
            for number in numbers(&taken) {
                assert!(last < Some(number), "{number} after {last:?}");
                last = Some(number);
            }
            taken.release(&mut cache);
        }
    });
    check_edge(&consumer.stats());
    assert_eq!(consumer.stats().offered, BATCHES * 3);
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}

/// Large frames go for small ones: only as many as the small ones need.
#[test]
fn no_more_is_evicted_than_the_quota_of_bytes_lacks() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let config = ConsumerConfig {
        ring_slots: 64,
        quota_bytes: Some(4 * 4096),
        policy: Policy::DropOldest,
        ..ConsumerConfig::with_quota(32)
    };
    let mut consumer = hub.attach_consumer("tap", config).unwrap();
    let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    for number in 0..4 {
        assert_eq!(deliver(&mut port, &mut cache, number..number + 1), [1, 0, 0]);
    }
    assert_eq!(deliver(&mut port, &mut cache, 10..18), [8, 0, 1]);
    // And a large one for the room of eight small ones, of which one large one is as old.
    assert_eq!(deliver(&mut port, &mut cache, 20..21), [1, 0, 1]);
    let (taken, got) = poll(&mut consumer);
    assert_eq!(got, [2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 20]);
    drop(taken);
    check_edges(&hub);
}
