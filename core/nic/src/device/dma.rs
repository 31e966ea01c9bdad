//! The part of the hardware that moves frames into posted buffers.

use super::descriptor::Descriptor;
use crate::source::{FrameMeta, FrameSource, SlotSize, SourceError};
use skbpool_deliver::{Dequeue, Enqueue};
use skbpool_pool::RxFrame;

/// Frames start on a cache line, as cards place them; with headroom, the headroom does.
const ALIGNMENT: u32 = 64;

/// ```text
/// posted ──► open │ frame │ frame │ frame │ free …  ──► completed
///                 0                       cursor
/// ```
/// At most one buffer is open. It is completed when the next frame does not fit, whether or not there
/// is a buffer to follow, so a ring of one descriptor works.
#[derive(Debug)]
pub(super) struct Dma {
    /// None once the driver has left.
    rings: Option<Rings>,
    open: Option<Descriptor>,
    /// First free byte of the open buffer.
    cursor: u32,
    /// When the first frame of the open buffer came.
    opened_ns: u64,
    descriptors: u32,
    headroom: u32,
}

#[derive(Debug)]
struct Rings {
    posted: Dequeue<Descriptor>,
    complete: Enqueue<Descriptor>,
    /// Receives one posted descriptor at a time.
    taken: Vec<Descriptor>,
}

/// Where the next frame can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Into the open buffer.
    Here,
    /// Into the open buffer, which is empty, and posted ones behind it.
    Spread,
    /// Nowhere until the driver posts more.
    Nowhere,
    /// Nowhere ever: the ring has fewer buffers than the frame needs.
    Never,
}

/// What a frame's time is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameTime {
    pub(super) now_ns: u64,
    /// Added to what the source says.
    pub(super) epoch_ns: u64,
}

impl Dma {
    pub(super) fn new(
        posted: Dequeue<Descriptor>,
        complete: Enqueue<Descriptor>,
        descriptors: u32,
        headroom: u32,
    ) -> Self {
        let rings = Some(Rings { posted, complete, taken: Vec::new() });
        Self { rings, open: None, cursor: 0, opened_ns: 0, descriptors, headroom }
    }

    /// Bytes of a buffer that a frame of `len` bytes needs. An empty one needs a byte too, so that a
    /// buffer holds a bounded number of them.
    #[inline(always)]
    fn needed(&self, len: u32) -> u64 {
        u64::from(self.headroom) + u64::from(len.max(1))
    }

    /// Finds room for a frame of `len` bytes; completes the open buffer if it does not fit there.
    #[inline]
    pub(super) fn find_room(&mut self, len: u32) -> Room {
        let needed = self.needed(len);
        if let Some(open) = &self.open
            && u64::from(self.cursor) + needed <= open.buffer.len() as u64
        {
            return Room::Here;
        }
        self.find_empty(needed)
    }

    fn find_empty(&mut self, needed: u64) -> Room {
        self.close();
        let Some(rings) = &mut self.rings else { return Room::Nowhere };
        if self.open.is_none() {
            self.open = rings.take_posted();
            self.cursor = 0;
        }
        let Some(open) = &self.open else { return Room::Nowhere };
        // All buffers of a ring are of one size.
        let size = open.buffer.len() as u64;
        if needed <= size {
            return Room::Here;
        }
        let more = (needed - size).div_ceil(size);
        if more >= u64::from(self.descriptors) {
            return Room::Never;
        }
        if u64::from(rings.posted.filled(more as u32)) < more {
            return Room::Nowhere;
        }
        Room::Spread
    }

