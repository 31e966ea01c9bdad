//! A consumer, and what it must have: a model of each policy, one frame after the other.

use crate::common::check_edge;
use crate::frames::{BUFFER, Frame, number};
use crate::memory::Memory;
use skbpool_deliver::{Consumer, ConsumerConfig, ConsumerStats, Delivered, Policy};
use skbpool_pool::{DropReason, LocalCache, Pool, Skb, SkbBatch, SkbFlags};
use std::collections::{BTreeMap, VecDeque};

/// A frame in a ring.
#[derive(Clone, Copy)]
struct Queued {
    frame: Frame,
    copied: bool,
}

/// What a consumer was offered and what became of it, in frames and bytes.
#[derive(Clone, Default)]
pub struct Figures {
    pub offered: u64,
    /// Taken in place, and taken as copies.
    received: [(u64, u64); 2],
    /// Copied, wherever the copies are now.
    pub copied: (u64, u64),
    dropped: BTreeMap<DropReason, (u64, u64)>,
}

fn add(sum: &mut (u64, u64), more: (u64, u64)) {
    *sum = (sum.0 + more.0, sum.1 + more.1);
}

/// Frames and bytes.
fn sizes<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> (u64, u64) {
    frames.into_iter().fold((0, 0), |sum, frame| (sum.0 + 1, sum.1 + frame.len))
}

impl Figures {
    fn drop(&mut self, reason: DropReason, frames: (u64, u64)) {
        add(self.dropped.entry(reason).or_default(), frames);
    }

    /// Adds those of another consumer.
    pub fn add(&mut self, other: &Figures) {
        self.offered += other.offered;
        (0..2).for_each(|copied| add(&mut self.received[copied], other.received[copied]));
        add(&mut self.copied, other.copied);
        other.dropped.iter().for_each(|(&reason, &frames)| self.drop(reason, frames));
    }

    /// That `stats` tell these: what was offered was received, dropped for its reason, or is `queued`.
    #[track_caller]
    pub fn check(&self, stats: &ConsumerStats, queued: u64) {
        check_edge(stats);
        let [(frames, bytes), (copies, copied_bytes)] = self.received;
        assert_eq!((stats.frames, stats.bytes), (frames + copies, bytes + copied_bytes));
        assert_eq!((stats.offered, stats.queued), (self.offered, queued));
        assert_eq!((stats.copied, stats.copied_bytes), self.copied);
        for reason in DropReason::ALL {
            let told = stats.dropped.iter().find(|drop| drop.reason == reason);
            let told = told.map_or((0, 0), |drop| (drop.frames, drop.bytes));
            let model = self.dropped.get(&reason).copied().unwrap_or_default();
            assert_eq!(told, model, "{}", reason.name());
        }
        let dropped: u64 = self.dropped.values().map(|(frames, _)| frames).sum();
        assert_eq!(self.offered, frames + copies + dropped + queued);
    }
}

pub struct Edge {
    pub consumer: Consumer,
    policy: Policy,
    pub quota: u64,
    quota_bytes: u64,
    slots: u64,
    pub memory: Memory,
    pub taken: SkbBatch,
    /// What lies in the ring of each driver.
    queued: BTreeMap<u64, VecDeque<Queued>>,
    pub figures: Figures,
}

/// Whether a view was copied out, so that it counts for no quota.
pub fn is_copy(skb: &Skb) -> bool {
    skb.flags.contains(SkbFlags::COPIED)
}

/// Views and truesize of those of `taken` that are copies, or of those that are none.
pub fn charge(taken: &SkbBatch, copies: bool) -> (u64, u64) {
    let skbs = taken.as_slice().iter().filter(|skb| is_copy(skb) == copies);
    let charges = skbs.map(|skb| (u64::from(skb.views()), u64::from(skb.truesize())));
    charges.fold((0, 0), |sum, charge| (sum.0 + charge.0, sum.1 + charge.1))
}

impl Edge {
    pub fn new(consumer: Consumer, config: &ConsumerConfig) -> Self {
        let buffers = match config.policy {
            Policy::CopyOut { bytes } => bytes / BUFFER,
            _ => 0,
        };
        let slots = match config.ring_slots {
            0 => u64::from(config.quota) + buffers,
            slots => u64::from(slots),
        };
        Self {
            consumer,
            policy: config.policy,
            quota: u64::from(config.quota),
            quota_bytes: config.quota_bytes.unwrap_or(u64::MAX),
            slots: slots.next_power_of_two(),
            memory: Memory::new(buffers),
            taken: SkbBatch::new(),
            queued: BTreeMap::new(),
            figures: Figures::default(),
        }
    }

