//! The ring whose producer may take the oldest back: each value leaves it once, and a slot is filled
//! again only after it was copied out, whoever claimed it.
//!
//! Slots are loom cells, so an access that is not ordered after the one before it fails the model.

use super::check;
use crate::claimed::{Dequeue, Enqueue, channel};
use loom::thread;

/// Publishes each of `values`, evicting the oldest where there is no room; what does not fit even then
/// is dropped. Returns what was evicted and what was dropped.
fn enqueue_newest(tx: &mut Enqueue<u32>, values: std::ops::RangeInclusive<u32>) -> [Vec<u32>; 2] {
    let [mut evicted, mut dropped] = [Vec::new(), Vec::new()];
    for value in values {
        if tx.room(1) == 0 && !tx.is_held_up() {
            tx.evict(&mut evicted, 1);
        }
        let mut values = vec![value];
        tx.enqueue_vec(&mut values);
        dropped.append(&mut values);
    }
    [evicted, dropped]
}

/// Whatever `parts` there are, every value is in one of them, and each is in order.
fn check_parts(parts: &[&[u32]], count: u32) {
    assert!(parts.iter().all(|part| part.is_sorted()), "{parts:?}");
    let mut all: Vec<u32> = parts.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=count), "{parts:?}");
}

fn beside_a_consumer(slots: u32, before: u32, count: u32, takes: &'static [u32]) {
    check(move || {
        let (mut tx, mut rx): (Enqueue<u32>, Dequeue<u32>) = channel(slots, u64::MAX - 1).unwrap();
        let [_, none] = enqueue_newest(&mut tx, 1..=before);
        assert!(none.is_empty());
        let consumer = thread::spawn(move || {
            let mut got = Vec::new();
            for &at_most in takes {
                rx.dequeue(&mut got, at_most);
            }
            (got, rx)
        });
        let [evicted, dropped] = enqueue_newest(&mut tx, before + 1..=count);
        let (mut got, mut rx) = consumer.join().unwrap();
        while rx.dequeue(&mut got, 2) != 0 {}
        check_parts(&[&got, &evicted, &dropped], count);
    });
}

#[test]
fn one_slot_is_claimed_by_one_of_them() {
    beside_a_consumer(1, 1, 2, &[1]);
}

#[test]
fn a_slot_that_is_being_copied_is_not_filled() {
    beside_a_consumer(1, 1, 3, &[1, 1]);
}

#[test]
fn a_claim_between_two_evictions() {
    beside_a_consumer(2, 2, 4, &[1]);
}

#[test]
fn a_claim_of_all_and_another() {
    beside_a_consumer(2, 2, 4, &[2, 1]);
}

#[test]
fn what_a_producer_left_behind_is_all_there_when_it_is_seen_gone() {
    check(|| {
        let (mut tx, rx): (Enqueue<u32>, Dequeue<u32>) = channel(1, u64::MAX).unwrap();
        let producer = thread::spawn(move || {
            enqueue_newest(&mut tx, 1..=2);
        });
        while rx.is_connected() {
            thread::yield_now();
        }
        assert_eq!(rx.filled(), 1);
        producer.join().unwrap();
    });
}

/// A consumer looks while a value is published and taken back: there is one, or none.
#[test]
fn no_more_is_there_than_was_published() {
    check(|| {
        let (mut tx, rx): (Enqueue<u32>, Dequeue<u32>) = channel(2, u64::MAX).unwrap();
        let producer = thread::spawn(move || {
            assert_eq!(tx.enqueue_vec(&mut vec![1]), 1);
            assert_eq!(tx.evict(&mut Vec::new(), 1), 1);
        });
        assert!(rx.filled() <= 1);
        producer.join().unwrap();
        assert_eq!(rx.filled(), 0);
    });
}
