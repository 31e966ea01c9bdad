//! How many times a payload byte is copied on each path through the engine.

use std::sync::Arc;

use skbpool_deliver::Hub;
use skbpool_engine::{Ingest, IngestConfig, Subscription, SubscriptionConfig};
use skbpool_pool::{Accounts, CopyStage, Pool};

use crate::support::*;

/// Frames and bytes that each stage copied; stages that copied nothing are left out.
fn copied(pool: &Pool) -> Vec<(CopyStage, u64, u64)> {
    let all = pool.accounts().copies().into_iter();
    all.map(|count| (count.stage, count.frames, count.bytes)).filter(|count| count.1 != 0).collect()
}

fn hub_of(buffers: u32, order: u8) -> (Pool, Arc<Hub>) {
    let pool = Pool::builder(buffers).order(order).accounts(Accounts::new()).build().unwrap();
    (pool.clone(), Hub::new(pool))
}

fn subscription(hub: &Arc<Hub>, name: &str, max_message_bytes: usize) -> Subscription {
    let config = SubscriptionConfig::new(256, max_message_bytes);
    Subscription::attach(hub, name, config).unwrap()
}

/// Of a message that is ingested and read by one subscriber, each byte is copied twice: it lands, and
/// it leaves. That holds for frames of no bytes, of a slot, of odd lengths, and for chains.
#[test]
fn from_ingest_to_a_subscriber_a_byte_is_copied_twice() {
    for order in [0, 3] {
        let (pool, hub) = hub_of(1024, order);
        let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
        let mut out = subscription(&hub, "out", 1 << 20);
        let frames = numbered(&[0, 1, 60, 64, 65, 1514, 4095, 4096, 4097, 9000]);
        let bytes: u64 = frames.iter().map(|frame| frame.bytes.len() as u64).sum();
        let sent = frames.len() as u64;

        ingest.submit(&message(&frames)).unwrap();
        assert_eq!(copied(&pool), [(CopyStage::Land, sent, bytes)]);
        let message = next_message(&mut out).unwrap();
        assert_eq!(frames_of(&[message]), frames);
        let once_each = [(CopyStage::Land, sent, bytes), (CopyStage::Encode, sent, bytes)];
        assert_eq!(copied(&pool), once_each);
        let total: u64 = copied(&pool).iter().map(|count| count.2).sum();
        assert_eq!(total, 2 * bytes);
    }
}

/// Further subscribers add one copy each, messages of another size none; a message that is planned and
/// not written costs nothing.
#[test]
fn each_subscriber_costs_one_copy_more() {
    let (pool, hub) = hub_of(2048, 0);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut outs = [1 << 20, 4000, 2000].map(|size| subscription(&hub, "out", size));
    let frames = numbered(&[100; 40]);
    ingest.submit(&message(&frames)).unwrap();
    assert!(outs[0].plan().unwrap().is_some());
    assert_eq!(copied(&pool), [(CopyStage::Land, 40, 4000)]);
    for (done, out) in outs.iter_mut().enumerate() {
        let messages: Vec<_> = std::iter::from_fn(|| next_message(out)).collect();
        assert_eq!(frames_of(&messages), frames);
        let encoded = 40 * (done as u64 + 1);
        let expected = [(CopyStage::Land, 40, 4000), (CopyStage::Encode, encoded, encoded * 100)];
        assert_eq!(copied(&pool), expected);
    }
}

/// What finds no buffer is not copied.
#[test]
fn what_is_dropped_is_not_copied() {
    let (pool, hub) = hub_of(512, 0);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let reader = consumer(&hub, 128);
    let mut held: Vec<_> = std::iter::from_fn(|| pool.alloc().ok()).collect();
    held.truncate(510);
    ingest.submit(&message(&numbered(&[1000; 20]))).unwrap();
    assert_eq!(copied(&pool), [(CopyStage::Land, 8, 8000)]);
    ingest.submit(&message(&numbered(&[60, 8193]))).unwrap();
    assert_eq!(copied(&pool), [(CopyStage::Land, 8, 8000)], "no buffer for a chain or a frame");
    drop((reader, held));
}

/// A reader inside the process reads in place.
#[test]
fn a_consumer_in_the_process_costs_no_copy() {
    let (pool, hub) = hub_of(512, 0);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut reader = consumer(&hub, 128);
    let frames = numbered(&[60, 1514, 5000]);
    ingest.submit(&message(&frames)).unwrap();
    assert_eq!(given(&take_all(&mut reader)), frames);
    assert_eq!(copied(&pool), [(CopyStage::Land, 3, 6574)]);
}
