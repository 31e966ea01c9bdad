//! Copy out: over the quota bytes go to the consumer's own bounded memory, the buffer goes home, and
//! both sides see it.

mod common;

use common::{check_edge, check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub, HubError, Policy};
use skbpool_pool::{CopyStage, DropReason, Skb, SkbBatch, SkbFlags};
use std::sync::Arc;

const BUFFER: u64 = 4096;

fn attach(hub: &Arc<Hub>, quota: u32, bytes: u64) -> (Consumer, DriverPort) {
    let policy = Policy::CopyOut { bytes };
    let config = ConsumerConfig { ring_slots: 64, policy, ..ConsumerConfig::with_quota(quota) };
    let consumer = hub.attach_consumer("tap", config).unwrap();
    (consumer, hub.attach_driver("nic", DriverConfig::default()).unwrap())
}

#[test]
fn what_the_quota_does_not_grant_is_copied_and_told() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 4, 2 * BUFFER);
    let delivered = port.deliver(&mut numbered(&mut cache, 0..6), &mut cache);
    assert_eq!((delivered.published, delivered.copied, delivered.missed), (6, 2, 0));
    // A buffer of which there are copies only is home.
    let delivered = port.deliver(&mut numbered(&mut cache, 6..9), &mut cache);
    assert_eq!((delivered.published, delivered.copied), (3, 3));
    assert_eq!(hub.pool().stats().in_flight, 1);
    let stats = consumer.stats();
    check_edge(&stats);
    assert_eq!((stats.queued, stats.held, stats.copied, stats.copied_bytes), (9, 4, 5, 40));
    assert_eq!((stats.copy_memory, stats.copies_held_bytes), (2 * BUFFER, 40));

    let mut taken = SkbBatch::new();
    consumer.poll(&mut taken, 9);
    assert_eq!(numbers(&taken), (0..9).collect::<Vec<_>>());
    let copies: Vec<bool> =
        taken.as_slice().iter().map(|skb| skb.flags.contains(SkbFlags::COPIED)).collect();
    assert_eq!(copies, [[false; 4].as_slice(), &[true; 5]].concat());
    // The last go in any way; the consumer's quota is what it was.
    while let Some(skb) = taken.pop() {
        if taken.len() % 2 == 0 { cache.release(skb) } else { drop(skb) }
    }
    let stats = consumer.stats();
    assert_eq!((stats.held, stats.copies_held_bytes, stats.copied), (0, 0, 5));
    let delivered = port.deliver(&mut numbered(&mut cache, 0..4), &mut cache);
    assert_eq!((delivered.published, delivered.copied), (4, 0));
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}

/// The memory is bounded: where it is used up, the newest are dropped, and counted as over the quota.
/// There are slots for more.
#[test]
fn when_its_own_memory_is_full_the_newest_are_dropped() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 1, 2 * BUFFER);
    let mut taken = SkbBatch::new();
    for round in 0..10 {
        let mut published = Vec::new();
        for batch in 0..5 {
            let delivered =
                port.deliver(&mut numbered(&mut cache, batch * 2..batch * 2 + 2), &mut cache);
            published.push((delivered.published, delivered.copied, delivered.missed));
        }
        // One view of a buffer, then a buffer of copies for each batch while there is one.
        assert_eq!(published, [(2, 1, 0), (2, 2, 0), (0, 0, 2), (0, 0, 2), (0, 0, 2)]);
        assert_eq!(dropped(&consumer.stats(), DropReason::Quota), 6 * (round + 1));
        assert_eq!(consumer.poll(&mut taken, 100), 4);
        assert_eq!(numbers(&taken), [0, 1, 2, 3]);
        taken.release(&mut cache);
        check_edges(&hub);
    }
    drop(consumer);
    check_home(hub.pool());
}

