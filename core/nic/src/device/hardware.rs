//! The hardware side of the card.

use super::counters::{HardwareCounters, HardwareStats};
use super::descriptor::{Descriptor, RxFrame};
use crate::line_rate::{frame_size, wire_bits};
use crate::pacing::{Admission, Pacer};
use crate::rate::Rate;
use crate::source::{FrameMeta, FrameSource, SourceError};
use skbpool_deliver::{Dequeue, Enqueue, MAX_SLOTS, Ring};
use skbpool_pool::clock::monotonic_ns;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames start on a cache line, as cards place them.
const ALIGNMENT: u32 = 64;

/// Frames between two looks at the clock.
const BURST: u32 = 256;

/// Shortest sleep of [`Hardware::run`]: below it the timer costs more than it gives.
const NAP: Duration = Duration::from_micros(50);

/// When the hardware hands a buffer over that has room for more frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseWhen {
    /// Not before it is full: fewest buffers, no bound on the wait.
    Full,
    /// At the end of the burst it was filled in: shortest wait, most buffers.
    Burst,
    /// When it is full, or this many nanoseconds after its first frame.
    After(u64),
}

/// Settings of an emulated card.
#[derive(Clone, Copy, Debug)]
pub struct NicConfig {
    /// Descriptors of the ring, 1 to 65,536.
    pub descriptors: u32,
    /// Rate of the line. [`Rate::Max`] waits for posted buffers instead of dropping.
    pub rate: Rate,
    /// When buffers that are not full are handed over.
    pub close: CloseWhen,
    /// Bytes kept free before each frame.
    pub headroom: u32,
    /// Added to the times of sources that stamp with the caller's clock, to make them times since the
    /// Unix epoch.
    pub epoch_offset_ns: u64,
    /// The line goes dead this many nanoseconds after it came up; none: never.
    pub duration_ns: Option<u64>,
    /// The line goes dead after so many frames; none: never.
    pub frames: Option<u64>,
}

impl Default for NicConfig {
    fn default() -> Self {
        Self {
            descriptors: 512,
            rate: Rate::Max,
            close: CloseWhen::After(100_000),
            headroom: 0,
            epoch_offset_ns: 0,
            duration_ns: None,
            frames: None,
        }
    }
}

/// A card that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NicError {
    /// Bad ring size.
    #[error("a descriptor ring has 1 to 65536 descriptors, not {descriptors}")]
    Descriptors {
        /// Asked for.
        descriptors: u32,
    },
    /// The pool does not have enough buffers for the ring.
    #[error("the ring needs {needed} buffers: {reason}")]
    NoBuffers {
        /// Descriptors of the ring.
        needed: u32,
        /// What the pool said.
        reason: skbpool_pool::AllocError,
    },
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Frames that came over the line, dropped ones included.
    pub frames: u32,
    /// The line is dead: the source has ended, or the time or number of frames is reached.
    pub ended: bool,
}

/// Makes the two sides of a card.
#[derive(Debug)]
pub struct EmulatedNic;

impl EmulatedNic {
    /// A card whose line carries the frames of `source`; the line comes up at `now_ns`.
    ///
    /// # Errors
    /// [`NicError::Descriptors`].
    #[allow(clippy::new_ret_no_self, reason = "a card is its two sides")]
    pub fn new<S: FrameSource>(
        config: NicConfig,
        source: S,
        now_ns: u64,
    ) -> Result<(Hardware<S>, RxQueue), NicError> {
        let descriptors = config.descriptors;
        if descriptors == 0 || descriptors > 65_536.min(MAX_SLOTS) {
            return Err(NicError::Descriptors { descriptors });
        }
        let ring =
            || Ring::channel(descriptors, 0).map_err(|_| NicError::Descriptors { descriptors });
        let (post, posted) = ring()?;
        let (complete, completed) = ring()?;
        let counters = Arc::new(HardwareCounters::default());
        let hardware = Hardware {
            posted,
            complete,
            open: None,
            cursor: 0,
            opened_ns: 0,
            source,
            pacer: Pacer::new(config.rate, now_ns),
            deadline_ns: config.duration_ns.map(|duration| now_ns.saturating_add(duration)),
            frames_left: config.frames.unwrap_or(u64::MAX),
            config,
            spare: Vec::new(),
            counters: Arc::clone(&counters),
            ended: false,
        };
        Ok((hardware, RxQueue { post, completed, descriptors, counters }))
    }
}

/// The driver's side of the descriptor ring.
#[derive(Debug)]
pub struct RxQueue {
    pub(super) post: Enqueue<Descriptor>,
    pub(super) completed: Dequeue<Descriptor>,
    pub(super) descriptors: u32,
    counters: Arc<HardwareCounters>,
}

