//! Which reason a missed frame is counted under, and what a quota means.

mod common;

use common::{check_edge, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, Hub};
use skbpool_pool::{DropReason, SkbBatch};

fn attach(hub: &std::sync::Arc<Hub>, quota: u32, ring_slots: u32) -> Consumer {
    let config = ConsumerConfig { ring_slots, ..ConsumerConfig::with_quota(quota) };
    hub.attach_consumer("tap", config).unwrap()
}

/// What one delivery of `frames` frames to a fresh consumer published, and what it dropped.
fn one_delivery(quota: u32, ring_slots: u32, frames: u64) -> (u64, u64, u64) {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let consumer = attach(&hub, quota, ring_slots);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let delivered = driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache);
    assert_eq!(delivered.published + delivered.missed, frames);
    let stats = consumer.stats();
    check_edge(&stats);
    assert_eq!(delivered.drops.iter().collect::<Vec<_>>(), stats.dropped);
    assert_eq!(delivered.drops.is_empty(), stats.dropped.is_empty());
    let [full, quota] = [DropReason::RingFull, DropReason::Quota].map(|why| dropped(&stats, why));
    (delivered.published, full, quota)
}

#[test]
fn the_narrower_of_ring_and_quota_is_the_reason() {
    assert_eq!(one_delivery(16, 4, 10), (4, 6, 0));
    assert_eq!(one_delivery(4, 16, 10), (4, 0, 6));
    assert_eq!(one_delivery(16, 16, 10), (10, 0, 0));
    assert_eq!(one_delivery(4, 4, 10), (4, 0, 6), "where both end, it is the quota");
    assert_eq!(one_delivery(16, 3, 10), (4, 6, 0), "slots are a power of two");
    assert_eq!(one_delivery(5, 0, 10), (5, 0, 5), "a ring has at least as many slots as the quota");
    assert_eq!(one_delivery(1, 1, 1), (1, 0, 0));
}

/// Each call tells what its own frames came to, of all consumers together.
#[test]
fn a_delivery_tells_its_own_drops_by_reason() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let _consumers = [attach(&hub, 16, 4), attach(&hub, 4, 16), attach(&hub, 16, 16)];
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut told = Vec::new();
    for frames in [4, 10, 3] {
        let delivered = driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache);
        let drops = delivered.drops.iter().map(|drop| (drop.reason, drop.frames, drop.bytes));
        told.push(drops.collect::<Vec<_>>());
        assert_eq!(delivered.drops.iter().map(|drop| drop.frames).sum::<u64>(), delivered.missed);
    }
    use DropReason::{Quota, RingFull};
    assert_eq!(told[0], []);
    assert_eq!(told[1], [(RingFull, 10, 80), (Quota, 10, 80)]);
    assert_eq!(told[2], [(RingFull, 3, 24), (Quota, 3 + 1, 24 + 8)]);
}

#[test]
fn what_was_taken_and_not_released_is_still_held() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, 4, 8);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut taken = SkbBatch::new();
    for round in 0..5 {
        driver.deliver(&mut numbered(&mut cache, 0..6), &mut cache);
        assert_eq!(consumer.poll(&mut taken, 8), 4);
        driver.deliver(&mut numbered(&mut cache, 6..8), &mut cache);
        assert!(!consumer.has_frames(), "the ring is empty, the quota used up");
        assert_eq!(dropped(&consumer.stats(), DropReason::Quota), 4 * (round + 1));
        cache.release(taken.pop().unwrap());
        driver.deliver(&mut numbered(&mut cache, 8..9), &mut cache);
        assert_eq!(consumer.poll(&mut taken, 8), 1, "one was released, one comes");
        assert_eq!(numbers(&taken), [0, 1, 2, 8]);
        taken.release(&mut cache);
    }
    assert_eq!(dropped(&consumer.stats(), DropReason::RingFull), 0);
    check_edges(&hub);
    check_home(hub.pool());
}

#[test]
fn several_drivers_share_one_quota() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let consumer = attach(&hub, 10, 0);
    let mut drivers =
        ["a", "b", "c"].map(|name| hub.attach_driver(name, DriverConfig::default()).unwrap());
    let mut published = Vec::new();
    for driver in &mut drivers {
        published.push(driver.deliver(&mut numbered(&mut cache, 0..4), &mut cache).published);
    }
    assert_eq!(published, [4, 4, 2]);
    assert_eq!(consumer.stats().held, 10);
}

/// What a driver was granted and did not use is nobody's the moment its call returns.
#[test]
fn drivers_that_idle_take_nothing_from_the_others() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, 8, 0);
    let mut idle: Vec<_> = (0..20)
        .map(|number| {
            let name = format!("idle{number}");
            hub.attach_driver(&name, DriverConfig::default()).unwrap()
        })
        .collect();
    let mut taken = SkbBatch::new();
    for driver in &mut idle {
        assert_eq!(driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache).published, 1);
        while consumer.poll(&mut taken, 1) != 0 {}
        taken.release(&mut cache);
    }
    let mut busy = hub.attach_driver("busy", DriverConfig::default()).unwrap();
    assert_eq!(busy.deliver(&mut numbered(&mut cache, 0..8), &mut cache).published, 8);
}

