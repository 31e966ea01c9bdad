//! A frame that a consumer could not take if it held nothing is dropped alone: what is delivered with it
//! fares as if it had not been there, whatever the policy, and nobody waits for it.

mod common;

use common::{check_edge, check_edges, check_home, hub, numbered, numbers};
use skbpool_deliver::{Consumer, ConsumerConfig, Delivered, DriverConfig, Hub, Policy};
use skbpool_pool::{DropReason, LocalCache, SkbBatch, SkbFlags};
use std::sync::Arc;
use std::time::Duration;

/// Longer than a test may take: whoever waits so long is found waiting.
const LONG: Duration = Duration::from_secs(600);
const QUOTA: u32 = 12;
const BUFFER: u64 = 4096;

/// Every policy; what does not fit the quota does not fit the memory for copies either.
const POLICIES: [Policy; 4] = [
    Policy::DropNewest,
    Policy::DropOldest,
    Policy::CopyOut { bytes: BUFFER },
    Policy::Block { at_most: LONG },
];

fn attach(hub: &Arc<Hub>, policy: Policy, quota_bytes: Option<u64>, ring_slots: u32) -> Consumer {
    let config =
        ConsumerConfig { quota_bytes, ring_slots, policy, ..ConsumerConfig::with_quota(QUOTA) };
    hub.attach_consumer("tap", config).unwrap()
}

/// Ten frames with these numbers, each a fifteenth of a buffer, and a chain of 14 whole buffers before
/// those at each of `places`.
fn batch(cache: &mut LocalCache, first: u64, places: &[usize]) -> SkbBatch {
    let mut small = numbered(cache, first..first + 15);
    drop(small.split_off(10));
    let mut batch = SkbBatch::new();
    for (at, skb) in small.into_iter().map(Some).chain([None]).enumerate() {
        for _ in places.iter().filter(|&&place| place == at) {
            let mut whole = || cache.alloc().unwrap().into_skb(0..BUFFER as u32).unwrap();
            let mut chain = whole();
            (1..14).for_each(|_| chain.append_frag(whole()).unwrap());
            batch.push(chain);
        }
        batch.extend(skb);
    }
    batch
}

fn whys(delivered: &Delivered) -> Vec<(DropReason, u64, u64)> {
    delivered.drops.iter().map(|drop| (drop.reason, drop.frames, drop.bytes)).collect()
}

/// Takes all there is; returns their numbers.
fn poll(consumer: &mut Consumer) -> (SkbBatch, Vec<u64>) {
    let mut taken = SkbBatch::new();
    consumer.poll(&mut taken, usize::MAX);
    let got = numbers(&taken);
    (taken, got)
}

/// Wherever it stands, and by views as well as by bytes.
#[test]
fn its_neighbours_all_come() {
    for policy in POLICIES {
        for quota_bytes in [None, Some(12 * BUFFER)] {
            for places in [&[0][..], &[5], &[10], &[0, 0, 5, 10, 10]] {
                let hub = hub(256);
                let mut cache = hub.pool().local_cache();
                let mut consumer = attach(&hub, policy, quota_bytes, 64);
                let mut events = consumer.quota_events();
                let config = DriverConfig { may_block: LONG, ..DriverConfig::default() };
                let mut port = hub.attach_driver("nic", config).unwrap();
                for first in [0, 100, 200] {
                    let mut batch = batch(&mut cache, first, places);
                    let delivered = port.deliver(&mut batch, &mut cache);
                    let missed = places.len() as u64;
                    assert_eq!((delivered.published, delivered.missed), (10, missed));
                    assert_eq!((delivered.evicted, delivered.copied), (0, 0));
                    let bytes = missed * 14 * BUFFER;
                    assert_eq!(whys(&delivered), [(DropReason::Quota, missed, bytes)]);
                    check_edge(&consumer.stats());
                    let (_taken, got) = poll(&mut consumer);
                    assert_eq!(got, (first..first + 10).collect::<Vec<_>>(), "{policy:?}");
                }
                assert_eq!(consumer.stats().waits, 0);
                assert_eq!(events.try_next(), None, "its drops tell, and nothing else");
                check_edges(&hub);
                check_home(hub.pool());
            }
        }
    }
}

