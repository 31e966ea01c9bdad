//! Between a card's receive loop and the messages that its frames leave in.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skbpool_nic::RxSink;
use skbpool_pool::sync::{AtomicU64, Ordering, bump};
use skbpool_pool::{DropCount, DropCounters, DropReason, HolderId, LocalCache, SkbBatch};

/// What the receive loop hands over and the sender takes, a whole burst at a time.
#[derive(Debug, Default)]
struct Queue {
    skbs: SkbBatch,
    /// Bytes of the frames and one more each, since empty ones are worth waking up for too.
    weight: u64,
    /// Weight that the sender waits for; 0: it does not wait.
    wanted: u64,
    /// Nothing will be added.
    ended: bool,
}

/// What the sender found in the queue.
pub(crate) enum Taken {
    Frames,
    Nothing,
    End,
}

/// Shared by the receive loop and the sender.
#[derive(Debug)]
pub(crate) struct Uplink {
    queue: Mutex<Queue>,
    filled: Condvar,
    drained: Condvar,
    /// Truesize of what was queued and of what was sent; their difference pins buffers.
    queued_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    /// Frames that the receive loop handed over, and their bytes.
    accepted: AtomicU64,
    accepted_bytes: AtomicU64,
    /// Counted by the receive loop.
    dropped: DropCounters,
    /// Counted by the sender.
    unsent: DropCounters,
}

impl Uplink {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            queued_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            accepted_bytes: AtomicU64::new(0),
            dropped: DropCounters::default(),
            unsent: DropCounters::default(),
        })
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) {
        self.queue().ended = true;
        self.filled.notify_all();
    }

    /// Waits until at most `pinned` bytes of buffers wait to be sent, or `timeout` has passed; answers
    /// whether they do.
    pub(crate) fn wait_for_room(&self, pinned: u64, timeout: Duration) -> bool {
        if self.pinned() <= pinned {
            return true;
        }
        let queue = self.queue();
        if self.pinned() > pinned {
            drop(self.drained.wait_timeout(queue, timeout));
        }
        self.pinned() <= pinned
    }

    /// Moves what is queued to the end of `into`; waits `until` then for frames of `wanted` weight.
    pub(crate) fn take(&self, into: &mut SkbBatch, wanted: u64, until: Instant) -> Taken {
        let mut queue = self.queue();
        while queue.weight < wanted && !queue.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue.wanted = wanted;
            queue = match self.filled.wait_timeout(queue, left) {
                Ok((queue, _)) => queue,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        queue.wanted = 0;
        queue.weight = 0;
        if queue.skbs.is_empty() {
            return if queue.ended { Taken::End } else { Taken::Nothing };
        }
        if into.is_empty() {
            std::mem::swap(into, &mut queue.skbs);
        } else {
            into.append(&mut queue.skbs);
        }
        Taken::Frames
    }

    /// Says that frames of together `truesize` bytes were sent, and are released.
    pub(crate) fn sent(&self, truesize: u64) {
        bump(&self.sent_bytes, truesize);
        self.drained.notify_one();
    }

    /// Says that a frame fits no message, and is released.
    pub(crate) fn refused(&self, bytes: u64, truesize: u64) {
        self.unsent.count(DropReason::TooLarge, 1, bytes);
        self.sent(truesize);
    }

    fn pinned(&self) -> u64 {
        // Relaxed: a measure for waiting; buffers change hands under the lock.
        let sent = self.sent_bytes.load(Ordering::Relaxed);
        self.queued_bytes.load(Ordering::Relaxed).saturating_sub(sent)
    }

    /// Frames handed over so far, and their bytes.
    pub(crate) fn accepted(&self) -> (u64, u64) {
        // Relaxed: counters, read for reporting only.
        (self.accepted.load(Ordering::Relaxed), self.accepted_bytes.load(Ordering::Relaxed))
    }

    /// Frames dropped on either side; the same reason may come from both.
    pub(crate) fn dropped(&self) -> Vec<DropCount> {
        let mut dropped = self.dropped.snapshot();
        dropped.extend(self.unsent.snapshot());
        dropped
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change is a few assignments, none of which panics in between.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receive loop's end.
#[derive(Debug)]
pub(crate) struct UplinkSink {
    pub(crate) uplink: Arc<Uplink>,
    pub(crate) holder: HolderId,
}

impl RxSink for UplinkSink {
    fn accept(&mut self, batch: &mut SkbBatch, _cache: &mut LocalCache) {
        if batch.is_empty() {
            return;
        }
        let uplink = &self.uplink;
        let (mut bytes, mut truesize) = (0, 0);
        for skb in batch.as_slice() {
            bytes += u64::from(skb.len());
            truesize += u64::from(skb.truesize());
        }
        let frames = batch.len() as u64;
        bump(&uplink.accepted, frames);
        bump(&uplink.accepted_bytes, bytes);
        bump(&uplink.queued_bytes, truesize);
        let mut queue = uplink.queue();
        queue.skbs.append(batch);
        queue.weight += bytes + frames;
        let call = queue.wanted != 0 && queue.weight >= queue.wanted;
        drop(queue);
        if call {
            uplink.filled.notify_one();
        }
    }

    fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        self.uplink.dropped.count(reason, frames, bytes);
    }

    fn holder(&self) -> HolderId {
        self.holder
    }
}
