//! The driver side of the card: the receive loop of the proposal (S4).

use super::card::RxQueue;
use super::config::NicError;
use super::counters::HardwareStats;
use super::descriptor::Descriptor;
use super::small_frames::SmallFrames;
use skbpool_deliver::DriverPort;
use skbpool_pool::{
    AllocError, Armed, Buffer, DropReason, HolderId, LocalCache, RxFrame, Skb, SkbBatch,
};

/// Where a receive loop hands its skbs.
pub trait RxSink {
    /// Takes everything in `batch` and leaves it empty.
    fn accept(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache);

    /// Counts frames that were dropped before they could be handed over.
    fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64);

    /// Counts frames that the card itself dropped. For sinks that keep all of a driver's drops in one
    /// place; for the others they are in [`HardwareStats`]. Does nothing unless
    /// implemented.
    fn count_card_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        let _ = (reason, frames, bytes);
    }

    /// Sees a received buffer whose frames are about to be handed over. Does nothing unless implemented.
    #[inline(always)]
    fn received(&mut self, buffer: &Buffer) {
        let _ = buffer;
    }

    /// Who answers for posted buffers.
    fn holder(&self) -> HolderId;
}

impl RxSink for DriverPort {
    #[inline]
    fn accept(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache) {
        self.deliver(batch, cache);
    }

    fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        DriverPort::count_drop(self, reason, frames, bytes);
    }

    fn count_card_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        DriverPort::count_drop(self, reason, frames, bytes);
    }

    fn holder(&self) -> HolderId {
        DriverPort::holder(self)
    }
}

/// What one poll did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Completed buffers that were handled.
    pub buffers: u32,
    /// Frames that were handed on.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Frames that were dropped because there was no replacement buffer.
    pub dropped: u64,
}

/// A driver: posts empty buffers, and for every completed one first allocates a replacement; only if
/// that succeeds are the received frames wrapped and handed on. Otherwise they are dropped and
/// counted and the same buffer is posted again, so the ring never runs dry.
///
/// What the card itself dropped is told to the sink at the next poll: frames that found no posted
/// buffer as [`DropReason::NoDescriptor`], frames that the ring cannot hold as
/// [`DropReason::TooLarge`].
pub struct RxLoop<S: RxSink> {
    queue: RxQueue,
    pub(super) cache: LocalCache,
    sink: S,
    completed: Vec<Descriptor>,
    post: Vec<Descriptor>,
    pub(super) batch: SkbBatch,
    /// The front of a frame whose next part has not been handled yet.
    pub(super) partial: Option<Skb>,
    /// Why the front of a frame was dropped whose rest goes the same way.
    pub(super) dropping: Option<DropReason>,
    /// The hardware's figures as far as the sink was told of them.
    told: HardwareStats,
    /// Where small frames go while the pool is low; none: nowhere.
    pub(super) small: Option<Box<SmallFrames>>,
}

impl<S: RxSink> RxLoop<S> {
    /// Fills the descriptor ring from `cache`.
    ///
    /// # Errors
    /// [`NicError::NoBuffers`], [`NicError::Headroom`]; the buffers that were had are back.
    pub fn new(queue: RxQueue, mut cache: LocalCache, sink: S) -> Result<Self, NicError> {
        let RxQueue { descriptors: needed, headroom, .. } = queue;
        let buffer_bytes = cache.pool().buffer_bytes();
        if headroom >= buffer_bytes {
            return Err(NicError::Headroom { headroom, buffer_bytes });
        }
        let mut buffers = Vec::new();
        cache.set_allocates_for(sink.holder());
        cache
            .alloc_bulk(needed as usize, &mut buffers)
            .map_err(|reason| NicError::NoBuffers { needed, reason })?;
        let bytes = u64::from(needed) * u64::from(buffer_bytes);
        cache.shard().acquire(sink.holder(), u64::from(needed), bytes);
        let mut this = Self {
            queue,
            cache,
            sink,
            completed: Vec::new(),
            post: buffers.into_iter().map(Descriptor::new).collect(),
            batch: SkbBatch::new(),
            partial: None,
            dropping: None,
            told: HardwareStats::default(),
            small: None,
        };
        this.post_all();
        Ok(this)
    }

