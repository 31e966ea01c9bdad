//! Every frame is accounted for: landed, dropped by reason, or unclaimed.

use std::sync::atomic::{AtomicU64, Ordering};

use skbpool_deliver::{ConsumerConfig, DriverConfig, Policy};
use skbpool_engine::{Ingest, IngestConfig, LeasePort};
use skbpool_pool::{DropCount, DropReason, HolderKind, SkbBatch};

use crate::support::*;

fn dropped(counts: &[skbpool_pool::DropCount], reason: DropReason) -> (u64, u64) {
    let found = counts.iter().find(|count| count.reason == reason);
    found.map_or((0, 0), |count| (count.frames, count.bytes))
}

#[test]
fn frames_that_find_no_buffer_are_dropped_and_counted() {
    let (pool, hub) = hub(512);
    let mut reader = consumer(&hub, 128);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    // Somebody holds all buffers but two.
    let mut held: Vec<_> = std::iter::from_fn(|| pool.alloc().ok()).collect();
    held.truncate(510);
    let frames = numbered(&[1000; 20]);
    ingest.submit(&message(&frames)).unwrap();
    let stats = ingest.stats();
    assert_eq!(stats.frames, 8, "two buffers hold four frames of 1000 bytes each");
    assert_eq!(dropped(&stats.dropped, DropReason::PoolEmpty), (12, 12_000));
    let taken = take_all(&mut reader);
    assert_eq!(given(&taken), frames[..8], "the frames that landed are the first ones, intact");

    // A chain is dropped as a whole, and one that fits what is left is not.
    ingest.submit(&message(&numbered(&[8193, 60]))).unwrap();
    assert_eq!(dropped(&ingest.stats().dropped, DropReason::PoolEmpty), (14, 20_253));
    drop(taken);
    ingest.submit(&message(&numbered(&[8193, 8192]))).unwrap();
    assert_eq!(ingest.stats().frames, 9);
    assert_eq!(dropped(&ingest.stats().dropped, DropReason::PoolEmpty), (15, 28_446));
    assert_eq!(take_all(&mut reader).len(), 1);

    // As soon as buffers come home it goes on.
    drop(held);
    ingest.submit(&message(&frames)).unwrap();
    assert_eq!(ingest.stats().frames, 29);
    drop((ingest, reader));
    assert_all_home(&pool);
}

#[test]
fn buffers_of_unclaimed_frames_are_used_again_within_a_message() {
    let (pool, hub) = hub(512);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut held: Vec<_> = std::iter::from_fn(|| pool.alloc().ok()).collect();
    held.truncate(510);
    ingest.submit(&message(&numbered(&[1000; 20]))).unwrap();
    let stats = ingest.stats();
    assert_eq!((stats.frames, stats.unclaimed), (20, 20));
    assert_eq!(stats.dropped, []);
}

#[test]
fn submitted_is_delivered_and_dropped_and_held_for_every_consumer() {
    let (pool, hub) = hub(2048);
    let mut quick = consumer(&hub, 1024);
    let mut slow = consumer(&hub, 100);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut held = SkbBatch::new();
    for round in 0..10 {
        ingest.submit(&message(&numbered(&[60; 300]))).unwrap();
        drop(take_all(&mut quick));
        if round % 2 == 0 {
            slow.poll(&mut held, 10);
        }
    }
    let driver = ingest.stats();
    assert_eq!((driver.frames, driver.bytes), (3000, 180_000));
    for stats in [quick.stats(), slow.stats()] {
        let missed: u64 = stats.dropped.iter().map(|count| count.frames).sum();
        assert_eq!(stats.offered, driver.frames);
        assert_eq!(stats.offered, stats.frames + missed + stats.queued, "{stats:?}");
    }
    let stats = slow.stats();
    assert_eq!((stats.held, stats.frames, stats.queued), (100, 50, 50));
    assert_eq!(quick.stats().dropped, []);
    drop((held, quick, slow, ingest));
    assert_all_home(&pool);
}

#[test]
fn acknowledgements_count_from_the_beginning_of_the_stream() {
    let (_, hub) = hub(1024);
    let config = IngestConfig { credit_bytes: 5, ..IngestConfig::default() };
    let mut ingest = Ingest::attach(&hub, "in", config).unwrap();
    // IngestResponse { credit: 5 }
    assert_eq!(ingest.greeting(), [0x20, 5]);
    let answers: Vec<_> = messages(&numbered(&[500; 6]), 2000)
        .iter()
        .map(|message| ingest.submit(message).unwrap())
        .collect();
    // acked_through, accepted, credit, unclaimed
    let expected = [[0x08, 1, 0x10, 3, 0x20, 5, 0x28, 3], [0x08, 2, 0x10, 6, 0x20, 5, 0x28, 6]];
    assert_eq!(answers, expected);
}

#[test]
fn after_the_hub_or_the_pool_was_closed_frames_are_dropped() {
    let (pool, hub) = hub(1024);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    pool.close();
    ingest.submit(&message(&numbered(&[60, 5000]))).unwrap();
    assert_eq!(dropped(&ingest.stats().dropped, DropReason::Closed), (2, 5060));
    drop(ingest);
    assert_all_home(&pool);

    let (pool, hub) = self::hub(1024);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    hub.close();
    ingest.submit(&message(&numbered(&[60, 5000]))).unwrap();
    let stats = ingest.stats();
    assert_eq!(dropped(&stats.dropped, DropReason::Closed), (2, 5060));
    assert_eq!(stats.frames, 0);
    drop(ingest);
    assert_all_home(&pool);
}

