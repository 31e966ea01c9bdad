//! Frames of a message land in buffers as they are.

use proptest::prelude::*;
use skbpool_engine::{Ingest, IngestConfig, Subscription, SubscriptionConfig};

use crate::support::*;

fn subscription(hub: &std::sync::Arc<skbpool_deliver::Hub>, max: usize) -> Subscription {
    let config = SubscriptionConfig::new(1024, max);
    Subscription::attach(hub, "out", config).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_byte_and_number_arrives(frames in any_frames(), order in 0u8..3) {
        let pool = skbpool_pool::Pool::builder(4096).order(order).build().unwrap();
        let hub = skbpool_deliver::Hub::new(pool.clone());
        let mut reader = consumer(&hub, 512);
        let mut out = subscription(&hub, 1 << 16);
        let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
        for message in messages(&frames, 1 << 20) {
            ingest.submit(&message).unwrap();
        }
        prop_assert_eq!(ingest.stats().frames, frames.len() as u64);
        let taken = take_all(&mut reader);
        prop_assert_eq!(&given(&taken), &frames);
        let mut sent = Vec::new();
        while let Some(message) = next_message(&mut out) {
            prop_assert!(message.len() <= 1 << 16);
            sent.push(message);
        }
        prop_assert_eq!(&frames_of(&sent), &frames);
        drop((taken, reader, out, ingest));
        assert_all_home(&pool);
    }
}

#[test]
fn frames_share_buffers_and_begin_on_cache_lines() {
    let (pool, hub) = hub(1024);
    let mut reader = consumer(&hub, 512);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    ingest.submit(&message(&numbered(&[60; 256]))).unwrap();
    let taken = take_all(&mut reader);
    assert_eq!(taken.len(), 256);
    let mut buffers: Vec<_> = taken.as_slice().iter().map(|skb| skb.header().index()).collect();
    buffers.dedup();
    assert_eq!(buffers.len(), 4, "64 frames of 60 bytes fit a buffer of 4096");
    assert!(taken.as_slice().iter().all(|skb| skb.data().as_ptr().addr() % 64 == 0));
    assert!(taken.as_slice().iter().all(|skb| (skb.headroom(), skb.tailroom()) == (0, 4)));
    assert_eq!(pool.stats().in_flight, 4);
}

#[test]
fn the_last_frame_of_a_message_lands_whole_whatever_stands_behind_it() {
    // The copy of a short frame takes what follows along where there is something, and must not
    // where there is nothing.
    for lengths in [&[0][..], &[1], &[63], &[64], &[65], &[60, 3], &[64, 64, 1], &[5, 0, 0]] {
        let (_, hub) = hub(1024);
        let mut reader = consumer(&hub, 64);
        let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
        let frames = numbered(lengths);
        ingest.submit(&message(&frames)).unwrap();
        assert_eq!(given(&take_all(&mut reader)), frames);
    }
}

#[test]
fn a_frame_of_the_largest_size_becomes_a_chain() {
    let (pool, hub) = hub(1024);
    let mut reader = consumer(&hub, 128);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = numbered(&[60, 262_144, 4097, 4096, 60]);
    ingest.submit(&message(&frames)).unwrap();
    let taken = take_all(&mut reader);
    assert_eq!(given(&taken), frames);
    let parts: Vec<_> = taken.as_slice().iter().map(|skb| skb.parts().count()).collect();
    assert_eq!(parts, [1, 64, 2, 1, 1]);
    drop(taken);
    drop(ingest);
    drop(reader);
    assert_all_home(&pool);
}

#[test]
fn a_burst_ends_inside_a_large_buffer() {
    let pool = skbpool_pool::Pool::builder(64).order(6).build().unwrap();
    let hub = skbpool_deliver::Hub::new(pool.clone());
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    // Without a consumer each burst is released as it is delivered, into a buffer still being filled.
    let frames = numbered(&[60; 4096]);
    let answer = ingest.submit(&message(&frames)).unwrap();
    assert!(!answer.is_empty());
    assert_eq!((ingest.stats().frames, ingest.stats().unclaimed), (4096, 4096));
    drop(ingest);
    assert_all_home(&pool);
}

#[test]
fn a_message_without_a_batch_or_without_frames_is_answered() {
    let (_, hub) = hub(1024);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    assert_eq!(ingest.submit(&[]).unwrap(), ingest.greeting());
    // An IngestRequest with an empty FrameBatch.
    assert_eq!(ingest.submit(&[0x0a, 0]).unwrap(), ingest.greeting());
    assert_eq!(ingest.stats().frames, 0);
}
