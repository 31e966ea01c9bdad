//! What travels on the descriptor ring.

use skbpool_pool::{Buffer, RxFrame};

/// Frames that a descriptor has room for at first.
const FIRST_ROOM: usize = 64;

/// One buffer and what the hardware wrote into it. The list of frames keeps its memory when the
/// descriptor is posted again, so a running ring does not allocate.
#[derive(Debug)]
pub struct Descriptor {
    /// The buffer.
    pub buffer: Buffer,
    /// `frames[..count]` are the frames; the rest means nothing.
    frames: Vec<RxFrame>,
    count: usize,
    /// The last frame goes on as the first one of the next completed buffer.
    pub more: bool,
}

impl Descriptor {
    /// An empty buffer to be posted.
    pub(super) fn new(buffer: Buffer) -> Self {
        Self { buffer, frames: Vec::new(), count: 0, more: false }
    }

    /// Its frames or parts of frames in the order of their offsets; none when posted.
    #[inline(always)]
    pub fn frames(&self) -> &[RxFrame] {
        &self.frames[..self.count]
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, frame: RxFrame) {
        self.room()[0] = frame;
        self.count += 1;
    }

    /// Room for further frames, for one at least; [`Descriptor::added`] tells how many were written.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [RxFrame] {
        if self.count == self.frames.len() {
            self.grow();
        }
        &mut self.frames[self.count..]
    }

    /// The buffer's memory, as [`Buffer::as_mut_slice`], and room for further frames.
    #[inline]
    pub(super) fn memory_and_room(&mut self) -> Option<(&mut [u8], &mut [RxFrame])> {
        if self.count == self.frames.len() {
            self.grow();
        }
        Some((self.buffer.as_mut_slice().ok()?, &mut self.frames[self.count..]))
    }

    #[cold]
    fn grow(&mut self) {
        let room = (2 * self.frames.len()).max(FIRST_ROOM);
        self.frames.resize(room, RxFrame::default());
    }

    /// Counts frames that were written to [`Descriptor::room`].
    #[inline(always)]
    pub(super) fn added(&mut self, frames: usize) {
        self.count += frames;
    }

    /// Forgets the frames.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.more = false;
    }
}
