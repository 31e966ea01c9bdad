//! Watermarks: when a pool runs low, when it has recovered, and when it has ended.

use super::events::{EventBoard, Told};
use super::handle::Pool;
use super::inner::PoolInner;
use super::life::{HANDLE, Life};
use crate::sync::Ordering;
use std::ptr::NonNull;

/// Watermarks of a pool, in free buffers: those in the depot, which anybody can have. What lies in the
/// caches of single threads does not count, since nobody else gets at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// With fewer free buffers the pool is low. 0: only when an allocation finds none.
    pub low: u32,
    /// With this many it has recovered; at least `low`.
    pub high: u32,
}

impl Watermarks {
    /// What a pool of `buffers` gets unless told otherwise: a sixteenth and an eighth of them, at least
    /// 1 and 2.
    pub fn of(buffers: u32) -> Self {
        let low = (buffers / 16).max(1);
        Self { low, high: (buffers / 8).max(low + 1).min(buffers) }
    }

    /// Free buffers at which it has recovered from exhaustion: one at least.
    #[inline(always)]
    fn recovered(self) -> u32 {
        self.high.max(1)
    }
}

/// How a pool stands to its watermarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkStats {
    /// The watermarks.
    pub marks: Watermarks,
    /// Whether the pool is low now.
    pub is_low: bool,
    /// How often it became low.
    pub low: u64,
    /// How often it recovered.
    pub high: u64,
    /// How often an allocation found nothing for the first time since the pool became low.
    pub exhausted: u64,
}

impl PoolInner {
    /// Free buffers when `life` is so.
    #[inline(always)]
    fn free(&self, life: Life) -> u32 {
        self.count().saturating_sub(life.outside())
    }

    /// Whether the pool became low by what made `life` so.
    #[inline(always)]
    fn has_sunk(&self, life: Life) -> bool {
        self.free(life) < self.marks.low && !life.is(Life::LOW)
    }

    /// What the pool became by what made `life` so: neither low nor exhausted any more, or drained.
    #[inline(always)]
    fn has_risen(&self, life: Life) -> bool {
        life.is(Life::LOW | Life::CLOSED) && self.risen(life) != life
    }

    /// `life` without what is over.
    #[inline]
    fn risen(&self, life: Life) -> Life {
        let mut risen = life;
        if self.free(life) >= self.marks.recovered() {
            risen = risen.without(Life::LOW | Life::EXHAUSTED);
        }
        if life.is(Life::CLOSED) && life.outside() == 0 {
            risen = risen.with(Life::DRAINED);
        }
        risen
    }

    /// Counts `buffers` buffers that the caller just took out of the depot.
    #[inline]
    pub(super) fn count_out(&self, buffers: usize) {
        let out = buffers as u64;
        // Relaxed: the caller has a handle, so the count cannot be 0, and nothing is published.
        let before = self.life.fetch_add(out, Ordering::Relaxed);
        if self.has_sunk(Life::from_raw(before) + out) {
            self.note(|life| if self.has_sunk(life) { life.with(Life::LOW) } else { life });
        }
    }

    /// Counts buffers that the caller, who has a handle, just put back into the depot.
    #[inline]
    pub(super) fn count_home(&self, buffers: usize) {
        let home = buffers as u64;
        // Relaxed: it cannot reach 0, since the handle counts too, and dropping that one publishes.
        let before = self.life.fetch_sub(home, Ordering::Relaxed);
        if self.has_risen(Life::from_raw(before) - home) {
            self.note_risen();
        }
        self.wake_waiters();
    }

    /// Takes a buffer off `life` that the caller just put back into the depot, and frees the pool if
    /// that was all that kept it.
    ///
    /// # Safety
    /// - The caller owns one buffer of `life`, and does not touch the pool afterwards.
    #[inline]
    pub(super) unsafe fn let_go_buffer(this: NonNull<PoolInner>) {
        // SAFETY: alive, since the buffer is still counted.
        let inner = unsafe { this.as_ref() };
        // Relaxed: the exchange below decides.
        let mut now = inner.life.load(Ordering::Relaxed);
        loop {
            let without = Life::from_raw(now) - 1;
            let has_risen = inner.has_risen(without);
            // A handle in place of the buffer keeps the pool alive until that is told.
            let next = if has_risen { without + HANDLE } else { without };
            // SYNC: Release pairs with the fence of `end`: everything this thread did with the pool
            // comes before it is freed.
            let exchanged = inner.life.compare_exchange_weak(
                now,
                next.raw(),
                Ordering::Release,
                // Relaxed: only compared again.
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) if has_risen => {
                    inner.note_risen();
                    // SAFETY: the handle was just made, by us.
                    return unsafe { Self::let_go(this, HANDLE) };
                }
                // SAFETY: nobody is left, and we come last.
                Ok(_) if next.is_over() => return unsafe { Self::end(this) },
                Ok(_) => return,
                Err(found) => now = found,
            }
        }
    }

    /// Notes that an allocation found nothing, unless buffers have come home meanwhile.
    #[cold]
    pub(super) fn note_exhausted(&self) {
        self.note(|life| {
            let is_over = self.free(life) >= self.marks.recovered() || life.is(Life::CLOSED);
            if is_over { life } else { life.with(Life::LOW | Life::EXHAUSTED) }
        });
    }

    /// Notes what has ended by buffers that came home.
    #[cold]
    fn note_risen(&self) {
        self.note(|life| self.risen(life));
    }

    /// Notes that the pool is closed. Answers false if it was before.
    pub(super) fn note_closed(&self) -> bool {
        let mut is_first = false;
        self.note(|life| {
            is_first = !life.is(Life::CLOSED);
            self.risen(life.with(Life::CLOSED))
        });
        is_first
    }

    /// Changes the state to what `change` says and tells of it. Whoever makes the exchange tells, so each
    /// change is told once; the states alternate, since all of them stand in one word.
    fn note(&self, mut change: impl FnMut(Life) -> Life) {
        // Relaxed: the exchange decides, and publishes nothing; the board does.
        let noted = self.life.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |raw| {
            let (life, next) = (Life::from_raw(raw), change(Life::from_raw(raw)));
            (next != life).then_some(next.raw())
        });
        let Ok(before) = noted else { return };
        let (before, after) = (Life::from_raw(before), change(Life::from_raw(before)));
        self.board.tell(Told {
            crossing: before.is(Life::LOW) != after.is(Life::LOW),
            exhausted: !before.is(Life::EXHAUSTED) && after.is(Life::EXHAUSTED),
            ends: if after.is(Life::DRAINED) { EventBoard::GONE } else { 0 },
        });
    }
}

impl Pool {
    /// Whether fewer buffers are free than the low watermark says, and the high one was not reached
    /// since. One load; for loops that do otherwise when buffers are scarce.
    #[inline(always)]
    pub fn is_low(&self) -> bool {
        // Relaxed: an answer about this moment, which is over when it is given.
        Life::from_raw(self.inner().life.load(Ordering::Relaxed)).is(Life::LOW)
    }

    /// How it stands to its watermarks.
    pub fn watermarks(&self) -> WatermarkStats {
        let inner = self.inner();
        let [crossings, exhausted] = inner.board.counts();
        WatermarkStats {
            marks: inner.marks,
            is_low: self.is_low(),
            low: crossings.div_ceil(2),
            high: crossings / 2,
            exhausted,
        }
    }
}