impl RxQueue {
    /// The hardware's figures.
    pub fn hardware_stats(&self) -> HardwareStats {
        self.counters.stats()
    }

    /// Whether the line is dead and every completed buffer was taken.
    pub fn is_finished(&mut self) -> bool {
        self.counters.has_ended() && self.completed.filled(1) == 0
    }
}

/// The hardware: takes posted buffers, writes frames into them at the line's rate, completes them.
#[derive(Debug)]
pub struct Hardware<S> {
    posted: Dequeue<Descriptor>,
    complete: Enqueue<Descriptor>,
    /// The buffer that is being filled, and the first byte that is free in it.
    open: Option<Descriptor>,
    cursor: u32,
    opened_ns: u64,
    source: S,
    pacer: Pacer,
    config: NicConfig,
    deadline_ns: Option<u64>,
    frames_left: u64,
    /// Receives one posted descriptor at a time.
    spare: Vec<Descriptor>,
    counters: Arc<HardwareCounters>,
    ended: bool,
}

impl<S: FrameSource> Hardware<S> {
    /// Does what is due at `now_ns`, at most `budget` frames.
    ///
    /// A frame that finds no posted buffer is dropped and counted, except at [`Rate::Max`], where
    /// the line waits.
    ///
    /// # Errors
    /// [`SourceError`]: the source cannot go on; what came before is completed and the line is dead.
    pub fn step(&mut self, now_ns: u64, budget: u32) -> Result<Step, SourceError> {
        let mut step = Step { frames: 0, ended: self.ended };
        let mut counted = HardwareStats::default();
        let line_ns = self.deadline_ns.map_or(now_ns, |deadline| now_ns.min(deadline));
        let result = self.receive_due(line_ns, budget, &mut step, &mut counted);
        let over = self.deadline_ns.is_some_and(|deadline| now_ns >= deadline);
        step.ended |= result.is_err() || (over && step.frames < budget);
        self.counters.add(&counted);
        let close = match self.config.close {
            CloseWhen::Full => false,
            CloseWhen::Burst => true,
            CloseWhen::After(wait) => now_ns.saturating_sub(self.opened_ns) >= wait,
        };
        if close || step.ended {
            self.close();
        }
        if step.ended && !self.ended {
            self.ended = true;
            self.counters.end();
        }
        result.map(|()| step)
    }

    fn receive_due(
        &mut self,
        now_ns: u64,
        budget: u32,
        step: &mut Step,
        counted: &mut HardwareStats,
    ) -> Result<(), SourceError> {
        while step.frames < budget && !step.ended {
            if self.frames_left == 0 {
                step.ended = true;
                return Ok(());
            }
            let Some(len) = self.source.peek_len()? else {
                step.ended = true;
                return Ok(());
            };
            let waits = self.config.rate == Rate::Max;
            if waits && !self.has_room(len) {
                return Ok(());
            }
            let size = frame_size(len);
            match self.pacer.admit(now_ns, size) {
                Admission::NotYet => return Ok(()),
                Admission::Missed => {
                    counted.late += 1;
                    continue;
                }
                Admission::Deliver => {}
            }
            step.frames += 1;
            self.frames_left -= 1;
            counted.offered += 1;
            counted.wire_bits += wire_bits(size);
            if waits || self.has_room(len) {
                self.receive(now_ns, len)?;
            } else {
                self.source.skip(1)?;
                counted.missed += 1;
                counted.missed_bytes += u64::from(len);
            }
        }
        Ok(())
    }

    /// Whether a frame of `len` bytes finds room, in the open buffer or in posted ones.
    #[inline]
    fn has_room(&mut self, len: u32) -> bool {
        let needed = u64::from(self.config.headroom) + u64::from(len);
        if let Some(open) = &self.open
            && u64::from(self.cursor) + needed <= open.buffer.len() as u64
        {
            return true;
        }
        if self.posted.filled(1) == 0 {
            return false;
        }
        // All posted buffers are of one size; the open one tells which, else the first that is taken.
        let size = match &self.open {
            Some(open) => open.buffer.len() as u64,
            None => match self.take_posted() {
                Some(taken) => {
                    let size = taken.buffer.len() as u64;
                    self.cursor = 0;
                    self.open = Some(taken);
                    return needed <= size || self.parts_are_posted(needed - size, size);
                }
                None => return false,
            },
        };
        self.parts_are_posted(needed, size)
    }

    fn parts_are_posted(&mut self, needed: u64, size: u64) -> bool {
        let parts = needed.div_ceil(size).min(u64::from(u32::MAX)) as u32;
        self.posted.filled(parts) >= parts
    }

