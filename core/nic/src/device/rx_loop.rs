//! The driver side of the card: the receive loop of the proposal (S4).

use super::descriptor::{Descriptor, RxFrame};
use super::hardware::{NicError, RxQueue};
use skbpool_deliver::DriverPort;
use skbpool_pool::{DropReason, HolderId, LocalCache, Skb, SkbBatch, clock};

/// Where a receive loop hands its skbs.
pub trait RxSink {
    /// Takes everything in `batch` and leaves it empty.
    fn accept(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache);

    /// Counts frames that were dropped before they could be handed over.
    fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64);

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
pub struct RxLoop<S: RxSink> {
    queue: RxQueue,
    cache: LocalCache,
    sink: S,
    completed: Vec<Descriptor>,
    post: Vec<Descriptor>,
    batch: SkbBatch,
    /// The front of a frame whose next part has not been handled yet.
    partial: Option<Skb>,
    /// The rest of a frame that was dropped is dropped as well.
    dropping: bool,
}

impl<S: RxSink> RxLoop<S> {
    /// Fills the descriptor ring from `cache`.
    ///
    /// # Errors
    /// [`NicError::NoBuffers`]; the buffers that were had are back.
    pub fn new(queue: RxQueue, mut cache: LocalCache, sink: S) -> Result<Self, NicError> {
        let needed = queue.descriptors;
        let mut buffers = Vec::new();
        cache
            .alloc_bulk(needed as usize, &mut buffers)
            .map_err(|reason| NicError::NoBuffers { needed, reason })?;
        let bytes = u64::from(needed) * u64::from(cache.pool().buffer_bytes());
        cache.shard().acquire(sink.holder(), u64::from(needed), bytes);
        let mut this = Self {
            queue,
            cache,
            sink,
            completed: Vec::new(),
            post: buffers
                .into_iter()
                .map(|buffer| Descriptor { buffer, frames: Vec::new() })
                .collect(),
            batch: SkbBatch::new(),
            partial: None,
            dropping: false,
        };
        this.post_all();
        Ok(this)
    }

    /// Handles up to `budget` completed buffers and hands their frames on as one batch.
    ///
    /// Costs for each buffer one allocation and one plain store to arm it, for each frame one skb
    /// written; the clock is read once.
    #[inline]
    pub fn poll(&mut self, budget: u32) -> Polled {
        let buffers = self.queue.completed.dequeue(&mut self.completed, budget);
        let mut polled = Polled { buffers, ..Polled::default() };
        if polled.buffers == 0 {
            return polled;
        }
        let birth = clock::tick();
        let mut completed = std::mem::take(&mut self.completed);
        for mut received in completed.drain(..) {
            match self.cache.alloc() {
                Ok(mut replacement) => {
                    std::mem::swap(&mut received.buffer, &mut replacement);
                    // From here on `received` has the replacement, to be posted.
                    self.wrap(replacement, &received.frames, birth, &mut polled);
                }
                Err(_) => self.drop_frames(&received.frames, &mut polled),
            }
            received.frames.clear();
            self.post.push(received);
        }
        self.completed = completed;
        self.post_all();
        polled.frames = self.batch.len() as u64;
        polled.bytes = self.batch.bytes();
        self.sink.accept(&mut self.batch, &mut self.cache);
        polled
    }

    /// Cuts the frames of a received buffer into skbs.
    #[inline]
    fn wrap(
        &mut self,
        buffer: skbpool_pool::Buffer,
        frames: &[RxFrame],
        birth: u32,
        polled: &mut Polled,
    ) {
        let Ok(mut armed) = buffer.arm(frames.len() as u32) else { return };
        for frame in frames {
            // The ring is ours and its entries are in order, so this cannot fail; if it did, the
            // frame would be dropped and its reference given back by `armed`.
            let cut = armed.skb_in(frame.head..frame.end, frame.offset..frame.offset + frame.len);
            let Ok(mut skb) = cut else {
                self.sink.count_drop(DropReason::Malformed, 1, u64::from(frame.len));
                continue;
            };
            skb.timestamp_ns = frame.timestamp_ns;
            skb.original_length =
                if frame.original_length == frame.len { 0 } else { frame.original_length };
            skb.link_type = frame.link_type;
            skb.port = frame.interface;
            skb.birth = birth;
            if frame.more || self.partial.is_some() || self.dropping {
                self.wrap_part(skb, frame.more, polled);
            } else {
                self.batch.push(skb);
            }
        }
    }

    /// Adds one part to a frame that spans buffers.
    #[cold]
    fn wrap_part(&mut self, part: Skb, more: bool, polled: &mut Polled) {
        if self.dropping {
            self.dropping = more;
            self.cache.release(part);
            return;
        }
        let frame = match self.partial.take() {
            None => part,
            Some(mut front) => match front.append_frag(part) {
                Ok(()) => front,
                Err((_, part)) => {
                    self.drop_partial(front, polled);
                    self.dropping = more;
                    self.cache.release(part);
                    return;
                }
            },
        };
        if more {
            self.partial = Some(frame);
        } else {
            self.finish_chain(frame);
        }
    }

    fn finish_chain(&mut self, mut frame: Skb) {
        if frame.original_length == frame.len() {
            frame.original_length = 0;
        }
        self.batch.push(frame);
    }

    /// No replacement: the frames of this buffer are gone, and with them what belongs to them in the
    /// buffers before and after.
    #[cold]
    fn drop_frames(&mut self, frames: &[RxFrame], polled: &mut Polled) {
        for frame in frames {
            if let Some(front) = self.partial.take() {
                self.drop_partial(front, polled);
            } else if !self.dropping {
                polled.dropped += 1;
                self.sink.count_drop(DropReason::PoolEmpty, 1, u64::from(frame.len));
            }
            self.dropping = frame.more;
        }
    }

    fn drop_partial(&mut self, front: Skb, polled: &mut Polled) {
        polled.dropped += 1;
        self.sink.count_drop(DropReason::PoolEmpty, 1, u64::from(front.len()));
        self.cache.release(front);
    }

    fn post_all(&mut self) {
        let count = self.post.len() as u32;
        // There are as many slots as descriptors, so there is always room.
        let posted = self.queue.post.enqueue(&mut self.post.drain(..), count);
        debug_assert_eq!(posted, count);
    }

    /// Whether the line is dead and everything it carried was handled.
    pub fn is_finished(&mut self) -> bool {
        self.queue.is_finished()
    }

    /// The descriptor ring.
    pub fn queue(&self) -> &RxQueue {
        &self.queue
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

impl<S: RxSink> std::fmt::Debug for RxLoop<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RxLoop").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<S: RxSink> Drop for RxLoop<S> {
    /// Detaches the driver: posted buffers go home with the rings, views that are out stay valid (S6).
    fn drop(&mut self) {
        let posted = u64::from(self.queue.descriptors);
        let bytes = posted * u64::from(self.cache.pool().buffer_bytes());
        let holder = self.sink.holder();
        self.cache.shard().release(holder, posted, bytes);
        if let Some(front) = self.partial.take() {
            self.cache.release(front);
        }
    }
}
