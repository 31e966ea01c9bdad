//! Where a driver's frames come from.

mod replay;
mod template;

pub use replay::{CaptureReplay, Passes, REPLAY_MEMORY_LIMIT};
pub use template::TemplateSource;

use std::time::Duration;

use thiserror::Error;

use crate::capture::CaptureError;
use crate::line_rate::{MIN_FRAME_SIZE, memory_len};

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// Bytes of the frame in memory.
    pub len: u32,
    /// Bytes of the frame on the wire, as far as the source knows.
    pub original_length: u32,
    /// When the frame was captured or made, in nanoseconds.
    pub timestamp_ns: u64,
    /// What the frame begins with (LINKTYPE_).
    pub link_type: u16,
    /// Interface that the frame came from, in the source's numbering.
    pub interface: u32,
}

/// How memory is divided among frames, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSize {
    /// Of a slot, not 0.
    pub bytes: usize,
    /// Before the frame in each slot.
    pub headroom: usize,
}

impl SlotSize {
    /// Where the frames of `memory` may lie: what is behind the headroom of each of its slots.
    #[inline(always)]
    pub fn frames(self, memory: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
        let slots = memory.chunks_exact_mut(self.bytes);
        slots.map(move |slot| &mut slot[self.headroom..])
    }
}

/// A source cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The capture file is damaged; the frames before were given.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A stream cannot be read twice, and is too large to keep.
    #[error(
        "{0}: a stream of more than 64 MiB of frames cannot be repeated; \
         save it to a file first, or read it once"
    )]
    CannotRepeat(String),
    /// A file that had frames has none in a later pass.
    #[error(
        "{0}: the file has no frames any more: it was changed while it was replayed; \
         replay a copy that nobody writes to"
    )]
    Emptied(String),
}

/// Gives one frame after the other into memory that the caller owns.
///
/// A frame may be spread over several buffers: `write_next` begins it and tells its length,
/// `write_rest` goes on. What is not fetched of a frame is gone when the next one begins.
///
/// ```
/// # use skbpool_nic::{FrameSource, StampedTraffic, TrafficConfig};
/// # let config = TrafficConfig { frame_size: 9216, ..TrafficConfig::default() };
/// # let mut source = StampedTraffic::new(config).unwrap();
/// let mut buffers = [[0; 4096]; 3];
/// let meta = source.write_next(&mut buffers[0], 0)?.expect("traffic never ends");
/// let mut left = (meta.len as usize).saturating_sub(buffers[0].len());
/// for buffer in &mut buffers[1..] {
///     left -= source.write_rest(buffer);
/// }
/// assert_eq!((meta.len, left), (9212, 0));
/// # Ok::<(), skbpool_nic::SourceError>(())
/// ```
pub trait FrameSource {
    /// Length in memory of the frame that [`write_next`](Self::write_next) will give; `None` at the
    /// end. Asking again gives the same answer.
    ///
    /// # Errors
    /// [`SourceError`]; the source has ended.
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError>;

    /// Whether [`peek_len`](Self::peek_len) answers without waiting for somebody else: the next frame
    /// is there, or the end, or an error. Answers at once. What was not fetched of the frame before is
    /// gone. A [uniform](Self::is_uniform) source answers for all its frames.
    #[inline(always)]
    fn is_ready(&mut self) -> bool {
        true
    }

    /// Waits until [`is_ready`](Self::is_ready) may have changed, at most so long; may return earlier.
    /// Unless implemented it sleeps, for a millisecond at most.
    fn wait(&mut self, at_most: Duration) {
        std::thread::sleep(at_most.min(Duration::from_millis(1)));
    }

    /// Writes the next frame to the start of `out`, as much of it as fits, and moves on; `None` at
    /// the end. `now_ns` is the time for sources that make their frames.
    ///
    /// # Errors
    /// [`SourceError`]; the source has ended.
    fn write_next(&mut self, out: &mut [u8], now_ns: u64)
    -> Result<Option<FrameMeta>, SourceError>;

    /// Writes a frame behind the headroom of each of the slots that `memory` is, and moves on; gives
    /// their one description. `None`, with nothing done, from sources whose frames differ in more than
    /// their bytes: those give them by [`write_next`](Self::write_next).
    ///
    /// Each slot has room for headroom and frame, of which [`peek_len`](Self::peek_len) told the
    /// length.
    fn write_alike(
        &mut self,
        memory: &mut [u8],
        slots: SlotSize,
        now_ns: u64,
    ) -> Option<FrameMeta> {
        let _ = (memory, slots, now_ns);
        None
    }

    /// Writes what is left of the frame begun last to the start of `out` and returns how many bytes
    /// that were; 0 once the frame is complete.
    fn write_rest(&mut self, out: &mut [u8]) -> usize;

    /// Whether its times are the caller's `now_ns`, as those of frames made on the spot are, and not
    /// of the past, as those of a capture are.
    fn is_live(&self) -> bool {
        false
    }

    /// Whether all its frames are as long as the next one, so that one look at a length does for many.
    fn is_uniform(&self) -> bool {
        false
    }

    /// Passes over `frames` frames, as a card does that has nowhere to put them; returns how many
    /// there were. In stamped traffic they show as lost.
    ///
    /// # Errors
    /// [`SourceError`]; the source has ended.
    fn skip(&mut self, frames: u64) -> Result<u64, SourceError>;
}

impl<S: FrameSource + ?Sized> FrameSource for Box<S> {
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        (**self).peek_len()
    }

    fn is_ready(&mut self) -> bool {
        (**self).is_ready()
    }

    fn wait(&mut self, at_most: Duration) {
        (**self).wait(at_most);
    }

    fn write_next(
        &mut self,
        out: &mut [u8],
        now_ns: u64,
    ) -> Result<Option<FrameMeta>, SourceError> {
        (**self).write_next(out, now_ns)
    }

    fn write_alike(
        &mut self,
        memory: &mut [u8],
        slots: SlotSize,
        now_ns: u64,
    ) -> Option<FrameMeta> {
        (**self).write_alike(memory, slots, now_ns)
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        (**self).write_rest(out)
    }

    fn is_live(&self) -> bool {
        (**self).is_live()
    }

    fn is_uniform(&self) -> bool {
        (**self).is_uniform()
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        (**self).skip(frames)
    }
}

/// The frame of the smallest size as it lies in memory.
pub(crate) type SmallestFrame = [u8; memory_len(MIN_FRAME_SIZE) as usize];

/// Copies a frame to memory of its length. The smallest, of which a line carries most, is copied
/// without a call, since its length is a constant here.
#[inline(always)]
pub(crate) fn copy_frame(frame: &[u8], out: &mut [u8]) {
    match (<&SmallestFrame>::try_from(frame), <&mut SmallestFrame>::try_from(&mut *out)) {
        (Ok(frame), Ok(out)) => *out = *frame,
        _ => out.copy_from_slice(frame),
    }
}

/// Copies what fits of `bytes`, from `*written` on, and moves `*written` on.
fn copy_part(bytes: &[u8], written: &mut usize, out: &mut [u8]) -> usize {
    let count = out.len().min(bytes.len() - *written);
    out[..count].copy_from_slice(&bytes[*written..*written + count]);
    *written += count;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_copied_whole() {
        for len in 0..130 {
            let frame: Vec<u8> = (1..=len).collect();
            let mut out = vec![0; frame.len()];
            copy_frame(&frame, &mut out);
            assert_eq!(out, frame);
        }
    }
}
