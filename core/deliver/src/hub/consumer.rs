//! A consumer's place at the hub.

use super::bell::{Bell, Deadline};
use super::control::Hub;
use super::link::LinkRx;
use super::quota_events::QuotaEvents;
use super::shared::ConsumerShared;
use super::stats::ConsumerStats;
use skbpool_pool::{DropCount, DropReason, HolderId, Pool, Skb, SkbBatch};
use std::sync::Arc;
use std::time::Duration;

/// Where a consumer reads. What it took belongs to it until it releases it; how much it may hold is
/// its quota. Dropping it detaches the consumer: what lies in its rings is released and counted.
#[derive(Debug)]
pub struct Consumer {
    hub: Arc<Hub>,
    id: u64,
    shared: Arc<ConsumerShared>,
    links: Vec<LinkRx>,
    /// Link to be read first at the next poll, so that no driver starves another.
    next: usize,
    seen: u64,
    bell: Arc<Bell>,
    told: Vec<DropCount>,
}

impl Consumer {
    pub(super) fn new(
        hub: Arc<Hub>,
        id: u64,
        shared: Arc<ConsumerShared>,
        bell: Arc<Bell>,
    ) -> Self {
        // Older than the consumer, so that the first poll fetches the links.
        let seen = hub.version().wrapping_sub(1);
        Self { hub, id, shared, links: Vec::new(), next: 0, seen, bell, told: Vec::new() }
    }

    /// Takes up to `at_most` skbs to the end of `batch`, from every driver in turn; returns how
    /// many. Never waits.
    pub fn poll(&mut self, batch: &mut SkbBatch, at_most: usize) -> usize {
        let before = batch.len();
        let taken = self.take(batch, at_most);
        if taken != 0 {
            self.count_taken(&batch.as_slice()[before..]);
        }
        taken
    }

    /// As [`Consumer::poll`], for a consumer that finds out later what it can use. Until it is told to
    /// [`count_taken`](Consumer::count_taken) or [`count_refused`](Consumer::count_refused), a frame
    /// counts as queued; if the consumer leaves before, as dropped for that.
    pub fn take(&mut self, batch: &mut SkbBatch, at_most: usize) -> usize {
        self.refresh();
        let before = batch.len();
        let mut left = at_most.min(u32::MAX as usize) as u32;
        let links = self.links.len();
        let mut finished = false;
        for step in 0..links {
            if left == 0 {
                break;
            }
            let link = &mut self.links[(self.next + step) % links];
            let taken = link.ring.dequeue(batch.as_mut_vec(), left);
            left -= taken;
            finished |= taken == 0 && link.is_finished();
        }
        if links != 0 {
            self.next = (self.next + 1) % links;
        }
        self.shared.room.call();
        if finished {
            self.links.retain_mut(|link| !link.is_finished());
        }
        batch.len() - before
    }

    /// Counts frames that were taken as the consumer's.
    pub fn count_taken(&mut self, frames: &[Skb]) {
        self.shared.bytes.add(frames.iter().map(|skb| u64::from(skb.len())).sum());
        self.shared.frames.add(frames.len() as u64);
    }

    /// Counts frames that were taken, and that the consumer can't use, as missed. Figures are modulo 2^64:
    /// more than were taken make them wrong, and nothing else.
    pub fn count_refused(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        self.shared.count_refused(reason, frames, bytes);
    }

    /// Whether there is something to poll.
    pub fn has_frames(&mut self) -> bool {
        self.refresh();
        self.shared.room.call();
        self.links.iter_mut().any(|link| link.ring.has_frames())
    }

    /// Waits until there is something to poll, the hub is closed, or `timeout` has passed; answers
    /// whether there is something. For a consumer with a bell of its own; one that shares a bell is
    /// called through that.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let deadline = Deadline::after(timeout);
        loop {
            if !self.arm() {
                return true;
            }
            let called = !self.hub.is_closed() && self.bell.wait(deadline.left()).is_some();
            self.disarm();
            if !called {
                return self.has_frames();
            }
        }
    }

    /// Asks the bell to call this consumer when frames arrive. Answers false, without asking, if
    /// there are some already.
    pub fn arm(&mut self) -> bool {
        if self.has_frames() {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        shared.doorbell.arm(|| self.has_frames())
    }

    /// Takes the wish of [`Consumer::arm`] back; answers whether the call was already made.
    pub fn disarm(&mut self) -> bool {
        self.shared.doorbell.disarm()
    }

    /// What it missed since this was last asked, by reason, in the order of their numbers. As the figures
    /// it is modulo 2^64.
    pub fn missed(&mut self) -> Vec<DropCount> {
        let now = self.stats().dropped;
        let of = |drops: &[DropCount], reason| {
            let drop = drops.iter().find(|drop| drop.reason == reason);
            drop.map_or((0, 0), |drop| (drop.frames, drop.bytes))
        };
        let news = DropReason::ALL.into_iter().map(|reason| {
            let (now, told) = (of(&now, reason), of(&self.told, reason));
            let (frames, bytes) = (now.0.wrapping_sub(told.0), now.1.wrapping_sub(told.1));
            DropCount { reason, frames, bytes }
        });
        let news = news.filter(|drop| drop.frames != 0).collect();
        self.told = now;
        news
    }

    /// A watcher of its quota, which may outlive it: when it is exceeded, when there is room again, and
    /// when the consumer is gone.
    pub fn quota_events(&self) -> QuotaEvents {
        self.shared.quota_events()
    }

    /// Its figures.
    pub fn stats(&self) -> ConsumerStats {
        self.shared.stats()
    }

    /// Who answers for its views.
    pub fn holder(&self) -> HolderId {
        self.shared.holder.id()
    }

    /// The pool its views come from.
    pub fn pool(&self) -> &Pool {
        self.hub.pool()
    }

    /// Whether the hub is closed and nothing is left to poll. No frame comes after that, except from
    /// a driver that was just delivering when the hub was closed.
    pub fn is_finished(&mut self) -> bool {
        self.hub.is_closed() && !self.has_frames()
    }

    /// Learns of drivers that came or went: one load when none did, a lock otherwise.
    #[inline]
    fn refresh(&mut self) {
        let version = self.hub.version();
        if version != self.seen {
            self.seen = version;
            if self.hub.pool().is_forked() {
                // What lies in the rings is the parent's to read.
                self.links.clear();
                return;
            }
            self.links.retain_mut(|link| !link.is_finished());
            self.hub.take_consumer_links(self.id, &mut self.links);
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.detach();
        // This look comes after the fence in `detach`, at the list of links as well as into them.
        self.refresh();
        for link in &mut self.links {
            link.drain();
        }
        self.links.clear();
        self.hub.detach_consumer(self.id);
        // Last: who is told finds it detached.
        self.shared.quota.tell_end();
    }
}
