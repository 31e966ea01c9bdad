//! Between a card's receive loop and the messages that its frames leave in.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use skbpool_nic::RxSink;
use skbpool_pool::sync::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering, bump};
use skbpool_pool::{DropCount, DropCounters, DropReason, HolderId, LocalCache, SkbBatch};

/// What the receive loop hands over and the sender takes, a whole burst at a time. Everything that
/// either of them waits for is in here, so that whoever changes it sees who waits.
#[derive(Debug, Default)]
struct Queue {
    skbs: SkbBatch,
    /// Bytes of the frames and one more each, since empty ones are worth waking up for too.
    weight: u64,
    /// Weight that the sender waits for; 0: it does not wait.
    wanted: u64,
    /// Truesize of what was queued and is not yet sent, so that it pins buffers.
    pinned: u64,
    /// The line waits for room.
    line_waits: bool,
    /// Nothing will be added.
    ended: bool,
}

/// What the sender found in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Frames,
    Nothing,
    End,
}

/// Shared by the receive loop and the sender.
///
/// Each may wait for the other: a line for room, the sender for a fuller message. The line waits only
/// while more than `limit` is pinned, the sender only while no more than that is; so never both.
#[derive(Debug)]
pub(crate) struct Uplink {
    /// Truesize that may be pinned before it is enough.
    limit: u64,
    queue: Mutex<Queue>,
    filled: Condvar,
    drained: Condvar,
    /// Frames that the receive loop handed over, and their bytes.
    accepted: AtomicU64,
    accepted_bytes: AtomicU64,
    /// Counted by the receive loop.
    dropped: DropCounters,
    /// Counted by the sender.
    unsent: DropCounters,
}

impl Uplink {
    /// An uplink that is crowded when frames in it pin more than `limit` bytes of buffers.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            queue: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
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

    /// Waits until no more than the limit is pinned, or `timeout` has passed; answers whether it is
    /// so.
    pub(crate) fn wait_for_room(&self, timeout: Duration) -> bool {
        let mut queue = self.queue();
        if queue.pinned <= self.limit {
            return true;
        }
        let until = Instant::now() + timeout;
        queue.line_waits = true;
        while queue.pinned > self.limit {
            let Some(left) = left(until) else { break };
            queue = wait(&self.drained, queue, left);
        }
        queue.line_waits = false;
        queue.pinned <= self.limit
    }

    /// Moves what is queued to the end of `into`. Waits `until` then for frames of `wanted` weight, but
    /// not if more than the limit is pinned: then there is something to send, and who knows whether
    /// more can come before that was sent.
    pub(crate) fn take(&self, into: &mut SkbBatch, wanted: u64, until: Instant) -> Taken {
        let mut queue = self.queue();
        queue.wanted = wanted;
        while self.is_short_of(&queue, wanted) {
            let Some(left) = left(until) else { break };
            queue = wait(&self.filled, queue, left);
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

    /// Whether a sender that wants frames of `wanted` weight has to wait.
    fn is_short_of(&self, queue: &Queue, wanted: u64) -> bool {
        queue.weight < wanted && queue.pinned <= self.limit && !queue.ended
    }

    /// Says that frames of together `truesize` bytes were sent, and are released.
    pub(crate) fn sent(&self, truesize: u64) {
        let mut queue = self.queue();
        queue.pinned = queue.pinned.saturating_sub(truesize);
        let call = queue.line_waits && queue.pinned <= self.limit;
        drop(queue);
        if call {
            self.drained.notify_one();
        }
    }

    /// Says that a frame fits no message, and is released.
    pub(crate) fn refused(&self, bytes: u64, truesize: u64) {
        self.unsent.count(DropReason::TooLarge, 1, bytes);
        self.sent(truesize);
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

/// What is left of a wait; none if it is over.
fn left(until: Instant) -> Option<Duration> {
    Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn wait<'q>(
    condition: &Condvar,
    queue: MutexGuard<'q, Queue>,
    left: Duration,
) -> MutexGuard<'q, Queue> {
    match condition.wait_timeout(queue, left) {
        Ok((queue, _)) => queue,
        Err(poisoned) => poisoned.into_inner().0,
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
        let mut queue = uplink.queue();
        queue.skbs.append(batch);
        queue.weight += bytes + frames;
        queue.pinned += truesize;
        let call = queue.wanted != 0 && !uplink.is_short_of(&queue, queue.wanted);
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use skbpool_pool::Pool;
    use std::sync::mpsc;

    const BURSTS: u64 = 100_000;

    /// Far beyond the watchdog: whoever waits that long was not called.
    const FOR_EVER: Duration = Duration::from_secs(1 << 20);

    /// Runs a line of `BURSTS` bursts of one frame, each in a buffer of its own, and `sender`, which
    /// sends whenever it wants to; answers how many frames `sender` took.
    fn run(limit: u64, sender: impl Fn(&Uplink) -> u64 + Send + 'static) -> u64 {
        let (told, done) = mpsc::channel();
        std::thread::spawn(move || {
            let uplink = Uplink::new(limit);
            let pool = Pool::builder(64).build().unwrap();
            let sent = std::thread::scope(|scope| {
                let mut sink = UplinkSink { uplink: Arc::clone(&uplink), holder: HolderId::NONE };
                scope.spawn(move || {
                    let mut cache = pool.local_cache();
                    let mut batch = SkbBatch::new();
                    for _ in 0..BURSTS {
                        assert!(sink.uplink.wait_for_room(FOR_EVER));
                        let buffer = cache.alloc().expect("what is pinned leaves room");
                        batch.push(buffer.into_skb(0..60).map_err(|(error, _)| error).unwrap());
                        sink.accept(&mut batch, &mut cache);
                    }
                    sink.uplink.end();
                });
                sender(&uplink)
            });
            told.send(sent).unwrap();
        });
        done.recv_timeout(Duration::from_secs(60)).expect("one side sleeps and nobody calls it")
    }

    /// Takes and sends until the end, each time with what `wanted` says of the frames in hand.
    fn send_all(uplink: &Uplink, wanted: impl Fn(usize) -> u64) -> u64 {
        let (mut batch, mut frames) = (SkbBatch::new(), 0);
        loop {
            let wanted = wanted(batch.len());
            let taken = uplink.take(&mut batch, wanted, Instant::now() + FOR_EVER);
            if taken == Taken::Frames && batch.len() < 2 {
                continue;
            }
            frames += batch.len() as u64;
            let truesize = batch.as_slice().iter().map(|skb| u64::from(skb.truesize())).sum();
            drop(std::mem::take(&mut batch));
            uplink.sent(truesize);
            if taken == Taken::End {
                return frames;
            }
        }
    }

    /// Whoever sleeps is called when what it waits for has come.
    #[test]
    fn neither_side_is_left_asleep() {
        // Room for one buffer more than the limit: the line waits after two bursts.
        let frames = run(4096, |uplink| send_all(uplink, |_| 1));
        assert_eq!(frames, BURSTS);
    }

    /// The sender holds frames back for more to come, which cannot come until it has sent them.
    #[test]
    fn the_two_never_wait_for_each_other() {
        let frames = run(2 * 4096, |uplink| {
            send_all(uplink, |in_hand| if in_hand == 0 { 1 } else { u64::MAX })
        });
        assert_eq!(frames, BURSTS);
    }
}