/// A view whose charge changes while it is held: private copies, linearized and trimmed chains.
#[test]
fn verbs_on_views_neither_widen_nor_narrow_the_quota() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, 4, 0);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut taken = SkbBatch::new();
    for _ in 0..10 {
        assert_eq!(driver.deliver(&mut numbered(&mut cache, 0..4), &mut cache).published, 4);
        consumer.poll(&mut taken, 4);
        for skb in taken.as_mut_slice() {
            skb.unshare(&mut cache).unwrap();
        }
        assert_eq!(driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache).published, 0);
        taken.release(&mut cache);

        let mut pieces = numbered(&mut cache, 0..2);
        let mut chain = pieces.pop().unwrap();
        chain.append_frag(pieces.pop().unwrap()).unwrap();
        let mut batch = SkbBatch::from_iter([chain]);
        assert_eq!(driver.deliver(&mut batch, &mut cache).published, 1);
        consumer.poll(&mut taken, 4);
        let chain = &mut taken.as_mut_slice()[0];
        assert_eq!(chain.len(), 16);
        chain.trim(12).unwrap();
        chain.linearize(&mut cache).unwrap();
        assert_eq!(driver.deliver(&mut numbered(&mut cache, 0..4), &mut cache).published, 3);
        consumer.poll(&mut taken, 4);
        taken.release(&mut cache);
    }
    check_edges(&hub);
    check_home(hub.pool());
}

/// A private copy is charged a buffer, and what that leaves of the bytes is all that is granted next.
#[test]
fn private_copies_use_up_a_quota_of_bytes() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let config = ConsumerConfig { quota_bytes: Some(4 * 4096), ..ConsumerConfig::with_quota(16) };
    let mut consumer = hub.attach_consumer("tap", config).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..4), &mut cache);
    let mut taken = SkbBatch::new();
    assert_eq!(consumer.poll(&mut taken, 4), 4);
    assert_eq!(consumer.stats().held_bytes, 4096);
    // The last of them is the only view of its buffer, which is as it was.
    taken.as_mut_slice().iter_mut().for_each(|skb| skb.unshare(&mut cache).unwrap());
    assert_eq!(consumer.stats().held_bytes, 3 * 4096 + 1024);
    let mut deliver = |frames| driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache);
    assert_eq!((deliver(1).published, deliver(4).published), (0, 3));
    assert_eq!(consumer.stats().held_bytes, 4 * 4096);
    drop((taken, consumer));
    check_edges(&hub);
    check_home(hub.pool());
}

/// Views of nobody's that a consumer appends to its own are charged to it, without a grant: until its
/// drivers have used what they know to be left, it may hold as many more than its quota, then fewer come.
#[test]
fn views_of_its_own_may_exceed_the_quota_once() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, 4, 8);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..1), &mut cache);
    let mut taken = SkbBatch::new();
    assert_eq!(consumer.poll(&mut taken, 8), 1);
    for own in numbered(&mut cache, 10..13) {
        taken.as_mut_slice()[0].append_frag(own).unwrap();
    }
    assert_eq!(consumer.stats().held, 4);
    let mut deliver = |frames| driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache);
    assert_eq!(deliver(3).published, 3);
    assert_eq!(consumer.stats().held, 4 + 3);
    assert_eq!(deliver(3).published, 0);
    assert_eq!(consumer.poll(&mut SkbBatch::new(), 8), 3);
    assert_eq!((deliver(3).published, consumer.stats().held), (0, 4));
    drop(taken);
    assert_eq!((deliver(6).published, consumer.stats().held), (4, 4));
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}

#[test]
fn missed_tells_news_only() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, 2, 0);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut told: Vec<Vec<(u64, u64)>> = Vec::new();
    for frames in [2, 3, 0, 5] {
        if frames != 0 {
            driver.deliver(&mut numbered(&mut cache, 0..frames), &mut cache);
        }
        told.push(consumer.missed().iter().map(|drop| (drop.frames, drop.bytes)).collect());
    }
    assert_eq!(told, [vec![], vec![(3, 24)], vec![], vec![(5, 40)]]);
}

/// A chain pins every buffer it lies in, so that is what it costs of the quota.
#[test]
fn a_chain_counts_for_every_buffer_it_lies_in() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, 5, 8);
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut frame = |parts: u64| {
        let mut parts = numbered(&mut cache, 0..parts).into_iter();
        let mut frame = parts.next().unwrap();
        parts.for_each(|part| frame.append_frag(part).unwrap());
        frame
    };
    let mut batch = SkbBatch::from_iter([frame(3), frame(1), frame(2)]);
    let delivered = driver.deliver(&mut batch, &mut cache);
    assert_eq!((delivered.published, delivered.missed), (2, 1));
    let stats = consumer.stats();
    check_edge(&stats);
    assert_eq!((stats.held, dropped(&stats, DropReason::Quota)), (4, 1));
    let mut taken = SkbBatch::new();
    consumer.poll(&mut taken, 8);
    taken.release(&mut cache);
    assert_eq!(consumer.stats().held, 0);
    let delivered = driver.deliver(&mut numbered(&mut cache, 0..6), &mut cache);
    assert_eq!(delivered.published, 5, "what was granted and not used is there again");
}

/// A quota of bytes grants whole frames; what of a grant is not used can be had again.
#[test]
fn frames_that_fit_a_quota_of_bytes() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let quota_bytes = Some(3 * 1024 + 1023);
    let config = ConsumerConfig { quota_bytes, ..ConsumerConfig::with_quota(8) };
    let mut consumer = hub.attach_consumer("tap", config).unwrap();
    let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut taken = SkbBatch::new();
    for round in 1..=10 {
        let mut batch = numbered(&mut cache, 0..4);
        assert_eq!(batch.as_slice()[0].truesize(), 1024);
        let delivered = port.deliver(&mut batch, &mut cache);
        assert_eq!((delivered.published, delivered.missed), (3, 1), "round {round}");
        assert_eq!(consumer.poll(&mut taken, 9), 3);
        assert_eq!(port.deliver(&mut numbered(&mut cache, 4..8), &mut cache).published, 0);
        taken.release(&mut cache);
        assert_eq!(dropped(&consumer.stats(), DropReason::Quota), 5 * round);
    }
}
