//! What a subscriber asks of its messages, and what happens to what it has no room for.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use skbpool_deliver::{Hub, Policy};
use skbpool_engine::{Ingest, IngestConfig, Subscription, SubscriptionConfig};
use skbpool_pool::{Accounts, CopyStage, DropReason, Pool};
use skbpool_wire::SubscribeResponseView;

use crate::support::*;

const LONG: Duration = Duration::from_secs(3600);

fn attach(hub: &Arc<Hub>, config: SubscriptionConfig) -> Subscription {
    Subscription::attach(hub, "out", config).unwrap()
}

fn ingest(hub: &Arc<Hub>) -> Ingest {
    Ingest::attach(hub, "in", IngestConfig::default()).unwrap()
}

/// Frames in each of the messages there are, and what they tell as missed.
fn drain(out: &mut Subscription) -> (Vec<Vec<Given>>, u64) {
    let mut missed = 0;
    let mut sent = Vec::new();
    while let Some(message) = next_message(out) {
        let view = SubscribeResponseView::parse(&message).unwrap();
        missed += view.missed.iter().map(|count| count.frames).sum::<u64>();
        sent.push(frames_of(&[message]));
    }
    (sent, missed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_are_cut_and_counted_as_asked(
        frames in any_frames(), most in 1usize..50, snap in prop_oneof![1u32..80, 4000u32..9000],
    ) {
        let (pool, hub) = hub(4096);
        let mut out = attach(&hub, SubscriptionConfig {
            max_message_frames: NonZeroUsize::new(most),
            snapshot_length: Some(snap),
            ..SubscriptionConfig::new(1024, 1 << 16)
        });
        let mut ingest = ingest(&hub);
        for message in messages(&frames, 1 << 20) {
            ingest.submit(&message).unwrap();
        }
        let (sent, missed) = drain(&mut out);
        prop_assert_eq!(missed, 0);
        prop_assert!(sent.iter().all(|message| message.len() <= most));
        let cut = |mut frame: Given| {
            frame.bytes.truncate(snap as usize);
            frame
        };
        let expected: Vec<_> = frames.iter().cloned().map(cut).collect();
        prop_assert_eq!(sent.concat(), expected);
        // What the consumer was handed are whole frames.
        let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        prop_assert_eq!(out.stats().bytes, bytes as u64);
        drop((out, ingest));
        assert_all_home(&pool);
    }
}

#[test]
fn what_is_cut_off_is_not_copied() {
    let pool = Pool::builder(2048).accounts(Accounts::new()).build().unwrap();
    let hub = Hub::new(pool.clone());
    let config =
        SubscriptionConfig { snapshot_length: Some(64), ..SubscriptionConfig::new(64, 1 << 20) };
    let mut out = attach(&hub, config);
    ingest(&hub).submit(&message(&numbered(&[1000, 60, 5000]))).unwrap();
    let lengths = |frame: &Given| (frame.bytes.len(), frame.original_length);
    let sent = drain(&mut out).0.concat();
    assert_eq!(sent.iter().map(lengths).collect::<Vec<_>>(), [(64, 1000), (60, 60), (64, 5000)]);
    let copies = pool.accounts().copies();
    let encoded = copies.iter().find(|count| count.stage == CopyStage::Encode).unwrap();
    assert_eq!((encoded.frames, encoded.bytes), (3, 64 + 60 + 64));
}

#[test]
fn a_message_of_so_many_frames_is_full() {
    let (_, hub) = hub(2048);
    let config = SubscriptionConfig {
        max_message_frames: NonZeroUsize::new(10),
        linger: LONG,
        ..SubscriptionConfig::new(200, 1 << 20)
    };
    let mut out = attach(&hub, config);
    let mut ingest = ingest(&hub);
    ingest.submit(&message(&numbered(&[60; 25]))).unwrap();
    let (sent, _) = drain(&mut out);
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10]);
    ingest.submit(&message(&numbered(&[60; 5]))).unwrap();
    assert_eq!(drain(&mut out).0.iter().map(Vec::len).collect::<Vec<_>>(), [10]);
}