    /// Handles up to `budget` completed buffers and hands their frames on as one batch.
    ///
    /// Costs for each buffer one allocation and one plain store to arm it, for each frame one skb
    /// written; the clock is asked once ([`Ticker`](skbpool_pool::clock::Ticker)).
    #[inline]
    pub fn poll(&mut self, budget: u32) -> Polled {
        self.count_card_drops();
        let buffers = self.queue.completed.dequeue(&mut self.completed, budget);
        let mut polled = Polled { buffers, ..Polled::default() };
        if polled.buffers == 0 {
            return polled;
        }
        let birth = self.cache.shard().tick();
        let copies = self.small.is_some() && self.cache.pool().is_low();
        let mut completed = std::mem::take(&mut self.completed);
        for mut received in completed.drain(..) {
            if copies && self.copy_small(&received, birth, &mut polled) {
                received.clear();
                self.post.push(received);
                continue;
            }
            match self.cache.alloc() {
                Ok(replacement) => {
                    let buffer = std::mem::replace(&mut received.buffer, replacement);
                    self.sink.received(&buffer);
                    self.wrap(buffer, received.frames(), received.more, birth, &mut polled);
                }
                Err(AllocError::Exhausted { .. })
                    if self.copy_small(&received, birth, &mut polled) => {}
                Err(error) => {
                    let (frames, more) = (received.frames(), received.more);
                    self.drop_frames(frames, more, reason(&error), &mut polled);
                }
            }
            received.clear();
            self.post.push(received);
        }
        self.completed = completed;
        self.post_all();
        if let Some(small) = &mut self.small {
            small.finish(&mut self.cache);
        }
        polled.frames = self.batch.len() as u64;
        self.sink.accept(&mut self.batch, &mut self.cache);
        polled
    }

    /// Cuts the frames of a received buffer into skbs.
    #[inline]
    fn wrap(
        &mut self,
        buffer: Buffer,
        frames: &[RxFrame],
        more: bool,
        birth: u32,
        polled: &mut Polled,
    ) {
        let Ok(mut armed) = buffer.arm(frames.len() as u32) else { return };
        let continues = self.partial.is_some() || self.dropping.is_some();
        if continues || more {
            self.wrap_parts(&mut armed, frames, more, birth, polled);
            return;
        }
        let (cut, bytes) = armed.skbs_of(frames, birth, &mut self.batch);
        polled.bytes += bytes;
        // None: the entries of the ring are in order and inside the buffer.
        self.drop_frames(&frames[cut..], false, DropReason::Malformed, polled);
    }

    /// As [`RxLoop::wrap`], for a buffer in which a frame goes on or, with `more`, does not end.
    #[cold]
    fn wrap_parts(
        &mut self,
        armed: &mut Armed,
        frames: &[RxFrame],
        more: bool,
        birth: u32,
        p: &mut Polled,
    ) {
        for (frame, more) in with_more(frames, more) {
            let Ok(skb) = armed.skb_of(frame, birth) else {
                self.drop_part(frame, more, DropReason::Malformed, p);
                continue;
            };
            if more || self.partial.is_some() || self.dropping.is_some() {
                self.wrap_part(skb, frame, more, p);
            } else {
                p.bytes += u64::from(frame.len);
                self.batch.push(skb);
            }
        }
    }

    /// Adds one part to a frame that spans buffers.
    fn wrap_part(&mut self, mut part: Skb, frame: &RxFrame, more: bool, polled: &mut Polled) {
        part.set_original_length(frame.original_length);
        if let Some(reason) = self.dropping {
            self.cache.release(part);
            return self.drop_part(frame, more, reason, polled);
        }
        let mut whole = match self.partial.take() {
            None => part,
            Some(mut front) => match front.append_frag(part) {
                Ok(()) => front,
                Err((_, part)) => {
                    self.cache.release(part);
                    self.partial = Some(front);
                    return self.drop_part(frame, more, DropReason::TooLarge, polled);
                }
            },
        };
        if more {
            self.partial = Some(whole);
            return;
        }
        if whole.original_length() == whole.len() {
            whole.clear_original_length();
        }
        polled.bytes += u64::from(whole.len());
        self.batch.push(whole);
    }

