//! Small frames copied out of large buffers while the pool is low.

use super::config::NicError;
use super::descriptor::Descriptor;
use super::rx_loop::{Polled, RxLoop, RxSink};
use skbpool_pool::{CopyStage, Fill, LocalCache, Pool, RxFrame, Skb, SkbBatch, SkbError};

/// Copied frames begin on cache lines, as received ones do.
const ALIGNMENT: u32 = 64;

/// What is copied rather than left to pin its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallFrameLimits {
    /// Largest frame that is copied, in bytes; headroom not included.
    pub frame_bytes: u32,
    /// Most bytes that the frames of one received buffer may take in small buffers, headroom and
    /// alignment included. A buffer with more is not copied at all.
    pub buffer_bytes: u32,
}

/// ```text
/// received │ a │ b │ c │ ················ │ ──► back on the ring, by itself
///            └───┴───┴──────┐ copied
/// small    │ ··· │ a │ b │ c │ ·· │ ──► skbs
/// ```
/// Frames of one poll are packed into as few small buffers as they fit. The small pool bounds them: where
/// it has no buffer, frames stay where they are.
pub(super) struct SmallFrames {
    cache: LocalCache,
    limits: SmallFrameLimits,
    open: Option<Fill>,
    /// Frames and bytes copied since they were last counted.
    copied: (u64, u64),
}

impl SmallFrames {
    /// Copies into buffers of `small` what would pin buffers of `large`.
    pub(super) fn new(
        small: &Pool,
        large: &Pool,
        limits: SmallFrameLimits,
    ) -> Result<Self, NicError> {
        let (small_bytes, large_bytes) = (small.buffer_bytes(), large.buffer_bytes());
        if small_bytes >= large_bytes {
            return Err(NicError::SmallBuffers { small_bytes, large_bytes });
        }
        Ok(Self { cache: small.local_cache(), limits, open: None, copied: (0, 0) })
    }

    /// Copies all frames of `received` and appends views of the copies to `into`, or does nothing and
    /// answers false: if one is too large, all are too many, or the small pool is empty. Frames that are
    /// parts of larger ones are not for it.
    pub(super) fn copy(&mut self, received: &Descriptor, birth: u32, into: &mut SkbBatch) -> bool {
        let frames = received.frames();
        let memory = received.buffer.as_slice();
        if !self.are_small(frames, memory) {
            return false;
        }
        let (before, mut bytes) = (into.len(), 0);
        for frame in frames {
            let Some(skb) = self.copy_frame(frame, memory, birth) else {
                into.as_mut_vec().drain(before..).for_each(|skb| self.cache.release(skb));
                return false;
            };
            bytes += u64::from(frame.len);
            into.push(skb);
        }
        self.copied.0 += frames.len() as u64;
        self.copied.1 += bytes;
        true
    }

    /// Whether these frames may be copied, and lie in `memory` in order, as descriptors say they do.
    fn are_small(&self, frames: &[RxFrame], memory: &[u8]) -> bool {
        let (mut cut, mut bytes) = (0, 0);
        frames.iter().all(|frame| {
            let end = u64::from(frame.offset) + u64::from(frame.len);
            let lies = cut <= frame.head
                && frame.head <= frame.offset
                && end <= u64::from(frame.end)
                && u64::from(frame.end) <= memory.len() as u64;
            if !lies || frame.len > self.limits.frame_bytes {
                return false;
            }
            cut = frame.end;
            let slot = slot(frame);
            bytes += u64::from(slot);
            bytes <= u64::from(self.limits.buffer_bytes) && slot <= self.cache.pool().buffer_bytes()
        })
    }

    fn copy_frame(&mut self, frame: &RxFrame, memory: &[u8], birth: u32) -> Option<Skb> {
        let slot = slot(frame);
        if self.open.as_ref().is_none_or(|open| open.room() < slot) {
            self.close();
            // Pool memory is writable.
            self.open = Some(self.cache.alloc().ok()?.fill().ok()?);
        }
        let headroom = frame.offset - frame.head;
        let from = frame.offset as usize;
        let bytes = memory.get(from..from + frame.len as usize)?;
        let cut = |open: &mut Fill| -> Result<Skb, SkbError> {
            let tail = open.tail_mut();
            tail[headroom as usize..][..bytes.len()].copy_from_slice(bytes);
            open.cut(headroom, frame.len, slot - headroom - frame.len)
        };
        let mut skb = cut(self.open.as_mut()?).ok()?;
        frame.describe(&mut skb, birth);
        Some(skb)
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.finish(&mut self.cache);
        }
    }

    /// Ends the small buffer that is being filled, and counts what was copied through `large`, the cache
    /// of the pool that was spared. To be called at the end of a poll.
    #[inline]
    pub(super) fn finish(&mut self, large: &mut LocalCache) {
        if self.copied.0 != 0 {
            self.close();
            let (frames, bytes) = std::mem::take(&mut self.copied);
            large.shard().count_copy(CopyStage::SmallFrame, frames, bytes);
        }
    }
}

impl<S: RxSink> RxLoop<S> {
    /// From now on, while the pool is low ([`Pool::is_low`]) or empty, frames within `limits` are copied
    /// into buffers of `small`, and the buffer they were received in goes straight back on the ring; with
    /// no limits, no longer. Costs one load a poll, and one copy of each such frame, which is counted
    /// ([`skbpool_pool::CopyStage::SmallFrame`]).
    ///
    /// `small` had better share its accounts with the ring's pool, as otherwise every charge looks for
    /// those of its holder.
    ///
    /// # Errors
    /// [`NicError::SmallBuffers`]; what was set before stays.
    pub fn copy_small_frames(
        &mut self,
        small: &Pool,
        limits: Option<SmallFrameLimits>,
    ) -> Result<(), NicError> {
        let copier = |limits| SmallFrames::new(small, self.cache.pool(), limits).map(Box::new);
        self.small = limits.map(copier).transpose()?;
        Ok(())
    }

    /// Copies the frames of a received buffer, if they are small and whole and the pool is open; answers
    /// whether it did.
    #[cold]
    pub(super) fn copy_small(
        &mut self,
        received: &Descriptor,
        birth: u32,
        polled: &mut Polled,
    ) -> bool {
        let in_parts = received.more || self.partial.is_some() || self.dropping.is_some();
        let Some(small) = &mut self.small else { return false };
        if in_parts || self.cache.pool().is_closed() {
            return false;
        }
        let before = self.batch.len();
        let copied = small.copy(received, birth, &mut self.batch);
        polled.bytes +=
            self.batch.as_slice()[before..].iter().map(|skb| u64::from(skb.len())).sum::<u64>();
        copied
    }
}

/// Bytes that a frame takes in a small buffer; an empty one takes some too, so that a buffer holds a
/// bounded number of them. As many at most as a large buffer has, so no sum wraps.
fn slot(frame: &RxFrame) -> u32 {
    (frame.offset - frame.head + frame.len).max(1).next_multiple_of(ALIGNMENT)
}