/// A consumer that takes nothing: what comes of its neighbours is what comes without it.
#[test]
fn what_does_not_fit_now_fares_as_without_it() {
    for policy in POLICIES {
        for ring_slots in [4, 8, 64] {
            let fares = |places: &[usize]| {
                let hub = hub(256);
                let mut cache = hub.pool().local_cache();
                let mut consumer = attach(&hub, policy, None, ring_slots);
                // Drivers of consumers that block are not to be blocked here.
                let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
                let mut told = Vec::new();
                for first in [0, 100, 200] {
                    let mut batch = batch(&mut cache, first, places);
                    let mut delivered = port.deliver(&mut batch, &mut cache);
                    let never = places.len() as u64;
                    delivered.frames -= never;
                    delivered.missed -= never;
                    let mut whys = whys(&delivered);
                    if never != 0 {
                        let quota = whys.iter_mut().find(|why| why.0 == DropReason::Quota);
                        let (_, frames, bytes) = quota.expect("it is dropped for the quota");
                        *frames -= never;
                        *bytes -= never * 14 * BUFFER;
                        whys.retain(|why| why.1 != 0);
                    }
                    let Delivered { published, copied, missed, evicted, .. } = delivered;
                    told.push(([published, copied, missed, evicted], whys));
                }
                check_edge(&consumer.stats());
                let got = poll(&mut consumer).1;
                check_edges(&hub);
                check_home(hub.pool());
                (told, got)
            };
            let without = fares(&[]);
            for places in [&[0][..], &[3], &[10], &[0, 4, 7, 7, 10]] {
                assert_eq!(fares(places), without, "{policy:?} {ring_slots} {places:?}");
            }
        }
    }
}

/// Of two consumers one can take it: it gets all, in order.
#[test]
fn who_can_take_it_gets_it() {
    for policy in POLICIES {
        let hub = hub(256);
        let mut cache = hub.pool().local_cache();
        let mut small = attach(&hub, policy, None, 64);
        let mut large = hub.attach_consumer("large", ConsumerConfig::with_quota(32)).unwrap();
        let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        let delivered = port.deliver(&mut batch(&mut cache, 0, &[5]), &mut cache);
        assert_eq!((delivered.published, delivered.missed), (10 + 11, 1));
        let mut taken = SkbBatch::new();
        assert_eq!(large.poll(&mut taken, 99), 11);
        assert_eq!(taken.as_slice()[5].views(), 14);
        assert_eq!(poll(&mut small).1, (0..10).collect::<Vec<_>>());
        drop(taken);
        check_edges(&hub);
        check_home(hub.pool());
    }
}

/// Memory for copies takes what the quota never grants, in its place among what the quota does; while
/// that is used up it misses those frames only.
#[test]
fn what_memory_for_copies_can_hold_is_copied_in_its_place() {
    let hub = hub(256);
    let mut cache = hub.pool().local_cache();
    let mut consumer = attach(&hub, Policy::CopyOut { bytes: 20 * BUFFER }, None, 64);
    let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut kept = SkbBatch::new();
    for (round, places, copied) in [(0, &[5, 8][..], 1), (1, &[0, 10], 0)] {
        let delivered = port.deliver(&mut batch(&mut cache, 0, places), &mut cache);
        assert_eq!((delivered.published, delivered.copied), (10 + copied, copied));
        let missed = 2 - copied;
        let whys = whys(&delivered);
        assert_eq!(whys, [(DropReason::Quota, missed, missed * 14 * BUFFER)], "round {round}");
        let stats = consumer.stats();
        check_edge(&stats);
        assert_eq!((stats.held, stats.copies_held_bytes), (10, 14 * BUFFER));
        let mut taken = SkbBatch::new();
        consumer.poll(&mut taken, 99);
        for (at, skb) in taken.as_slice().iter().enumerate() {
            let is_copy = skb.flags.contains(SkbFlags::COPIED);
            assert_eq!(is_copy, (round, at) == (0, 5));
        }
        if round == 0 {
            let mut rest = taken.split_off(6);
            kept.extend(taken.pop());
            taken.append(&mut rest);
        }
        assert_eq!(numbers(&taken), (0..10).collect::<Vec<_>>());
    }
    drop(kept);
    // Where there is room in neither, the copies come in order too, as far as they go.
    let mut last = port.deliver(&mut batch(&mut cache, 0, &[0]), &mut cache);
    assert_eq!((last.published, last.copied), (11, 1));
    last = port.deliver(&mut batch(&mut cache, 20, &[1, 1]), &mut cache);
    assert_eq!((last.published, last.copied, last.missed), (2, 0, 10));
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}