#[test]
fn leased_skbs_leave_their_session_s_account() {
    let (pool, hub) = hub(256);
    let mut reader = consumer(&hub, 2);
    let mut other = consumer(&hub, 64);
    let mut port = LeasePort::attach(&hub, "lease").unwrap();
    let session = pool.accounts().holder("session", HolderKind::Session).unwrap();
    let mut cache = pool.local_cache();
    let mut leased = |count| {
        let mut batch = SkbBatch::new();
        for _ in 0..count {
            let mut skb =
                cache.alloc().unwrap().into_skb(0..100).map_err(|(error, _)| error).unwrap();
            skb.hand_to(session.id(), cache.shard());
            batch.push(skb);
        }
        batch
    };
    let mut batch = leased(3);
    assert_eq!(session.held().0, 3);
    let delivered = port.deliver(&mut batch);
    assert_eq!((delivered.delivered, delivered.unclaimed, batch.len()), (3, 0, 0));
    assert_eq!(delivered.dropped, reader.stats().dropped);
    assert_eq!((delivered.dropped[0].frames, delivered.dropped[0].bytes), (1, 100));
    assert_eq!(session.held(), (0, 0));
    assert_eq!((reader.stats().held, other.stats().held), (2, 3));
    let taken = take_all(&mut other);
    assert!(taken.as_slice().iter().all(|skb| skb.birth != 0));
    drop((taken, take_all(&mut reader), reader, other));
    let delivered = port.deliver(&mut leased(2));
    assert_eq!((delivered.delivered, delivered.unclaimed), (0, 2));
    hub.close();
    let delivered = port.deliver(&mut leased(1));
    assert_eq!((delivered.delivered, delivered.unclaimed), (0, 0));
    assert_eq!(dropped(&delivered.dropped, DropReason::Closed), (1, 100));
    drop((port, cache));
    assert_all_home(&pool);
}

/// What a client is told of its own skbs is not mixed up with what another driver drops meanwhile.
#[test]
fn leased_skbs_are_told_their_own_drops_while_another_driver_drops() {
    const ROUNDS: u64 = 2000;
    let (pool, hub) = hub(512);
    let config = ConsumerConfig { ring_slots: 4, ..ConsumerConfig::with_quota(4) };
    let reader = hub.attach_consumer("reader", config).unwrap();
    let mut port = LeasePort::attach(&hub, "lease").unwrap();
    let mut other = hub.attach_driver("other", DriverConfig::with_buffers(64)).unwrap();
    let skbs = |count, len| -> SkbBatch {
        let buffers = (0..count).map(|_| pool.alloc().unwrap());
        buffers.map(|buffer| buffer.into_skb(0..len).map_err(|(error, _)| error).unwrap()).collect()
    };
    let mut cache = pool.local_cache();
    // The quota is used up, so both are refused, for the same reason; by their bytes they are told
    // apart.
    other.deliver(&mut skbs(4, 60), &mut cache);
    let (rounds, begun) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let rounds = &rounds;
        scope.spawn(|| {
            while rounds.load(Ordering::Relaxed) < ROUNDS {
                other.deliver(&mut skbs(3, 60), &mut cache);
                begun.fetch_add(1, Ordering::Relaxed);
            }
        });
        while begun.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        for _ in 0..ROUNDS {
            let told = port.deliver(&mut skbs(3, 100)).dropped;
            rounds.fetch_add(1, Ordering::Relaxed);
            let own = DropCount { reason: DropReason::Quota, frames: 3, bytes: 300 };
            if told != [own] {
                rounds.store(ROUNDS, Ordering::Relaxed);
                panic!("{told:?}");
            }
        }
    });
    let stats = reader.stats();
    let others = begun.load(Ordering::Relaxed);
    let together = (3 * (ROUNDS + others), 300 * ROUNDS + 180 * others);
    assert_eq!(dropped(&stats.dropped, DropReason::Quota), together);
    drop((port, other, reader, cache));
    assert_all_home(&pool);
}

#[test]
fn a_driver_is_told_what_consumers_missed() {
    let (_, hub) = hub(2048);
    let settings = |policy| ConsumerConfig { policy, ..ConsumerConfig::with_quota(10) };
    let newest = hub.attach_consumer("newest", settings(Policy::DropNewest)).unwrap();
    let oldest = hub.attach_consumer("oldest", settings(Policy::DropOldest)).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut answer = Vec::new();
    for _ in 0..3 {
        answer = ingest.submit(&message(&numbered(&[60; 10]))).unwrap();
    }
    // Twenty of 60 bytes each missed: missed { reason: QUOTA }, missed { reason: EVICTED }.
    let told = [
        0x42, 7, 0x08, 4, 0x10, 20, 0x18, 0xb0, 0x09, 0x42, 7, 0x08, 10, 0x10, 20, 0x18, 0xb0, 0x09,
    ];
    assert!(answer.ends_with(&told), "{answer:x?}");
    assert_eq!(ingest.stats().dropped, [], "the driver itself dropped nothing");
    hub.close();
    let after = ingest.submit(&message(&numbered(&[60; 10]))).unwrap();
    assert!(after.ends_with(&told), "nobody was there for them");
    drop((newest, oldest));
}
