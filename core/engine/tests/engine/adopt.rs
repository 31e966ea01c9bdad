//! Messages whose frames stay where they lie.

use std::sync::Arc;

use skbpool_engine::{
    AdoptionBudget, Ingest, IngestConfig, Kept, StampConsumer, Subscription, SubscriptionConfig,
};
use skbpool_pool::{Buffer, adopt};

use crate::support::*;

fn brought(message: &Arc<[u8]>) -> Buffer {
    adopt(Arc::clone(message)).unwrap()
}

fn sum(pool: &skbpool_pool::Pool) -> u64 {
    pool.accounts().copies().iter().map(|count| count.bytes).sum()
}

#[test]
fn frames_stay_in_the_message_while_every_consumer_is_here() {
    let (pool, hub) = hub(2048);
    let mut reader = StampConsumer::attach_inline(&hub, "in process", 7, 1024).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = numbered(&[0, 1, 60, 1514, 9000]);
    let message: Arc<[u8]> = message(&frames).into();
    let before = sum(&pool);
    let (response, kept) = ingest.submit_adopted(&message, brought(&message));
    response.unwrap();
    assert!(matches!(kept, Kept::Views(_)));
    assert_eq!(reader.report().unwrap().stamps.foreign, 5);
    assert_eq!(sum(&pool), before, "nothing was copied");
    // The reader is through, so what was kept is the last.
    assert_eq!(Arc::strong_count(&message), 2);
    drop(kept);
    assert_eq!(Arc::strong_count(&message), 1);
    // Views that nobody has taken yet keep the message.
    reader.stop();
    drop(ingest.submit_adopted(&message, brought(&message)).1);
    assert_eq!(Arc::strong_count(&message), 2);
    drop(reader);
    drop(ingest);
    assert_eq!(Arc::strong_count(&message), 1);
    assert_all_home(&pool);
}

#[test]
fn views_of_an_adopted_message_are_its_frames_in_order() {
    for count in [1, 63, 64, 65, 255, 256, 257, 600] {
        let (pool, hub) = hub(2048);
        let mut consumer = consumer(&hub, 1024);
        let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
        let lengths: Vec<usize> = (0..count).map(|number| number % 131).collect();
        let mut frames = numbered(&lengths);
        frames[count - 1].original_length += 7;
        let message: Arc<[u8]> = message(&frames).into();
        drop(ingest.submit_adopted(&message, brought(&message)));
        let taken = take_all(&mut consumer);
        assert_eq!(given(&taken), frames, "{count} frames");
        assert_eq!(Arc::strong_count(&message), 2);
        drop((taken, consumer, ingest));
        assert_eq!(Arc::strong_count(&message), 1);
        assert_all_home(&pool);
    }
}

#[test]
fn frames_are_copied_when_a_consumer_takes_them_out_of_the_process() {
    let (pool, hub) = hub(2048);
    let config = SubscriptionConfig::new(256, 1 << 20);
    let mut out = Subscription::attach(&hub, "out", config).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = numbered(&[60, 1514, 9000]);
    let message: Arc<[u8]> = message(&frames).into();
    let (response, kept) = ingest.submit_adopted(&message, brought(&message));
    response.unwrap();
    assert!(matches!(kept, Kept::Whole(_)));
    drop(kept);
    assert_eq!(Arc::strong_count(&message), 1);
    assert_eq!(frames_of(&[next_message(&mut out).unwrap()]), frames);
    drop((out, ingest));
    assert_all_home(&pool);
}

#[test]
fn what_cannot_be_adopted_changes_nothing_or_is_copied() {
    let (pool, hub) = hub(2048);
    let mut reader = StampConsumer::attach_inline(&hub, "in process", 7, 1024).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let broken: Arc<[u8]> = vec![0xFF; 40].into();
    assert!(ingest.submit_adopted(&broken, brought(&broken)).0.is_err());
    assert_eq!(Arc::strong_count(&broken), 1);
    // A buffer that is not the message.
    let message = message(&numbered(&[60; 20]));
    let (response, kept) = ingest.submit_adopted(&message, brought(&broken));
    response.unwrap();
    assert!(matches!(kept, Kept::Whole(_)));
    assert_eq!(reader.report().unwrap().stamps.foreign, 20);
    reader.stop();
    drop((kept, reader, ingest));
    assert_all_home(&pool);
}

#[test]
fn a_budget_is_never_overdrawn_and_comes_back() {
    let budget = AdoptionBudget::new(100);
    let first = budget.take(60).unwrap();
    assert!(budget.take(41).is_none());
    let second = budget.take(40).unwrap();
    assert_eq!(budget.taken(), 100);
    assert!(budget.take(u64::MAX).is_none());
    drop(first);
    assert_eq!(budget.taken(), 40);
    drop(second);
    assert_eq!(budget.taken(), 0);
    assert!(AdoptionBudget::new(0).take(1).is_none());
}
