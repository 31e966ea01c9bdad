//! The hardware side of the card.

use super::config::{CloseWhen, NicConfig};
use super::counters::{HardwareCounters, HardwareStats};
use super::dma::{Dma, FrameTime, Room};
use crate::line_rate::{frame_size, wire_bits};
use crate::pacing::Pacer;
use crate::rate::Rate;
use crate::source::{FrameSource, SourceError};
use skbpool_pool::clock::monotonic_ns;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames between two looks at the clock.
const BURST: u32 = 256;

/// Shortest sleep of [`Hardware::run`]: below it the timer costs more than it gives.
const NAP: Duration = Duration::from_micros(50);

/// Longest sleep of [`Hardware::run`], so that it notices when it is to stop.
const LONGEST_NAP: Duration = Duration::from_millis(10);

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Frames that came over the line, dropped ones included.
    pub frames: u32,
    /// The line is dead: the source has ended, the time or number of frames is reached, or a line
    /// without a rate has no driver to wait for.
    pub ended: bool,
    /// The source has nothing yet: [`Hardware::wait_for_source`] says when to come back.
    pub waits_for_source: bool,
}

/// The hardware: takes posted buffers, writes frames into them at the line's rate, completes them.
/// Dropping it completes what it has begun, and the line is dead.
#[derive(Debug)]
pub struct Hardware<S> {
    dma: Dma,
    source: S,
    pacer: Pacer,
    close: CloseWhen,
    epoch_offset_ns: u64,
    deadline_ns: Option<u64>,
    frames_left: u64,
    counters: Arc<HardwareCounters>,
    ended: bool,
}

impl<S: FrameSource> Hardware<S> {
    pub(super) fn new(
        config: NicConfig,
        source: S,
        dma: Dma,
        counters: Arc<HardwareCounters>,
        now_ns: u64,
    ) -> Self {
        Self {
            dma,
            source,
            pacer: Pacer::new(config.rate, now_ns),
            close: config.close,
            epoch_offset_ns: config.epoch_offset_ns,
            deadline_ns: config.duration_ns.map(|duration| now_ns.saturating_add(duration)),
            frames_left: config.frames.unwrap_or(u64::MAX),
            counters,
            ended: false,
        }
    }