    /// No replacement: the frames of this buffer are gone, and with them what belongs to them in the
    /// buffers before and after.
    #[cold]
    fn drop_frames(
        &mut self,
        frames: &[RxFrame],
        more: bool,
        reason: DropReason,
        polled: &mut Polled,
    ) {
        for (frame, more) in with_more(frames, more) {
            self.drop_part(frame, more, reason, polled);
        }
    }

    /// Drops a frame, or a part of one and with it the parts before and behind it; counts it once, and
    /// all its bytes.
    fn drop_part(&mut self, part: &RxFrame, more: bool, reason: DropReason, polled: &mut Polled) {
        let mut bytes = u64::from(part.len);
        if let Some(front) = self.partial.take() {
            bytes += u64::from(front.len());
            self.cache.release(front);
        }
        let frames = u64::from(self.dropping.is_none());
        let reason = self.dropping.unwrap_or(reason);
        polled.dropped += frames;
        self.sink.count_drop(reason, frames, bytes);
        self.dropping = more.then_some(reason);
    }

    /// Tells the sink what the card dropped since this was last called.
    fn count_card_drops(&mut self) {
        let now = self.queue.hardware_stats();
        let before = std::mem::replace(&mut self.told, now);
        let missed = (now.missed - before.missed, now.missed_bytes - before.missed_bytes);
        if missed != (0, 0) {
            self.sink.count_card_drop(DropReason::NoDescriptor, missed.0, missed.1);
        }
        let large =
            (now.too_large - before.too_large, now.too_large_bytes - before.too_large_bytes);
        if large != (0, 0) {
            self.sink.count_card_drop(DropReason::TooLarge, large.0, large.1);
        }
    }

    fn post_all(&mut self) {
        let count = self.post.len() as u32;
        // There are as many slots as descriptors, so there is always room.
        let posted = self.queue.post.enqueue(&mut self.post.drain(..), count);
        debug_assert_eq!(posted, count);
    }

    /// Whether the line is dead and everything it carried was handled and counted.
    pub fn is_finished(&mut self) -> bool {
        let finished = self.queue.is_finished();
        if finished {
            self.count_card_drops();
        }
        finished
    }

    /// The descriptor ring.
    pub fn queue(&self) -> &RxQueue {
        &self.queue
    }

    /// The descriptor ring, to be looked at more closely.
    pub fn queue_mut(&mut self) -> &mut RxQueue {
        &mut self.queue
    }

    /// Where the skbs go.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Where the skbs go, to be changed.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The cache that buffers are taken from.
    pub fn cache(&mut self) -> &mut LocalCache {
        &mut self.cache
    }
}

/// Each frame, and whether it goes on in the next buffer, as the last one does if there is `more`.
fn with_more(frames: &[RxFrame], more: bool) -> impl Iterator<Item = (&RxFrame, bool)> {
    let last = frames.len().wrapping_sub(1);
    frames.iter().enumerate().map(move |(at, frame)| (frame, more && at == last))
}

/// Why frames are dropped when there is no buffer.
fn reason(error: &AllocError) -> DropReason {
    match error {
        AllocError::Exhausted { .. } => DropReason::PoolEmpty,
        AllocError::Closed | AllocError::ForkedPool => DropReason::Closed,
    }
}

impl<S: RxSink> std::fmt::Debug for RxLoop<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RxLoop").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<S: RxSink> Drop for RxLoop<S> {
    /// Detaches the driver: frames that were received and not handled are dropped and counted, posted
    /// buffers go home when the hardware sees that the driver has left, views that are out stay valid
    /// (S6).
    fn drop(&mut self) {
        let mut polled = Polled::default();
        let mut completed = std::mem::take(&mut self.completed);
        self.queue.completed.dequeue(&mut completed, u32::MAX);
        for received in completed {
            let (frames, more) = (received.frames(), received.more);
            self.drop_frames(frames, more, DropReason::Detached, &mut polled);
            self.cache.release_buffer(received.buffer);
        }
        if let Some(front) = self.partial.take() {
            self.sink.count_drop(DropReason::Detached, 1, u64::from(front.len()));
            self.cache.release(front);
        }
        self.count_card_drops();
        let posted = u64::from(self.queue.descriptors);
        let bytes = posted * u64::from(self.cache.pool().buffer_bytes());
        let holder = self.sink.holder();
        self.cache.shard().release(holder, posted, bytes);
    }
}