    /// Writes the next frame, for which `has_room` said yes.
    #[inline]
    fn receive(&mut self, now_ns: u64, len: u32) -> Result<(), SourceError> {
        let needed = u64::from(self.config.headroom) + u64::from(len);
        let fits = self
            .open
            .as_ref()
            .is_some_and(|open| u64::from(self.cursor) + needed <= open.buffer.len() as u64);
        if !fits && !self.open_next() {
            return Ok(());
        }
        let head = self.cursor;
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.frames.is_empty() {
            self.opened_ns = now_ns;
        }
        // Pool memory is always writable.
        let Ok(memory) = open.buffer.as_mut_slice() else { return Ok(()) };
        let offset = (head + self.config.headroom).min(memory.len() as u32);
        let Some(meta) = self.source.write_next(&mut memory[offset as usize..], now_ns)? else {
            return Ok(());
        };
        let room = memory.len() as u32 - offset;
        let epoch = if self.source.is_live() { self.config.epoch_offset_ns } else { 0 };
        let frame = describe(&meta, head, offset, room, epoch);
        open.frames.push(frame);
        self.cursor = frame.end;
        if frame.more {
            self.receive_rest(frame, meta.len - frame.len);
        }
        Ok(())
    }

    /// Writes what did not fit the first buffer of a frame into the following ones.
    #[cold]
    fn receive_rest(&mut self, first: RxFrame, mut left: u32) {
        while left != 0 {
            if !self.open_next() {
                // `has_room` counted the buffers, so this cannot be; the frame ends where it is.
                break;
            }
            let Some(open) = &mut self.open else { break };
            let Ok(memory) = open.buffer.as_mut_slice() else { break };
            let size = memory.len() as u32;
            let len = self.source.write_rest(memory) as u32;
            left = left.saturating_sub(len.max(1));
            let end = len.next_multiple_of(ALIGNMENT).min(size);
            open.frames.push(RxFrame { head: 0, offset: 0, len, end, more: left != 0, ..first });
            self.cursor = end;
        }
    }

    /// Completes the open buffer and opens the next posted one.
    fn open_next(&mut self) -> bool {
        self.close();
        if self.open.is_none() {
            self.open = self.take_posted();
            self.cursor = 0;
        }
        self.open.is_some()
    }

    fn take_posted(&mut self) -> Option<Descriptor> {
        self.posted.dequeue(&mut self.spare, 1);
        self.spare.pop()
    }

    /// Completes the open buffer, unless it is empty.
    fn close(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.frames.is_empty())
            && let Some(full) = self.open.take()
        {
            // There are as many slots as descriptors, so there is always one free.
            let completed = self.complete.enqueue(&mut std::iter::once(full), 1);
            debug_assert_eq!(completed, 1);
        }
    }

    /// Runs until the line is dead or `stop` is set. Sleeps while nothing is due.
    ///
    /// # Errors
    /// As [`Hardware::step`].
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), SourceError> {
        // Relaxed: a wish; nothing is published with it.
        while !stop.load(Ordering::Relaxed) {
            let now_ns = monotonic_ns();
            let step = self.step(now_ns, BURST)?;
            if step.ended {
                return Ok(());
            }
            if step.frames < BURST {
                std::thread::sleep(self.idle_time(now_ns));
            }
        }
        self.close();
        self.counters.end();
        Ok(())
    }

    /// How long nothing will be due, at least [`NAP`].
    fn idle_time(&mut self, now_ns: u64) -> Duration {
        let next = match self.source.peek_len() {
            Ok(Some(len)) => self.pacer.next_due(now_ns, frame_size(len)),
            _ => now_ns,
        };
        let close = match (self.config.close, &self.open) {
            (CloseWhen::After(wait), Some(open)) if !open.frames.is_empty() => {
                self.opened_ns.saturating_add(wait)
            }
            _ => u64::MAX,
        };
        let until = next.min(close).min(self.deadline_ns.unwrap_or(u64::MAX));
        Duration::from_nanos(until.saturating_sub(now_ns)).max(NAP)
    }
}

/// The ring entry of a frame, or of its first part, that begins at `offset` with `room` bytes there.
#[inline(always)]
fn describe(meta: &FrameMeta, head: u32, offset: u32, room: u32, epoch: u64) -> RxFrame {
    let len = meta.len.min(room);
    RxFrame {
        timestamp_ns: meta.timestamp_ns.saturating_add(epoch),
        head,
        offset,
        len,
        end: (offset + len).next_multiple_of(ALIGNMENT).min(offset + room),
        original_length: meta.original_length,
        link_type: meta.link_type,
        interface: meta.interface.min(u32::from(u16::MAX)) as u16,
        more: meta.len > room,
    }
}