    /// Does what is due at `now_ns`, at most `budget` frames.
    ///
    /// A frame that finds no posted buffer is dropped and counted, except at [`Rate::Max`], where
    /// the line waits. A frame that the whole ring cannot hold is dropped and counted at any rate.
    /// Never waits for the source: where that has nothing yet, what has come is completed at once.
    ///
    /// # Errors
    /// [`SourceError`]: the source cannot go on; what came before is completed and the line is dead.
    pub fn step(&mut self, now_ns: u64, budget: u32) -> Result<Step, SourceError> {
        if self.ended {
            return Ok(Step { ended: true, ..Step::default() });
        }
        let mut step = Step::default();
        let mut counted = HardwareStats::default();
        let result = self.receive_due(now_ns, budget, &mut step, &mut counted);
        step.ended |= result.is_err();
        self.counters.add(&counted);
        if step.ended {
            self.end();
        } else if step.waits_for_source || self.is_closing_time(now_ns) {
            self.dma.close();
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
        let waits = self.waits();
        let over = self.deadline_ns.is_some_and(|deadline| now_ns >= deadline);
        let has_driver = self.dma.has_driver();
        if waits && (over || !has_driver) {
            step.ended = true;
            return Ok(());
        }
        let line_ns = self.deadline_ns.map_or(now_ns, |deadline| now_ns.min(deadline));
        while step.frames < budget && self.frames_left != 0 {
            if !self.source.is_ready() {
                step.waits_for_source = true;
                step.ended = over;
                return Ok(());
            }
            let Some(len) = self.source.peek_len()? else {
                step.ended = true;
                return Ok(());
            };
            let size = frame_size(len);
            let due = self.pacer.due(line_ns, size);
            counted.late += due.missed;
            let alike = if self.source.is_uniform() { u64::MAX } else { 1 };
            let left = u64::from(budget - step.frames).min(self.frames_left);
            let run = due.frames.min(alike).min(left) as u32;
            if run == 0 {
                step.ended = over;
                return Ok(());
            }
            let mut passed = 0;
            let result = self.receive(line_ns, len, run, &mut passed, counted);
            self.pacer.sent(u64::from(passed), size);
            self.frames_left -= u64::from(passed);
            step.frames += passed;
            counted.offered += u64::from(passed);
            counted.wire_bits += u64::from(passed) * wire_bits(size);
            result?;
            if passed < run {
                return Ok(());
            }
        }
        step.ended = self.frames_left == 0;
        Ok(())
    }

    /// Receives `run` frames of `len` bytes, or fewer if the line waits or the source has no more;
    /// counts them in `passed`.
    #[inline]
    fn receive(
        &mut self,
        line_ns: u64,
        len: u32,
        run: u32,
        passed: &mut u32,
        counted: &mut HardwareStats,
    ) -> Result<(), SourceError> {
        let epoch_ns = if self.source.is_live() { self.epoch_offset_ns } else { 0 };
        let time = FrameTime { now_ns: line_ns, epoch_ns };
        while *passed < run {
            let before = *passed;
            match self.dma.find_room(len) {
                Room::Here => {
                    self.dma.write_frames(&mut self.source, len, run, time, passed)?;
                }
                Room::Spread => {
                    *passed += u32::from(self.dma.write_spread(&mut self.source, time)?);
                }
                Room::Nowhere if self.waits() => {}
                room @ (Room::Nowhere | Room::Never) => {
                    let skipped = self.source.skip(1)?;
                    *passed += skipped as u32;
                    let (frames, bytes) = match room {
                        Room::Never => (&mut counted.too_large, &mut counted.too_large_bytes),
                        _ => (&mut counted.missed, &mut counted.missed_bytes),
                    };
                    *frames += skipped;
                    *bytes += skipped * u64::from(len);
                }
            }
            if *passed == before {
                break;
            }
        }
        Ok(())
    }

    /// Runs until the line is dead or `stop` is set, after which it is dead too. Sleeps while nothing
    /// is due.
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
            if step.waits_for_source {
                self.wait_for_source(LONGEST_NAP);
            } else if step.frames < BURST {
                std::thread::sleep(self.idle_time(now_ns));
            }
        }
        self.end();
        Ok(())
    }

    /// Waits until the source may have something, at most so long; may return earlier.
    pub fn wait_for_source(&mut self, at_most: Duration) {
        self.source.wait(at_most);
    }

    /// How long nothing will be due, within the bounds of a sleep.
    fn idle_time(&mut self, now_ns: u64) -> Duration {
        let next = match self.source.peek_len() {
            Ok(Some(len)) => self.pacer.next_due(now_ns, frame_size(len)),
            _ => now_ns,
        };
        let close = match (self.close, self.dma.holding_since()) {
            (CloseWhen::After(wait), Some(since)) => since.saturating_add(wait),
            _ => u64::MAX,
        };
        let until = next.min(close).min(self.deadline_ns.unwrap_or(u64::MAX));
        Duration::from_nanos(until.saturating_sub(now_ns)).clamp(NAP, LONGEST_NAP)
    }
}

impl<S> Hardware<S> {
    /// The hardware's figures.
    pub fn stats(&self) -> HardwareStats {
        self.counters.stats()
    }

    /// Whether it has taken a posted buffer that it has not completed.
    pub fn has_open_buffer(&self) -> bool {
        self.dma.has_open()
    }

    /// Whether the line waits for buffers instead of dropping.
    #[inline]
    fn waits(&self) -> bool {
        self.pacer.rate() == Rate::Max
    }

    fn is_closing_time(&self, now_ns: u64) -> bool {
        match self.close {
            CloseWhen::Full => false,
            CloseWhen::Burst => true,
            CloseWhen::After(wait) => {
                self.dma.holding_since().is_some_and(|since| now_ns.saturating_sub(since) >= wait)
            }
        }
    }

    fn end(&mut self) {
        self.dma.close();
        if !self.ended {
            self.ended = true;
            self.counters.end();
        }
    }
}

impl<S> Drop for Hardware<S> {
    fn drop(&mut self) {
        self.end();
    }
}
