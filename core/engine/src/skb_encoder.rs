//! Skbs that leave in messages: planned, written, released.

use std::mem::MaybeUninit;

use skbpool_pool::{CopyStage, LocalCache, Skb, SkbBatch};
use skbpool_wire::{BatchEncoder, BatchLimits, BatchMessage, EncodeError, Pushed};

use crate::frame::SkbFrame;

/// What frames of a message look like, beside the bytes that it may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Most frames of a message, 1 at least.
    pub(crate) max_frames: usize,
    /// Most bytes of a frame, which is cut behind them.
    pub(crate) snapshot_length: u32,
}

impl Form {
    fn frame(self, skb: &Skb) -> SkbFrame<'_> {
        SkbFrame { skb, most: self.snapshot_length }
    }

    /// Adds `skb` to the batch; answers whether there was room.
    #[inline(always)]
    fn push(self, encoder: &mut BatchEncoder, skb: &Skb) -> Result<bool, EncodeError> {
        let room = encoder.len() < self.max_frames;
        Ok(room && encoder.push(&self.frame(skb))? == Pushed::Taken)
    }
}

/// What both ways out of the engine do with the skbs they took: as many as fit go into a message,
/// the others into the next.
///
/// ```text
/// taken │ of the batch │ not looked at yet │   behind, the next one last
///       0              batch().len()
/// ```
pub(crate) struct SkbEncoder {
    encoder: BatchEncoder,
    taken: SkbBatch,
    /// What lay behind the cut of the last message, reversed: so a message costs what is in it,
    /// however much was taken at once.
    behind: Vec<Skb>,
    cache: LocalCache,
    form: Form,
    /// Size of the planned message.
    planned: Option<usize>,
}

impl SkbEncoder {
    /// Releases to `cache` what was written.
    pub(crate) fn new(cache: LocalCache, limits: BatchLimits) -> Self {
        Self {
            encoder: BatchEncoder::new(limits),
            taken: SkbBatch::new(),
            behind: Vec::new(),
            cache,
            form: Form { max_frames: usize::MAX, snapshot_length: u32::MAX },
            planned: None,
        }
    }

    /// The same for messages of that form.
    pub(crate) fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Begins the batch anew, for a message within `limits`: its frames are the first to be looked at
    /// again, and a plan is forgotten.
    pub(crate) fn restart(&mut self, limits: BatchLimits) {
        self.encoder = BatchEncoder::new(limits);
        self.planned = None;
    }

    /// Adds what was taken to the batch until that is full; answers whether it is. Of each frame that
    /// fits no message `too_large` is told the bytes and the truesize, after its release.
    ///
    /// Costs a few nanoseconds a frame, and the move of 64 bytes for one that lay behind a cut.
    pub(crate) fn fill(&mut self, mut too_large: impl FnMut(u64, u64)) -> bool {
        let mut at = self.encoder.len();
        while at < self.taken.len() {
            match self.form.push(&mut self.encoder, &self.taken.as_slice()[at]) {
                Ok(true) => at += 1,
                Ok(false) => return true,
                Err(_) => {
                    // It is looked at again from there, where letting it go moves no others.
                    self.behind.extend(self.taken.as_mut_vec().drain(at..).rev());
                    break;
                }
            }
        }
        while let Some(skb) = self.behind.pop() {
            match self.form.push(&mut self.encoder, &skb) {
                Ok(true) => self.taken.push(skb),
                Ok(false) => {
                    self.behind.push(skb);
                    return true;
                }
                Err(_) => self.refuse(skb, &mut too_large),
            }
        }
        self.encoder.len() >= self.form.max_frames
    }

    #[cold]
    fn refuse(&mut self, skb: Skb, too_large: &mut impl FnMut(u64, u64)) {
        let (bytes, truesize) = (u64::from(skb.len()), u64::from(skb.truesize()));
        self.cache.release(skb);
        too_large(bytes, truesize);
    }

    /// Where to put more, once [`fill`](Self::fill) found room for everything.
    pub(crate) fn taken_mut(&mut self) -> &mut SkbBatch {
        debug_assert!(self.behind.is_empty(), "those come first");
        &mut self.taken
    }

    /// The batch so far.
    pub(crate) fn batch(&self) -> &BatchEncoder {
        &self.encoder
    }

    /// The frames of the batch.
    pub(crate) fn frames(&self) -> &[Skb] {
        &self.taken.as_slice()[..self.encoder.len()]
    }

