//! Messages whose frames are delivered where they lie, instead of being copied into the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skbpool_pool::{Armed, Buffer, RxFrame, clock};
use skbpool_wire::{FrameBatchView, Frames};

use crate::landing::{BURST_FRAMES, Landing};

/// Frames that are described before views of them are cut: what is written of them is read back from the
/// nearest cache. A divisor of [`BURST_FRAMES`].
const DESCRIBED: usize = 64;

/// How many bytes of messages may be adopted at a time, by all streams that share it.
///
/// A view pins the message it lies in, so what slow consumers hold is bounded by this and not by the
/// pool.
#[derive(Debug)]
pub struct AdoptionBudget {
    bytes: u64,
    taken: AtomicU64,
}

/// A part of a budget; dropping it gives the bytes back.
#[derive(Debug)]
pub struct Adoption {
    budget: Arc<AdoptionBudget>,
    bytes: u64,
}

/// A reference to a message that was to be adopted.
#[derive(Debug)]
pub enum Kept {
    /// It was: what is left beside the views that were delivered.
    Views(Armed),
    /// It was not, and nobody else has it.
    Whole(Buffer),
}

impl AdoptionBudget {
    /// A budget of so many bytes; 0: nothing is adopted.
    pub fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes, taken: AtomicU64::new(0) })
    }

    /// Bytes of messages that are adopted now.
    pub fn taken(&self) -> u64 {
        // Relaxed: a counter, and so below: no memory is handed over by it.
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes `bytes` out of the budget; `None` if they are not there.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Option<Adoption> {
        // Relaxed: as in `taken`.
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            taken.checked_add(bytes).filter(|sum| *sum <= self.bytes)
        });
        taken.ok().map(|_| Adoption { budget: Arc::clone(self), bytes })
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        // Relaxed: as in `taken`.
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Landing {
    /// Delivers every frame of `batch`, which was parsed from the bytes of `message`, where it lies.
    ///
    /// Nothing of it is if it has no frames, or more than references can be counted. Costs no copy, one skb
    /// written a frame, and one atomic subtraction a burst.
    pub(crate) fn deliver_in_place(&mut self, message: Buffer, batch: &FrameBatchView<'_>) -> Kept {
        let views = u32::try_from(batch.len()).ok().filter(|views| *views != 0);
        let Some(references) = views.and_then(|views| views.checked_add(1)) else {
            return Kept::Whole(message);
        };
        let mut armed = match message.arm(references) {
            Ok(armed) => armed,
            Err((_, message)) => return Kept::Whole(message),
        };
        let birth = clock::tick();
        let mut at = batch.bytes_position() as u32;
        let mut frames = batch.frames();
        let mut described = [RxFrame::default(); DESCRIBED];
        loop {
            let count = describe_next(&mut frames, &mut at, &mut described);
            // Each lies in the message, as was found when that was parsed.
            if self.cut(&mut armed, &described[..count], birth) >= BURST_FRAMES {
                self.deliver();
            }
            if count < DESCRIBED {
                break;
            }
        }
        self.deliver();
        Kept::Views(armed)
    }
}

/// Describes the next of `frames`, the first of which lies at `at` in its buffer, as many as there are and
/// have room; returns how many.
#[inline]
fn describe_next(frames: &mut Frames<'_, '_>, at: &mut u32, room: &mut [RxFrame]) -> usize {
    let mut count = 0;
    for (place, frame) in room.iter_mut().zip(frames) {
        let len = frame.bytes.len() as u32;
        let end = *at + len;
        *place = RxFrame {
            timestamp_ns: frame.timestamp_ns,
            head: *at,
            offset: *at,
            len,
            end,
            original_length: frame.original_length,
            // It was checked to fit.
            interface: frame.interface as u16,
            link_type: frame.link_type,
        };
        *at = end;
        count += 1;
    }
    count
}