    fn all_queued(&self) -> impl Iterator<Item = &Queued> {
        self.queued.values().flatten()
    }

    fn queued(&self) -> u64 {
        self.all_queued().count() as u64
    }

    /// Views and truesize of what it holds as copies, or of what counts for its quota.
    pub fn held(&self, copies: bool) -> (u64, u64) {
        let queued = self.all_queued().filter(|queued| queued.copied == copies);
        queued.fold(charge(&self.taken, copies), |sum, Queued { frame, .. }| {
            (sum.0 + frame.views, sum.1 + frame.truesize)
        })
    }

    fn room(&self, driver: u64) -> u64 {
        self.slots - self.queued.get(&driver).map_or(0, |ring| ring.len() as u64)
    }

    /// Whether an empty quota grants it.
    fn may_grant(&self, frame: &Frame) -> bool {
        frame.views <= self.quota && frame.truesize <= self.quota_bytes
    }

    /// Whether it comes to a consumer that holds nothing.
    fn may_take(&self, frame: &Frame) -> bool {
        self.may_grant(frame) || self.memory.may_hold(frame)
    }

    /// Which of `frames`, one after the other, the quota grants: all until one does not fit, but for
    /// those that never do.
    fn granted<'a>(&self, frames: impl Iterator<Item = &'a Frame>) -> Vec<bool> {
        let (mut views, mut bytes) = self.held(false);
        let mut short = false;
        let grant = |frame: &Frame| {
            if self.may_grant(frame) {
                views += frame.views;
                bytes += frame.truesize;
                short |= views > self.quota || bytes > self.quota_bytes;
            }
            !short && self.may_grant(frame)
        };
        frames.map(grant).collect()
    }

    /// The newest of `frames` that fit once as few of the oldest as need be made place; how many those
    /// are and what was evicted for them.
    fn evict(&mut self, driver: u64, frames: &[Frame]) -> (usize, Vec<Frame>) {
        let most = frames.len().min(self.slots as usize);
        let mut evicted = Vec::new();
        loop {
            let newest = frames.iter().rev().take(most.min(self.room(driver) as usize));
            let fit = self.granted(newest).into_iter().filter(|&fits| fits).count();
            let oldest = match fit == most {
                true => None,
                false => self.queued.entry(driver).or_default().pop_front(),
            };
            match oldest {
                Some(oldest) => evicted.push(oldest.frame),
                None => return (fit, evicted),
            }
        }
    }

    fn queue(&mut self, driver: u64, frame: Frame, copied: bool, told: &mut Delivered) {
        told.published += 1;
        self.queued.entry(driver).or_default().push_back(Queued { frame, copied });
    }

    fn miss(&mut self, reason: DropReason, frames: &[Frame], told: &mut Delivered) {
        let (frames, bytes) = sizes(frames);
        self.figures.drop(reason, (frames, bytes));
        told.missed += frames;
        told.drops.add(reason, frames, bytes);
    }

    /// What becomes of a batch of `driver`; told into `told`.
    pub fn offer(&mut self, driver: u64, frames: &[Frame], told: &mut Delivered) {
        self.figures.offered += frames.len() as u64;
        // As if those that never fit were not there.
        let (frames, never): (Vec<_>, Vec<_>) = frames.iter().partition(|it| self.may_take(it));
        self.miss(DropReason::Quota, &never, told);
        let (missed, next) = match self.policy {
            Policy::DropOldest => {
                let (fit, evicted) = self.evict(driver, &frames);
                let (count, bytes) = sizes(&evicted);
                told.evicted += count;
                told.evicted_bytes += bytes;
                self.figures.drop(DropReason::Evicted, (count, bytes));
                let (missed, newest) = frames.split_at(frames.len() - fit);
                newest.iter().for_each(|frame| self.queue(driver, *frame, false, told));
                (missed, missed.last().copied())
            }
            _ => {
                let (tried, behind) = frames.split_at(frames.len().min(self.room(driver) as usize));
                let short = self.take_in_order(driver, tried, told);
                (behind, short.or(behind.first().copied()))
            }
        };
        // The quota is named if it is in the way of the first that does not fit, whatever else is; but
        // where frames are copied, what has no slot lacks only that.
        let (views, bytes) = self.held(false);
        let over_quota = next.is_some_and(|frame| {
            views + frame.views > self.quota || bytes + frame.truesize > self.quota_bytes
        });
        let copies = matches!(self.policy, Policy::CopyOut { .. });
        let reason = if over_quota && !copies { DropReason::Quota } else { DropReason::RingFull };
        self.miss(reason, missed, told);
    }

    /// Queues, in order, what of `frames` the quota grants, and copies of others; the rest is missed.
    /// Returns the first that the quota is too small for now.
    fn take_in_order(
        &mut self,
        driver: u64,
        frames: &[Frame],
        told: &mut Delivered,
    ) -> Option<Frame> {
        let granted = self.granted(frames.iter());
        let refused = frames.iter().zip(&granted).filter(|&(_, granted)| !granted);
        let refused: Vec<_> = refused.map(|(frame, _)| *frame).collect();
        let copies = self.memory.copy(&refused);
        let copied = sizes(&copies);
        add(&mut self.figures.copied, copied);
        told.copied += copied.0;
        self.miss(DropReason::Quota, &refused[copies.len()..], told);
        let mut copies = copies.into_iter();
        for (frame, granted) in frames.iter().zip(granted) {
            if granted {
                self.queue(driver, *frame, false, told);
            } else if let Some(copy) = copies.next() {
                self.queue(driver, copy, true, told);
            }
        }
        refused.into_iter().find(|frame| self.may_grant(frame))
    }

    /// Polls, and checks that what comes is what lies at the front of some driver's ring.
    pub fn poll(&mut self, at_most: usize) {
        let mut batch = SkbBatch::new();
        let count = self.consumer.poll(&mut batch, at_most);
        assert_eq!(count as u64, self.queued().min(at_most as u64));
        for skb in batch.as_slice() {
            let number = number(skb);
            let is_front = |ring: &&mut VecDeque<Queued>| {
                ring.front().is_some_and(|front| front.frame.number == number)
            };
            let ring = self.queued.values_mut().find(is_front).expect("the oldest of some driver");
            let Queued { frame, copied } = ring.pop_front().unwrap();
            let model = (frame.len, frame.views, frame.truesize, copied);
            let [len, views, truesize] = [skb.len(), skb.views(), skb.truesize()].map(u64::from);
            assert_eq!((len, views, truesize, is_copy(skb)), model, "frame {number}");
            add(&mut self.figures.received[usize::from(copied)], (1, frame.len));
            if copied {
                self.memory.is_of(skb);
            }
        }
        self.taken.append(&mut batch);
    }

    /// Releases the last `views` that it took.
    pub fn release(&mut self, views: usize, cache: &mut LocalCache) {
        let mut gone = self.taken.split_off(self.taken.len().saturating_sub(views));
        gone.as_slice().iter().for_each(|skb| self.memory.forget(number(skb)));
        gone.release(cache);
    }

    /// Makes all that it took private, as far as there are buffers; what is no longer in its own memory
    /// leaves room there.
    pub fn unshare(&mut self, hub: &Pool, cache: &mut LocalCache) {
        for skb in self.taken.as_mut_slice() {
            if skb.unshare(cache).is_err() {
                assert!(hub.stats().in_flight + 4 > hub.count(), "there are buffers");
                break;
            }
        }
        for skb in self.taken.as_slice() {
            if Pool::of(skb).is_some_and(|pool| pool.is_same(hub)) {
                self.memory.forget(number(skb));
            }
        }
    }

    /// It leaves: what it took stays with the caller, what lies in its rings is dropped for that.
    pub fn leave(mut self) -> (SkbBatch, Memory, Figures) {
        let queued: Vec<_> = self.all_queued().map(|queued| queued.frame).collect();
        self.figures.drop(DropReason::Detached, sizes(&queued));
        queued.iter().for_each(|frame| self.memory.forget(frame.number));
        drop(self.consumer);
        (self.taken, self.memory, self.figures)
    }

    pub fn check(&self) {
        let stats = self.consumer.stats();
        self.figures.check(&stats, self.queued());
        // What its holder is charged for is what it holds, view by view.
        assert_eq!((stats.held, stats.held_bytes), self.held(false));
        let accounts = self.consumer.pool().accounts();
        assert_eq!(accounts.held(self.consumer.holder()), self.held(false));
        assert!(stats.held <= stats.quota);
        assert_eq!(stats.copies_held_bytes, self.held(true).1);
        self.memory.check();
    }
}
