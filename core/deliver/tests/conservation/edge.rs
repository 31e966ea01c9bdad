//! A consumer, and what it must have: a model of each policy, one frame after the other.

use crate::common::{check_edge, dropped, numbers};
use skbpool_deliver::{Consumer, ConsumerConfig, Delivered, Policy};
use skbpool_pool::{DropReason, LocalCache, Pool, Skb, SkbBatch, SkbFlags};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// Bytes of a buffer.
pub const BUFFER: u64 = 4096;

/// A frame in a ring.
#[derive(Clone, Copy)]
struct Queued {
    number: u64,
    truesize: u64,
    copied: bool,
}

pub struct Edge {
    pub consumer: Consumer,
    policy: Policy,
    pub quota: u64,
    quota_bytes: u64,
    slots: u64,
    /// Buffers of its own memory.
    memory: u64,
    pub taken: SkbBatch,
    /// What lies in the ring of each driver.
    queued: BTreeMap<u64, VecDeque<Queued>>,
    /// For each copy that lies in its own memory, the delivery it was made in, which took one buffer.
    copies: BTreeMap<u64, u64>,
    deliveries: u64,
    pub offered: u64,
    pub frames: u64,
    copied: u64,
    dropped: BTreeMap<DropReason, u64>,
}

/// Whether a view was copied out, so that it counts for no quota.
pub fn is_copy(skb: &Skb) -> bool {
    skb.flags.contains(SkbFlags::COPIED)
}

impl Edge {
    pub fn new(consumer: Consumer, config: &ConsumerConfig) -> Self {
        let memory = match config.policy {
            Policy::CopyOut { bytes } => bytes / BUFFER,
            _ => 0,
        };
        let slots = match config.ring_slots {
            0 => u64::from(config.quota) + memory,
            slots => u64::from(slots),
        };
        Self {
            consumer,
            policy: config.policy,
            quota: u64::from(config.quota),
            quota_bytes: config.quota_bytes.unwrap_or(u64::MAX),
            slots: slots.next_power_of_two(),
            memory,
            taken: SkbBatch::new(),
            queued: BTreeMap::new(),
            copies: BTreeMap::new(),
            deliveries: 0,
            offered: 0,
            frames: 0,
            copied: 0,
            dropped: BTreeMap::new(),
        }
    }

    fn all_queued(&self) -> impl Iterator<Item = &Queued> {
        self.queued.values().flatten()
    }

    pub fn queued(&self) -> u64 {
        self.all_queued().count() as u64
    }

    /// Views and bytes that count for its quota.
    fn held(&self) -> (u64, u64) {
        let queued = self.all_queued().filter(|frame| !frame.copied).map(|frame| frame.truesize);
        let taken = self.taken.as_slice().iter().filter(|skb| !is_copy(skb));
        let all = queued.chain(taken.map(|skb| u64::from(skb.truesize())));
        all.fold((0, 0), |(views, bytes), truesize| (views + 1, bytes + truesize))
    }

    /// How many frames of `truesize` bytes the quota leaves room for.
    fn quota_left(&self, truesize: u64) -> u64 {
        let (views, bytes) = self.held();
        self.quota.saturating_sub(views).min(self.quota_bytes.saturating_sub(bytes) / truesize)
    }

    fn room(&self, driver: u64) -> u64 {
        self.slots - self.queued.get(&driver).map_or(0, |ring| ring.len() as u64)
    }

    fn count(&mut self, reason: DropReason, frames: u64) {
        *self.dropped.entry(reason).or_default() += frames;
    }