    /// Whether nothing was taken that was not released.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.behind.is_empty()
    }

    /// Sets the size of the message that the batch leaves in.
    pub(crate) fn plan(&mut self, encoded_len: usize) {
        self.planned = Some(encoded_len);
    }

    /// Size of the planned message.
    pub(crate) fn planned(&self) -> Option<usize> {
        self.planned
    }

    /// Writes `message`, the planned one, into `memory`. Copies each byte once.
    ///
    /// # Errors
    /// [`EncodeError::BufferSize`] if the memory has another size or nothing is planned, and those of
    /// `message`; the plan stays.
    pub(crate) fn write<'o, 'm>(
        &self,
        memory: &'o mut [MaybeUninit<u8>],
        message: impl FnOnce(&BatchEncoder) -> Result<BatchMessage<'m>, EncodeError>,
    ) -> Result<&'o mut [u8], EncodeError> {
        let given = memory.len();
        if self.planned != Some(given) {
            return Err(EncodeError::BufferSize { encoded: self.planned.unwrap_or(0), given });
        }
        let frames = self.frames().iter().map(|skb| self.form.frame(skb));
        message(&self.encoder)?.write_uninit(frames, memory)
    }

    /// Releases the frames of the batch, which was written, and begins another.
    pub(crate) fn release(&mut self) {
        let (frames, bytes) = (self.encoder.len() as u64, self.encoder.frame_bytes() as u64);
        self.cache.shard().count_copy(CopyStage::Encode, frames, bytes);
        let rest = self.taken.as_mut_vec().drain(self.encoder.len()..);
        self.behind.extend(rest.rev());
        self.taken.release(&mut self.cache);
        self.encoder.clear();
        self.planned = None;
    }

    /// Gives the free buffers back that the cache holds.
    pub(crate) fn flush(&mut self) {
        self.cache.flush();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use skbpool_pool::Pool;
    use skbpool_wire::FrameBatchView;

    fn encoder(frames: u8) -> (Pool, SkbEncoder) {
        let pool = Pool::builder(16).build().unwrap();
        let mut out = SkbEncoder::new(pool.local_cache(), BatchLimits::new(0));
        for number in 0..frames {
            let mut buffer = pool.alloc().unwrap();
            buffer.as_mut_slice().unwrap()[..100].fill(number);
            out.taken_mut().push(buffer.into_skb(0..100).map_err(|(error, _)| error).unwrap());
        }
        (pool, out)
    }

    /// Room for `frames` frames of 100 bytes, in the encoder's own estimate of a message.
    fn limits(frames: usize) -> BatchLimits {
        BatchLimits { max_message_bytes: 62 + 104 * frames, reserved_bytes: 0 }
    }

    /// The next message's frames, by the number in their bytes.
    fn next(out: &mut SkbEncoder, frames: usize) -> Vec<u8> {
        out.restart(limits(frames));
        out.fill(|_, _| panic!("every frame fits"));
        let message = out.batch().frame_batch(1);
        out.plan(message.encoded_len());
        let mut memory = vec![MaybeUninit::uninit(); message.encoded_len()];
        let written = out.write(&mut memory, |batch| Ok(batch.frame_batch(1))).unwrap();
        let view = FrameBatchView::parse(written).unwrap();
        let numbers = view.frames().map(|frame| frame.bytes[0]).collect();
        out.release();
        numbers
    }

    #[test]
    fn frames_leave_in_the_order_they_were_taken_in_whatever_is_cut_where() {
        let (pool, mut out) = encoder(9);
        assert_eq!(next(&mut out, 2), [0, 1]);
        assert_eq!(next(&mut out, 3), [2, 3, 4]);
        // A plan that is not written, and one for a smaller message in its place.
        out.restart(limits(3));
        assert!(out.fill(|_, _| panic!("every frame fits")));
        assert_eq!(out.frames().len(), 3);
        assert_eq!(next(&mut out, 1), [5]);
        assert_eq!(next(&mut out, 9), [6, 7, 8]);
        assert!(out.is_empty());
        out.flush();
        assert_eq!(pool.stats().free, 16);
    }

    #[test]
    fn a_frame_that_fits_no_message_is_released_and_told_wherever_it_lies() {
        let (pool, mut out) = encoder(3);
        assert_eq!(next(&mut out, 1), [0]);
        out.restart(limits(0));
        let mut told = Vec::new();
        assert!(!out.fill(|bytes, truesize| told.push((bytes, truesize))));
        assert_eq!(told, [(100, 4096); 2]);
        assert!(out.is_empty() && out.batch().is_empty());
        let more = pool.alloc().unwrap().into_skb(0..100).map_err(|(error, _)| error).unwrap();
        out.taken_mut().push(more);
        assert!(!out.fill(|bytes, truesize| told.push((bytes, truesize))));
        assert_eq!((told.len(), out.is_empty()), (3, true));
    }

    #[test]
    fn memory_of_another_size_leaves_the_plan() {
        let (_pool, mut out) = encoder(1);
        let bare = |batch: &BatchEncoder| Ok(batch.frame_batch(1));
        let error = out.write(&mut [], bare).unwrap_err();
        assert_eq!(error, EncodeError::BufferSize { encoded: 0, given: 0 }, "nothing is planned");
        out.restart(limits(1));
        assert!(!out.fill(|_, _| ()));
        let size = out.batch().frame_batch(1).encoded_len();
        out.plan(size);
        let error = out.write(&mut [], bare).unwrap_err();
        assert_eq!(error, EncodeError::BufferSize { encoded: size, given: 0 });
        assert_eq!(out.planned(), Some(size));
        assert_eq!(next(&mut out, 1), [0]);
    }
}
