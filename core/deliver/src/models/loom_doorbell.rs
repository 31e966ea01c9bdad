//! Waking a consumer: no call is lost. A wait that nobody ends is a deadlock, which loom reports; its
//! `wait_timeout` never times out.

use super::check;
use crate::hub::{Bell, Doorbell};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

const FOR_EVER: Duration = Duration::MAX;

struct Consumer {
    bell: Arc<Bell>,
    doorbell: Arc<Doorbell>,
    /// Frames published by each producer. Relaxed everywhere: whatever orders them is under test.
    published: Arc<[AtomicU32; 2]>,
}

impl Consumer {
    fn new() -> Self {
        let bell = Bell::new();
        let doorbell = Arc::new(Doorbell::new(Arc::clone(&bell), 7));
        Self { bell, doorbell, published: Arc::new([0; 2].map(AtomicU32::new)) }
    }

    /// Another thread that publishes `frames` frames, each with a press.
    fn producer(&self, number: usize, frames: u32) -> thread::JoinHandle<()> {
        let (doorbell, published) = (Arc::clone(&self.doorbell), Arc::clone(&self.published));
        thread::spawn(move || {
            for frame in 1..=frames {
                published[number].store(frame, Relaxed);
                doorbell.press();
            }
        })
    }

    fn seen(&self) -> u32 {
        self.published.iter().map(|published| published.load(Relaxed)).sum()
    }

    /// Sleeps until `frames` frames were seen, as `Consumer::wait` and a dispatcher do.
    fn wait_for(&self, frames: u32) {
        while self.seen() < frames {
            if self.doorbell.arm(|| self.seen() >= frames) {
                assert_eq!(self.bell.wait(FOR_EVER), Some(7));
            }
        }
    }
}

#[test]
fn one_producer_never_leaves_the_consumer_asleep() {
    check(|| {
        let consumer = Consumer::new();
        let producer = consumer.producer(0, 2);
        consumer.wait_for(2);
        producer.join().unwrap();
    });
}

#[test]
fn two_producers_never_leave_the_consumer_asleep() {
    check(|| {
        let consumer = Consumer::new();
        let producers = [consumer.producer(0, 1), consumer.producer(1, 1)];
        consumer.wait_for(2);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn a_consumer_that_asked_once_is_called_at_most_once() {
    check(|| {
        let consumer = Consumer::new();
        assert!(consumer.doorbell.arm(|| false));
        let producers = [consumer.producer(0, 1), consumer.producer(1, 1)];
        for producer in producers {
            producer.join().unwrap();
        }
        assert!(consumer.doorbell.disarm(), "it was called");
        assert_eq!(consumer.bell.wait(Duration::ZERO), Some(7));
        assert_eq!(consumer.bell.wait(Duration::ZERO), None);
    });
}

#[test]
fn who_is_told_that_no_call_comes_gets_none() {
    check(|| {
        let consumer = Consumer::new();
        let producer = consumer.producer(0, 1);
        let called = consumer.doorbell.arm(|| consumer.seen() == 1);
        producer.join().unwrap();
        let call = consumer.bell.wait(Duration::ZERO);
        assert_eq!(call.is_some(), called);
    });
}

#[test]
fn who_takes_its_wish_back_in_time_gets_no_call() {
    check(|| {
        let consumer = Consumer::new();
        let producer = consumer.producer(0, 1);
        consumer.doorbell.arm(|| false);
        let called = consumer.doorbell.disarm();
        producer.join().unwrap();
        let call = consumer.bell.wait(Duration::ZERO);
        assert_eq!(call.is_some(), called);
    });
}