#[test]
fn frames_wait_for_their_message_to_fill_and_no_longer() {
    let (_, hub) = hub(2048);
    let mut ingest = ingest(&hub);
    for (linger, waits) in [(LONG, true), (Duration::from_millis(2), false)] {
        let config = SubscriptionConfig { linger, ..SubscriptionConfig::new(200, 1 << 20) };
        let mut out = attach(&hub, config);
        assert_eq!(out.lingers_for(), None, "nothing was taken");
        ingest.submit(&message(&numbered(&[60; 2]))).unwrap();
        let first = out.plan().unwrap();
        ingest.submit(&message(&numbered(&[60; 3]))).unwrap();
        if waits {
            assert_eq!(first, None);
            assert!(!out.arm(), "three more are there");
            assert_eq!(out.plan().unwrap(), None);
            assert!(out.lingers_for().is_some_and(|left| left <= LONG));
            assert!(out.arm(), "none is there");
            assert!(!out.disarm());
            assert!(!out.wait(Duration::ZERO));
            hub_is_half_used(&mut ingest, &mut out);
        } else {
            let mut found =
                first.map_or(0, |_| frames_of(&[next_message(&mut out).unwrap()]).len());
            while found < 5 {
                assert!(out.wait(Duration::from_secs(20)), "its time is over, or more are there");
                found += drain(&mut out).0.concat().len();
            }
            assert_eq!(out.lingers_for(), None);
        }
    }
}

/// What `out` holds comes near to its quota, so it leaves.
fn hub_is_half_used(ingest: &mut Ingest, out: &mut Subscription) {
    ingest.submit(&message(&numbered(&[60; 94]))).unwrap();
    assert_eq!(out.plan().unwrap(), None, "99 of 200");
    ingest.submit(&message(&numbered(&[60; 1]))).unwrap();
    assert_eq!(out.plan().unwrap().unwrap().frames, 100);
    assert_eq!(out.lingers_for(), None, "it leaves");
    assert_eq!(drain(out).0.concat().len(), 100);
}

#[test]
fn half_a_quota_of_bytes_is_as_good_as_full() {
    let (_, hub) = hub(2048);
    let config = SubscriptionConfig {
        quota_bytes: Some(8 * 4096),
        linger: LONG,
        ..SubscriptionConfig::new(200, 1 << 20)
    };
    let mut out = attach(&hub, config);
    let mut ingest = ingest(&hub);
    ingest.submit(&message(&numbered(&[4096; 3]))).unwrap();
    assert_eq!(out.plan().unwrap(), None);
    ingest.submit(&message(&numbered(&[4096; 1]))).unwrap();
    assert_eq!(out.plan().unwrap().unwrap().frames, 4);
}

#[test]
fn closing_the_hub_ends_the_wait() {
    let (_, hub) = hub(2048);
    let config = SubscriptionConfig { linger: LONG, ..SubscriptionConfig::new(200, 1 << 20) };
    let mut out = attach(&hub, config);
    ingest(&hub).submit(&message(&numbered(&[60; 2]))).unwrap();
    assert_eq!(out.plan().unwrap(), None);
    hub.close();
    assert!(!out.arm(), "nobody would call");
    assert!(out.has_frames());
    assert!(out.wait(LONG));
    assert!(!out.is_finished());
    assert_eq!(drain(&mut out).0.concat().len(), 2);
    assert!(out.is_finished());
}

/// 500 frames of a buffer each for somebody who looks afterwards: which of them he gets, and what he is
/// told of the others.
#[test]
fn a_reader_that_does_not_read_loses_by_its_policy() {
    let copy_out = Policy::CopyOut { bytes: 100 * 4096 };
    for (policy, expected, reason) in [
        (Policy::DropNewest, 0..100, DropReason::Quota),
        (Policy::DropOldest, 400..500, DropReason::Evicted),
        (copy_out, 0..200, DropReason::Quota),
    ] {
        let (pool, hub) = hub(1024);
        let mut out =
            attach(&hub, SubscriptionConfig { policy, ..SubscriptionConfig::new(100, 1 << 20) });
        let mut ingest = ingest(&hub);
        let frames = numbered(&[4000; 500]);
        for message in messages(&frames, 1 << 16) {
            ingest.submit(&message).unwrap();
        }
        // A copy pins nothing of the pool.
        assert_eq!(pool.stats().in_flight, 100, "{policy:?}");
        let (sent, missed) = drain(&mut out);
        let sent = sent.concat();
        assert_eq!(sent, frames[expected], "{policy:?}");
        assert_eq!(sent.len() as u64 + missed, 500);
        let dropped = out.stats().dropped;
        assert_eq!(dropped.iter().map(|drop| drop.reason).collect::<Vec<_>>(), [reason]);
        drop((out, ingest));
        assert_all_home(&pool);
    }
}
