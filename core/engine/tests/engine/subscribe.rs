//! Frames leave in messages, and with them what was missed.

use std::sync::Arc;
use std::time::Duration;

use skbpool_deliver::{Bell, Hub};
use skbpool_engine::{Ingest, IngestConfig, Subscription, SubscriptionConfig};
use skbpool_pool::DropReason;
use skbpool_wire::SubscribeResponseView;

use crate::support::*;

fn attach(hub: &Arc<Hub>, quota: u32, max_message_bytes: usize) -> Subscription {
    let config = SubscriptionConfig::new(quota, max_message_bytes);
    Subscription::attach(hub, "out", config).unwrap()
}

#[test]
fn messages_stay_within_the_limit_and_are_numbered() {
    let (pool, hub) = hub(2048);
    let mut out = attach(&hub, 1024, 8192);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = numbered(&[1000; 100]);
    ingest.submit(&message(&frames)).unwrap();
    let mut sent = Vec::new();
    while let Some(message) = next_message(&mut out) {
        assert!(message.len() <= 8192);
        sent.push(message);
    }
    let batches: Vec<_> = sent
        .iter()
        .map(|message| SubscribeResponseView::parse(message).unwrap().batch.unwrap())
        .map(|batch| (batch.sequence(), batch.len()))
        .collect();
    assert_eq!(batches[0], (1, 7));
    assert!(batches.iter().enumerate().all(|(at, batch)| batch.0 == at as u64 + 1));
    assert_eq!(frames_of(&sent), frames);
    assert_eq!(out.stats().held, 0);
    drop((out, ingest));
    assert_all_home(&pool);
}

#[test]
fn what_was_missed_is_told_once() {
    let (_, hub) = hub(2048);
    let mut out = attach(&hub, 100, 1 << 20);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    ingest.submit(&message(&numbered(&[60; 130]))).unwrap();
    let first = next_message(&mut out).unwrap();
    let view = SubscribeResponseView::parse(&first).unwrap();
    assert_eq!(view.batch.as_ref().unwrap().len(), 100);
    let missed: u64 = view.missed.iter().map(|count| count.frames).sum();
    assert_eq!((missed, view.missed[0].bytes), (30, 1800));
    assert_eq!(next_message(&mut out), None);
    ingest.submit(&message(&numbered(&[60; 10]))).unwrap();
    let second = next_message(&mut out).unwrap();
    assert_eq!(SubscribeResponseView::parse(&second).unwrap().missed, []);
}

#[test]
fn a_frame_that_fits_no_message_is_told_as_missed() {
    let (pool, hub) = hub(2048);
    let mut out = attach(&hub, 100, 4096);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = numbered(&[60, 5000, 70]);
    ingest.submit(&message(&frames)).unwrap();
    let sent = [next_message(&mut out).unwrap(), next_message(&mut out).unwrap()];
    let view = SubscribeResponseView::parse(&sent[1]).unwrap();
    assert_eq!(view.missed.len(), 1);
    assert_eq!(view.missed[0].reason, DropReason::TooLarge.number());
    assert_eq!((view.missed[0].frames, view.missed[0].bytes), (1, 5000));
    assert_eq!(frames_of(&sent), [frames[0].clone(), frames[2].clone()]);
    let stats = out.stats();
    let dropped: u64 = stats.dropped.iter().map(|count| count.frames).sum();
    assert_eq!((stats.offered, stats.frames, dropped), (3, 2, 1));
    // Alone it makes a message without a batch.
    ingest.submit(&message(&numbered(&[5000]))).unwrap();
    let sent = next_message(&mut out).unwrap();
    let view = SubscribeResponseView::parse(&sent).unwrap();
    assert!(view.batch.is_none());
    assert_eq!(view.missed[0].frames, 1);
    assert_eq!(next_message(&mut out), None);
    drop((out, ingest));
    assert_all_home(&pool);
}

#[test]
fn a_shared_bell_calls_who_has_frames() {
    let (_, hub) = hub(2048);
    let bell = Bell::new();
    let attach = |name: &str, token| {
        let bell = Some((Arc::clone(&bell), token));
        let config = SubscriptionConfig { bell, ..SubscriptionConfig::new(64, 1 << 20) };
        Subscription::attach(&hub, name, config).unwrap()
    };
    let mut one = attach("one", 1);
    let mut two = attach("two", 2);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    assert!(one.arm(), "nothing is there");
    ingest.submit(&message(&numbered(&[60]))).unwrap();
    assert_eq!(bell.wait(Duration::from_secs(10)), Some(1));
    assert!(!two.arm(), "its frame is there already");
    assert_eq!(bell.wait(Duration::ZERO), None);
    for out in [&mut one, &mut two] {
        assert_eq!(frames_of(&[next_message(out).unwrap()]).len(), 1);
        assert!(out.arm());
    }
    ingest.submit(&message(&numbered(&[60]))).unwrap();
    let mut called = [bell.wait(Duration::from_secs(10)), bell.wait(Duration::from_secs(10))];
    called.sort();
    assert_eq!(called, [Some(1), Some(2)]);
}

#[test]
fn closing_the_hub_finishes_a_subscription_once_it_is_drained() {
    let (_, hub) = hub(1024);
    let mut out = attach(&hub, 64, 1 << 20);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    ingest.submit(&message(&numbered(&[60]))).unwrap();
    hub.close();
    assert!(!out.is_finished());
    assert!(!out.arm(), "there is something to fetch");
    next_message(&mut out).unwrap();
    assert!(out.is_finished());
    assert!(!out.arm(), "nobody will call any more");
    assert!(!out.wait(Duration::from_secs(10)));
}

#[test]
fn a_planned_message_waits_for_memory_of_its_size() {
    let (_, hub) = hub(1024);
    let mut out = attach(&hub, 64, 1 << 20);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    assert!(out.write(&mut []).is_err(), "nothing is planned");
    ingest.submit(&message(&numbered(&[60]))).unwrap();
    let planned = out.plan().unwrap().unwrap();
    ingest.submit(&message(&numbered(&[60]))).unwrap();
    assert_eq!(out.plan().unwrap(), Some(planned), "a plan stays until it is written");
    let mut short = vec![std::mem::MaybeUninit::uninit(); planned.encoded_len - 1];
    assert!(out.write(&mut short).is_err());
    assert_eq!(frames_of(&[next_message(&mut out).unwrap()]).len(), 1);
    assert_eq!(frames_of(&[next_message(&mut out).unwrap()]).len(), 1);
}