/// Where its ring is full, a larger one would have taken the copy: neither quota nor memory is to blame.
#[test]
fn when_its_ring_is_full_that_is_the_reason() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let policy = Policy::CopyOut { bytes: BUFFER };
    // The ring's default: a slot for the view, one for a copy.
    let narrow = ConsumerConfig { policy, ..ConsumerConfig::with_quota(1) };
    let sized = ConsumerConfig { quota_bytes: Some(BUFFER), ..narrow.clone() };
    let narrow = hub.attach_consumer("narrow", narrow).unwrap();
    let sized = hub.attach_consumer("sized", sized).unwrap();
    let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let delivered = port.deliver(&mut numbered(&mut cache, 0..9), &mut cache);
    assert_eq!((delivered.published, delivered.copied, delivered.missed), (4, 2, 14));
    // A chain larger than quota and memory together: the frames beside it are looked at one by one.
    let mut large = cache.alloc().unwrap().into_skb(0..4096).unwrap();
    large.append_frag(cache.alloc().unwrap().into_skb(0..4096).unwrap()).unwrap();
    let mut batch = numbered(&mut cache, 0..3);
    batch.push(large);
    assert_eq!(port.deliver(&mut batch, &mut cache).missed, 8);
    for consumer in [&narrow, &sized] {
        let stats = consumer.stats();
        check_edge(&stats);
        let reasons = [DropReason::RingFull, DropReason::Quota].map(|why| dropped(&stats, why));
        assert_eq!(reasons, [7 + 3, 1], "{}", stats.name);
    }
    drop((narrow, sized));
    check_edges(&hub);
    check_home(hub.pool());
}

/// Half of what the quota does not grant fits the memory: that half is counted as copied.
#[test]
fn of_a_batch_that_fits_in_part_the_copies_are_counted() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (consumer, mut port) = attach(&hub, 1, BUFFER);
    let mut batch = SkbBatch::new();
    for _ in 0..2 {
        let mut armed = cache.alloc().unwrap().arm(4).unwrap();
        batch.extend((0..4).map(|at| armed.skb(at * 1024, 1024).unwrap()));
    }
    let delivered = port.deliver(&mut batch, &mut cache);
    assert_eq!((delivered.published, delivered.copied, delivered.missed), (5, 4, 3));
    let stats = consumer.stats();
    check_edge(&stats);
    assert_eq!((stats.queued, stats.copied, stats.copied_bytes), (5, 4, 4096));
    drop((consumer, port));
    check_edges(&hub);
    drop(cache);
    check_home(hub.pool());
}