    /// What becomes of a batch of `driver`; told into `told`.
    pub fn offer(&mut self, driver: u64, numbers: Range<u64>, told: &mut Delivered) {
        let wanted = numbers.end - numbers.start;
        let truesize = BUFFER / wanted;
        let (mut most, mut evicted) = (wanted.min(self.slots), 0);
        if truesize > self.quota_bytes {
            most = 0;
        }
        self.offered += wanted;
        self.deliveries += 1;
        let mut fit = self.room(driver).min(wanted).min(self.quota_left(truesize));
        let mut first = numbers.start;
        if self.policy == Policy::DropOldest {
            fit = fit.min(most);
            // One after the other, until the newest fit.
            while fit < most {
                let ring = self.queued.entry(driver).or_default();
                if ring.pop_front().is_none() {
                    break;
                }
                evicted += 1;
                fit = self.room(driver).min(most).min(self.quota_left(truesize));
            }
            first = numbers.end - fit;
        }
        for number in first..first + fit {
            let frame = Queued { number, truesize, copied: false };
            self.queued.entry(driver).or_default().push_back(frame);
        }
        let mut copied = 0;
        let used: BTreeSet<_> = self.copies.values().collect();
        if (used.len() as u64) < self.memory {
            copied = (wanted - fit).min(self.room(driver));
        }
        let over_quota = fit < wanted && (self.quota_left(truesize) == 0);
        for number in numbers.start + fit..numbers.start + fit + copied {
            self.copies.insert(number, self.deliveries);
            let frame = Queued { number, truesize: 8, copied: true };
            self.queued.entry(driver).or_default().push_back(frame);
        }
        let missed = wanted - fit - copied;
        let reason = if over_quota { DropReason::Quota } else { DropReason::RingFull };
        self.count(reason, missed);
        self.count(DropReason::Evicted, evicted);
        self.copied += copied;
        told.published += fit + copied;
        told.copied += copied;
        told.missed += missed;
        told.evicted += evicted;
    }

    /// Polls, and checks that what comes is what lies at the front of some driver's ring.
    pub fn poll(&mut self, at_most: usize) {
        let mut batch = SkbBatch::new();
        let count = self.consumer.poll(&mut batch, at_most);
        assert_eq!(count as u64, self.queued().min(at_most as u64));
        for (number, skb) in numbers(&batch).into_iter().zip(batch.as_slice()) {
            let is_front = |ring: &&mut VecDeque<Queued>| {
                ring.front().is_some_and(|frame| frame.number == number)
            };
            let ring = self.queued.values_mut().find(is_front).expect("the oldest of some driver");
            assert_eq!(ring.pop_front().map(|frame| frame.copied), Some(is_copy(skb)));
        }
        self.frames += count as u64;
        self.taken.append(&mut batch);
    }

    /// Releases the last `views` that it took.
    pub fn release(&mut self, views: usize, cache: &mut LocalCache) {
        let mut gone = self.taken.split_off(self.taken.len().saturating_sub(views));
        self.copies.retain(|number, _| !numbers(&gone).contains(number));
        gone.release(cache);
    }

    /// Makes all that it took private; what is no longer in its own memory leaves room there.
    pub fn unshare(&mut self, hub: &Pool, cache: &mut LocalCache) {
        for skb in self.taken.as_mut_slice() {
            skb.unshare(cache).expect("a free buffer");
        }
        for (number, skb) in numbers(&self.taken).iter().zip(self.taken.as_slice()) {
            if Pool::of(skb).is_some_and(|pool| pool.is_same(hub)) {
                self.copies.remove(number);
            }
        }
    }

    pub fn check(&self) {
        let stats = self.consumer.stats();
        check_edge(&stats);
        assert_eq!((stats.offered, stats.frames), (self.offered, self.frames));
        assert_eq!((stats.queued, stats.copied), (self.queued(), self.copied));
        assert_eq!((stats.held, stats.held_bytes), self.held());
        assert!(stats.held <= stats.quota);
        for reason in DropReason::ALL {
            let model = self.dropped.get(&reason).copied().unwrap_or(0);
            assert_eq!(dropped(&stats, reason), model, "{} of {:?}", reason.name(), self.policy);
        }
    }
}
