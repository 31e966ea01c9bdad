//! The delivery ring: every value is published by the index that says so.
//!
//! Slots are loom cells, so an access that is not ordered after the one before it fails the model.

use super::check;
use crate::spsc::{Dequeue, Enqueue, Ring};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Not seen by loom, so it orders nothing: counts values that are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Value {
    number: u32,
    alive: Alive,
}

impl Alive {
    fn value(&self, number: u32) -> Value {
        self.0.fetch_add(1, Ordering::SeqCst);
        Value { number, alive: self.clone() }
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert_ne!(self.alive.0.fetch_sub(1, Ordering::SeqCst), 0, "dropped twice");
    }
}

fn enqueue_all<T>(tx: &mut Enqueue<T>, values: impl Iterator<Item = T>) {
    let mut values: Vec<T> = values.collect();
    while !values.is_empty() {
        if tx.enqueue_vec(&mut values) == 0 {
            thread::yield_now();
        }
    }
}

fn dequeue_all<T>(rx: &mut Dequeue<T>, count: usize) -> Vec<T> {
    let mut got = Vec::new();
    while got.len() < count {
        if rx.dequeue(&mut got, 2) == 0 {
            thread::yield_now();
        }
    }
    got
}

#[test]
fn a_value_is_in_its_slot_before_it_is_counted() {
    check(|| {
        let (mut tx, mut rx) = Ring::channel(2, u32::MAX).unwrap();
        let producer = thread::spawn(move || enqueue_all(&mut tx, 1..=2));
        assert_eq!(dequeue_all(&mut rx, 2), [1, 2]);
        producer.join().unwrap();
    });
}

#[test]
fn a_slot_is_empty_before_it_is_filled_again() {
    check(|| {
        let (mut tx, mut rx) = Ring::channel(1, u32::MAX - 1).unwrap();
        let producer = thread::spawn(move || enqueue_all(&mut tx, 1..=3));
        assert_eq!(dequeue_all(&mut rx, 3), [1, 2, 3]);
        producer.join().unwrap();
    });
}

#[test]
fn what_a_producer_left_behind_is_all_there_when_it_is_seen_gone() {
    check(|| {
        let (mut tx, mut rx) = Ring::channel(2, 0).unwrap();
        let producer = thread::spawn(move || {
            enqueue_all(&mut tx, 1..=2);
        });
        while rx.is_connected() {
            thread::yield_now();
        }
        assert_eq!(rx.filled(2), 2);
        producer.join().unwrap();
    });
}

#[test]
fn whoever_leaves_first_what_is_in_the_ring_is_dropped_once() {
    check(|| {
        let alive = Alive::default();
        let (mut tx, mut rx) = Ring::channel(2, u32::MAX - 1).unwrap();
        let numbers = alive.clone();
        let producer = thread::spawn(move || {
            tx.enqueue(&mut (1..=3).map(|number| numbers.value(number)), 3);
        });
        let mut got = Vec::new();
        rx.dequeue(&mut got, 1);
        assert!(got.iter().all(|value: &Value| value.number == 1));
        drop(rx);
        drop(got);
        producer.join().unwrap();
        assert_eq!(alive.count(), 0);
    });
}
