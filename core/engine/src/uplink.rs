//! Between a card's receive loop and the messages that its frames leave in.

use std::mem::MaybeUninit;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skbpool_nic::RxSink;
use skbpool_pool::sync::{AtomicU64, Ordering, bump};
use skbpool_pool::{DropCount, DropCounters, DropReason, HolderId, LocalCache, SkbBatch};
use skbpool_wire::{BatchEncoder, BatchLimits, BatchMessage, EncodeError, Pushed};

use crate::frame::SkbFrame;

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

/// What [`NicRun::plan_request`](crate::NicRun::plan_request) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedRequest {
    /// A message of so many bytes.
    Ready(usize),
    /// No frame came in time.
    Nothing,
    /// The line is dead and everything was sent.
    Ended,
}

/// What the sender found in the queue.
enum Taken {
    Frames,
    Nothing,
    End,
}

/// The sender's end: makes `IngestRequest` messages.
pub(crate) struct Sender {
    uplink: Arc<Uplink>,
    cache: LocalCache,
    encoder: BatchEncoder,
    /// Frames taken: first those of the planned message, then those that follow.
    taken: SkbBatch,
    driver: String,
    sequence: u64,
    planned: Option<usize>,
}

impl Sender {
    pub(crate) fn new(uplink: Arc<Uplink>, cache: LocalCache, driver: String) -> Self {
        let encoder = BatchEncoder::new(BatchLimits::new(0));
        let taken = SkbBatch::new();
        Self { uplink, cache, encoder, taken, driver, sequence: 0, planned: None }
    }

    /// Collects the next message, number `sequence`, of at most `max_bytes`. Waits at most `patience`
    /// for the first frame, and then at most `linger` for the message to fill. The first message names
    /// the driver.
    pub(crate) fn plan(
        &mut self,
        max_bytes: usize,
        linger: Duration,
        sequence: u64,
        patience: Duration,
    ) -> Result<PlannedRequest, EncodeError> {
        let reserved_bytes = self.driver.len() + 8;
        let limits = BatchLimits { max_message_bytes: max_bytes, reserved_bytes };
        self.encoder = BatchEncoder::new(limits);
        self.planned = None;
        let mut until = Instant::now() + patience;
        let mut ended = false;
        let mut begun = false;
        while !ended && !self.push_taken() {
            if !begun && !self.encoder.is_empty() {
                begun = true;
                until = Instant::now() + linger;
            }
            match self.take_more(max_bytes, until) {
                Taken::Frames => {}
                Taken::Nothing => break,
                Taken::End => ended = true,
            }
        }
        if self.encoder.is_empty() {
            return Ok(if ended { PlannedRequest::Ended } else { PlannedRequest::Nothing });
        }
        self.sequence = sequence;
        let size = self.message()?.encoded_len();
        self.planned = Some(size);
        Ok(PlannedRequest::Ready(size))
    }

    /// Adds what was taken to the message; answers whether that is full.
    fn push_taken(&mut self) -> bool {
        let mut at = self.encoder.len();
        while at < self.taken.len() {
            match self.encoder.push(&SkbFrame(&self.taken.as_slice()[at])) {
                Ok(Pushed::Taken) => at += 1,
                Ok(Pushed::Cut(_)) => return true,
                Err(_) => {
                    let mut one = SkbBatch::from_iter([self.taken.as_mut_vec().remove(at)]);
                    self.uplink.unsent.count(DropReason::TooLarge, 1, one.bytes());
                    self.release(&mut one);
                }
            }
        }
        false
    }

    /// Takes what is queued; waits `until` then for the first frame, or for a full message.
    fn take_more(&mut self, max_bytes: usize, until: Instant) -> Taken {
        let uplink = Arc::clone(&self.uplink);
        let mut queue = uplink.queue();
        // Of a full message what the columns take is left out: a little late is as good as on time.
        let full = max_bytes.saturating_sub(self.encoder.frame_bytes()).max(1);
        let wanted = if self.encoder.is_empty() { 1 } else { full as u64 };
        while queue.weight < wanted && !queue.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue.wanted = wanted;
            queue = match uplink.filled.wait_timeout(queue, left) {
                Ok((queue, _)) => queue,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        queue.wanted = 0;
        queue.weight = 0;
        if queue.skbs.is_empty() {
            return if queue.ended { Taken::End } else { Taken::Nothing };
        }
        if self.taken.is_empty() {
            std::mem::swap(&mut self.taken, &mut queue.skbs);
        } else {
            self.taken.append(&mut queue.skbs);
        }
        Taken::Frames
    }

    /// Writes the planned message into `memory`, which has exactly its size, and releases its frames.
    pub(crate) fn write<'o>(
        &mut self,
        memory: &'o mut [MaybeUninit<u8>],
    ) -> Result<&'o mut [u8], EncodeError> {
        let (encoded, given) = (self.planned.unwrap_or(0), memory.len());
        if self.planned.is_none() || encoded != given {
            return Err(EncodeError::BufferSize { encoded, given });
        }
        let count = self.encoder.len();
        let frames = self.taken.as_slice()[..count].iter().map(SkbFrame);
        let written = self.message()?.write_uninit(frames, memory)?;
        self.planned = None;
        self.encoder.clear();
        let mut rest = self.taken.split_off(count);
        std::mem::swap(&mut self.taken, &mut rest);
        self.release(&mut rest);
        Ok(written)
    }

    fn message(&self) -> Result<BatchMessage<'_>, EncodeError> {
        let driver = if self.sequence == 1 { self.driver.as_str() } else { "" };
        self.encoder.ingest_request(self.sequence, driver)
    }

    fn release(&mut self, batch: &mut SkbBatch) {
        let truesize = batch.as_slice().iter().map(|skb| u64::from(skb.truesize())).sum();
        batch.release(&mut self.cache);
        bump(&self.uplink.sent_bytes, truesize);
        self.uplink.drained.notify_one();
    }
}