/// Everything that is known about a frame is known about its copy; a chain becomes one piece if a
/// buffer is large enough, and a chain of copies otherwise.
#[test]
fn copies_are_described_as_their_frames() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 1, 8 * BUFFER);
    let mut filled = |bytes: u32, with: u8| {
        let mut buffer = cache.alloc().unwrap();
        buffer.as_mut_slice().unwrap().fill(with);
        buffer.into_skb(0..bytes).unwrap()
    };
    let chain = |mut first: Skb, second: Skb| {
        first.append_frag(second).unwrap();
        first
    };
    let mut plain = filled(100, 1);
    plain.timestamp_ns = 7;
    plain.port = 3;
    plain.link_type = 113;
    plain.hash = 9;
    plain.set_original_length(0);
    let short = chain(filled(10, 2), filled(20, 3));
    let long = chain(filled(4000, 4), filled(4000, 5));
    let mut batch = SkbBatch::from_iter([filled(1, 0), plain, short, long]);
    let delivered = port.deliver(&mut batch, &mut cache);
    assert_eq!((delivered.published, delivered.copied), (4, 3));
    assert_eq!(consumer.stats().copied_bytes, 100 + 30 + 8000);
    // Each as one copy of this stage, the chain as well, and none of another.
    let counted: Vec<_> =
        hub.pool().accounts().copies().map(|copy| (copy.frames, copy.bytes)).into();
    let others = vec![(0, 0); CopyStage::CopyOut as usize];
    assert_eq!(counted, [others, vec![(3, 8130)]].concat());
    assert_eq!(hub.pool().stats().in_flight, 1);
    // Charged by truesize: their own bytes of a buffer that they share, or buffers of their own.
    assert_eq!(consumer.stats().copies_held_bytes, 100 + 30 + 2 * BUFFER);
    let holders = hub.pool().accounts().snapshot();
    let copies = holders.iter().find(|holder| holder.name == "tap copies").unwrap();
    assert_eq!((copies.views, copies.bytes), (1 + 1 + 2, 130 + 2 * BUFFER));
    consumer.poll(&mut batch, 4);
    let [_, plain, short, long] = batch.as_slice() else { panic!("four") };
    assert_eq!((plain.timestamp_ns, plain.port, plain.link_type, plain.hash), (7, 3, 113, 9));
    assert_eq!((plain.original_length(), plain.data()), (0, &[1; 100][..]));
    assert_eq!(
        (short.is_chain(), short.data()),
        (false, &[[2; 10].as_slice(), &[3; 20]].concat()[..])
    );
    assert_eq!((long.is_chain(), long.len(), long.original_length()), (true, 8000, 8000));
    let bytes: Vec<u8> = long.parts().flatten().copied().collect();
    assert_eq!(bytes, [[4; 4000].as_slice(), &[5; 4000]].concat());
    assert!(batch.as_slice()[1..].iter().all(|skb| skb.flags.contains(SkbFlags::COPIED)));
    batch.release(&mut cache);
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}

/// Copies outlive the consumer as other views do, and its memory goes with the last of them.
#[test]
fn copies_outlive_their_consumer() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 1, BUFFER);
    port.deliver(&mut numbered(&mut cache, 0..4), &mut cache);
    let mut taken = SkbBatch::new();
    consumer.poll(&mut taken, 3);
    drop(consumer);
    assert_eq!(numbers(&taken), [0, 1, 2]);
    taken.release(&mut cache);
    drop(port);
    let stats = hub.stats();
    assert_eq!(dropped(&stats.detached_consumers, DropReason::Detached), 1);
    assert_eq!((stats.detached_consumers.copied, stats.detached_consumers.held), (3, 0));
    check_edges(&hub);
    check_home(hub.pool());
    assert_eq!(hub.pool().stats().reserved, 0);
}

/// What a consumer makes of copies is charged where they were, wherever it lies: that may be more than its
/// memory has.
#[test]
fn private_copies_of_copies_are_charged_with_them() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let (mut consumer, mut port) = attach(&hub, 1, BUFFER);
    port.deliver(&mut numbered(&mut cache, 0..4), &mut cache);
    let mut taken = SkbBatch::new();
    assert_eq!(consumer.poll(&mut taken, 4), 4);
    taken.as_mut_slice()[1..].iter_mut().for_each(|copy| copy.unshare(&mut cache).unwrap());
    let stats = consumer.stats();
    // The last of them is the only view of its buffer, which is as it was.
    assert_eq!((stats.held, stats.copies_held_bytes), (1, 2 * BUFFER + 8));
    assert_eq!(stats.copy_memory, BUFFER);
    drop((taken, consumer));
    check_edges(&hub);
    check_home(hub.pool());
}

#[test]
fn memory_without_room_for_a_buffer_is_refused() {
    let hub = hub(64);
    let policy = Policy::CopyOut { bytes: BUFFER - 1 };
    let config = ConsumerConfig { policy, ..ConsumerConfig::with_quota(4) };
    let error = hub.attach_consumer("tap", config).unwrap_err();
    assert!(matches!(error, HubError::NoCopyMemory { .. }));
    assert!(error.to_string().contains("\"tap\"") && error.to_string().contains("4095"));
    assert_eq!((hub.pool().stats().reserved, hub.pool().accounts().snapshot().len()), (0, 0));
}
