//! The tagged stack: every index has one owner at a time, who sees what the last one wrote.

use super::{Payload, check};
use crate::depot::stack::{NIL, TaggedStack};
use crate::sync::AtomicU32;
use loom::thread;
use std::sync::Arc;

struct Shared {
    stack: TaggedStack,
    links: Vec<AtomicU32>,
    payload: Payload,
}

impl Shared {
    /// A stack for `count` indices that holds `held`, the last one on top.
    fn new(count: u32, held: &[u32]) -> Arc<Self> {
        let shared = Self {
            stack: TaggedStack::new(0),
            links: (0..count).map(|_| AtomicU32::new(NIL)).collect(),
            payload: Payload::new(count),
        };
        for &index in held {
            shared.push(index);
        }
        Arc::new(shared)
    }

    fn pop(&self) -> Option<u32> {
        let index = self.stack.pop(&self.links)?;
        self.payload.write(index, self.payload.read(index) + 1);
        Some(index)
    }

    fn push(&self, index: u32) {
        self.payload.write(index, self.payload.read(index) + 1);
        self.stack.push(&self.links, index);
    }

    fn assert_all_accounted_for(&self, held: &[Option<u32>]) {
        let mut found: Vec<u32> = held.iter().flatten().copied().collect();
        found.extend(std::iter::from_fn(|| self.pop()));
        found.sort_unstable();
        assert_eq!(found, (0..self.links.len() as u32).collect::<Vec<_>>());
    }
}

/// One thread sleeps between its look at the head and its swap while another one takes two indices
/// and puts the first one back: the head shows the same index, and what lies below it is gone.
#[test]
fn aba() {
    check(|| {
        let shared = Shared::new(2, &[1, 0]);
        let other = Arc::clone(&shared);
        let sleeper = thread::spawn(move || other.pop());
        let first = shared.pop();
        let second = shared.pop();
        if let Some(first) = first {
            shared.push(first);
        }
        let slept = sleeper.join().unwrap();
        shared.assert_all_accounted_for(&[second, slept]);
    });
}

/// Two push, one pops: what was written for an index is seen by whoever pops it, although the other
/// push may lie between.
#[test]
fn a_push_publishes_through_later_changes_of_the_head() {
    check(|| {
        let shared = Shared::new(3, &[2]);
        let pushers = [0, 1].map(|index| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.push(index))
        });
        let popped = [shared.pop(), shared.pop()];
        for pusher in pushers {
            pusher.join().unwrap();
        }
        shared.assert_all_accounted_for(&popped);
    });
}

/// Two threads take and put back as fast as they can.
#[test]
fn mpmc() {
    check(|| {
        let shared = Shared::new(2, &[0, 1]);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(index) = other.pop() {
                    other.push(index);
                }
            }
        });
        for _ in 0..2 {
            if let Some(index) = shared.pop() {
                shared.push(index);
            }
        }
        thread.join().unwrap();
        shared.assert_all_accounted_for(&[]);
    });
}
