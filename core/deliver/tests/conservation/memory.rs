//! A model of a consumer's own memory: which copies lie in which of its buffers.

use crate::common::check_home;
use crate::frames::{BUFFER, Frame};
use skbpool_pool::{Pool, Skb};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub struct Memory {
    /// How many buffers it has.
    buffers: u64,
    /// The buffers that each copy lies in. Every use of a buffer has a number of its own.
    copies: BTreeMap<u64, Range<u64>>,
    next_use: u64,
    /// The pool itself, once a copy was seen.
    pool: Option<Pool>,
}

impl Memory {
    pub fn new(buffers: u64) -> Self {
        Self { buffers, copies: BTreeMap::new(), next_use: 0, pool: None }
    }

    /// Buffers that copies lie in.
    fn used(&self) -> u64 {
        self.copies.values().cloned().flatten().collect::<BTreeSet<_>>().len() as u64
    }

    /// Whether the copy of a frame fits it while it is unused.
    pub fn may_hold(&self, frame: &Frame) -> bool {
        frame.len.div_ceil(BUFFER) <= self.buffers
    }

    /// Takes so many buffers, if they are there.
    fn take(&mut self, buffers: u64) -> Option<Range<u64>> {
        let first = self.next_use;
        (self.used() + buffers <= self.buffers).then(|| {
            self.next_use += buffers;
            first..self.next_use
        })
    }

    /// The copies of `frames`, from the first on, until the memory is used up: one after the other into
    /// one buffer, and where there is no room in it into the next; what is too large for a buffer is a
    /// chain of copies in buffers of its own.
    pub fn copy(&mut self, frames: &[Frame]) -> Vec<Frame> {
        let (mut filling, mut room) = (0..0, 0);
        let mut done = Vec::new();
        for &frame in frames {
            let copy = if frame.len > BUFFER {
                let views = frame.len.div_ceil(BUFFER);
                let Some(buffers) = self.take(views) else { break };
                self.copies.insert(frame.number, buffers);
                Frame { views, truesize: views * BUFFER, ..frame }
            } else {
                if room < frame.len {
                    let Some(next) = self.take(1) else { break };
                    (filling, room) = (next, BUFFER);
                }
                room -= frame.len;
                self.copies.insert(frame.number, filling.clone());
                Frame { views: 1, truesize: frame.len, ..frame }
            };
            done.push(copy);
        }
        done
    }

    /// That `skb` lies in it.
    pub fn is_of(&mut self, skb: &Skb) {
        let pool = Pool::of(skb).expect("memory of a pool");
        let known = self.pool.get_or_insert_with(|| pool.clone());
        assert!(pool.is_same(known));
        assert_eq!(u64::from(pool.count()), self.buffers);
    }

    /// The copy of a frame, if there is one, is in it no more.
    pub fn forget(&mut self, number: u64) {
        self.copies.remove(&number);
    }

    pub fn check(&self) {
        if let Some(pool) = &self.pool {
            assert_eq!(u64::from(pool.stats().in_flight), self.used());
        }
    }

    /// That everything in it was released.
    pub fn end(&self) {
        if let Some(pool) = &self.pool {
            check_home(pool);
        }
    }
}