    /// Writes frames of `len` bytes, for the first of which `find_room` said `Here`, until the buffer is
    /// full, `at_most` are written or the source has no more; counts them in `written`.
    // Called once a buffer; on its own the loop has the registers to itself.
    #[inline(never)]
    pub(super) fn write_frames<S: FrameSource>(
        &mut self,
        source: &mut S,
        len: u32,
        at_most: u32,
        time: FrameTime,
        written: &mut u32,
    ) -> Result<(), SourceError> {
        let needed = self.needed(len) as u32;
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.frames().is_empty() {
            self.opened_ns = time.now_ns;
        }
        // Pool memory is always writable.
        let Some((memory, room)) = open.memory_and_room() else { return Ok(()) };
        // Sizes and cursor are multiples of a cache line, so whatever fits does so rounded up.
        let slot = needed.next_multiple_of(ALIGNMENT);
        let memory = &mut memory[self.cursor as usize..];
        let headroom = self.headroom;
        let most = (memory.len() / slot as usize).min((at_most - *written) as usize);
        let most = most.min(room.len());
        let (memory, room) = (&mut memory[..most * slot as usize], &mut room[..most]);
        let slots = SlotSize { bytes: slot as usize, headroom: headroom as usize };
        let mut head = self.cursor;
        if let Some(meta) = source.write_alike(memory, slots, time.now_ns) {
            debug_assert_eq!(meta.len, len, "a source gives what it let be peeked at");
            let len = meta.len.min(slot - headroom);
            let first = Place { head, offset: head + headroom, len, end: head + slot };
            describe(&meta, time.epoch_ns, first).repeat(room, slot);
            open.added(most);
            *written += most as u32;
            self.cursor = head + most as u32 * slot;
            return Ok(());
        }
        let mut places = memory.chunks_exact_mut(slots.bytes).zip(room);
        let mut added = 0;
        let result = loop {
            let Some((slot_memory, place)) = places.next() else { break Ok(()) };
            let meta = match source.write_next(&mut slot_memory[headroom as usize..], time.now_ns) {
                Ok(Some(meta)) => meta,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            debug_assert_eq!(meta.len, len, "a source gives what it let be peeked at");
            let len = meta.len.min(slot - headroom);
            let lies = Place { head, offset: head + headroom, len, end: head + slot };
            *place = describe(&meta, time.epoch_ns, lies).in_words();
            head += slot;
            added += 1;
        };
        open.added(added);
        *written += added as u32;
        self.cursor = head;
        result
    }

    /// Writes one frame over several buffers, for which `find_room` said `Spread`; answers whether the
    /// source had one.
    #[cold]
    pub(super) fn write_spread<S: FrameSource>(
        &mut self,
        source: &mut S,
        time: FrameTime,
    ) -> Result<bool, SourceError> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let Ok(memory) = open.buffer.as_mut_slice() else { return Ok(false) };
        let size = memory.len() as u32;
        let headroom = self.headroom;
        let Some(meta) = source.write_next(&mut memory[headroom as usize..], time.now_ns)? else {
            return Ok(false);
        };
        self.opened_ns = time.now_ns;
        let len = meta.len.min(size - headroom);
        let mut left = meta.len - len;
        let place = Place { head: 0, offset: headroom, len, end: size };
        let first = describe(&meta, time.epoch_ns, place);
        open.push(first);
        open.more = left != 0;
        self.cursor = size;
        while left != 0 {
            self.close();
            // `find_room` saw as many posted buffers as the frame needs.
            self.open = self.rings.as_mut().and_then(Rings::take_posted);
            let Some(open) = &mut self.open else { break };
            let Ok(memory) = open.buffer.as_mut_slice() else { break };
            let len = source.write_rest(memory) as u32;
            left = if len == 0 { 0 } else { left.saturating_sub(len) };
            let end = len.next_multiple_of(ALIGNMENT);
            open.push(RxFrame { head: 0, offset: 0, len, end, ..first });
            open.more = left != 0;
            self.opened_ns = time.now_ns;
            self.cursor = end;
        }
        Ok(true)
    }

    /// Completes the open buffer, unless it is empty.
    pub(super) fn close(&mut self) {
        let Some(rings) = &mut self.rings else { return };
        if let Some(full) = self.open.take_if(|open| !open.frames().is_empty()) {
            // There are as many slots as descriptors, so there is always one free.
            let completed = rings.complete.enqueue(&mut std::iter::once(full), 1);
            debug_assert_eq!(completed, 1);
        }
    }

    /// When the first of the frames came that the open buffer holds; none if it holds none.
    pub(super) fn holding_since(&self) -> Option<u64> {
        self.open.as_ref().filter(|open| !open.frames().is_empty()).map(|_| self.opened_ns)
    }

    /// Whether a buffer is neither posted nor completed.
    pub(super) fn has_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the driver is there. Once it has left, every buffer goes home at once.
    pub(super) fn has_driver(&mut self) -> bool {
        let here = self.rings.as_ref().is_some_and(|rings| rings.posted.is_connected());
        if !here {
            self.rings = None;
            self.open = None;
        }
        here
    }
}

impl Rings {
    fn take_posted(&mut self) -> Option<Descriptor> {
        self.posted.dequeue(&mut self.taken, 1);
        self.taken.pop()
    }
}

/// Where in a buffer a frame, or a part of one, lies.
struct Place {
    head: u32,
    offset: u32,
    len: u32,
    end: u32,
}

#[inline(always)]
fn describe(meta: &FrameMeta, epoch_ns: u64, place: Place) -> RxFrame {
    let Place { head, offset, len, end } = place;
    RxFrame {
        timestamp_ns: meta.timestamp_ns.saturating_add(epoch_ns),
        head,
        offset,
        len,
        end,
        original_length: meta.original_length,
        link_type: meta.link_type,
        interface: meta.interface.min(u32::from(u16::MAX)) as u16,
    }
}
