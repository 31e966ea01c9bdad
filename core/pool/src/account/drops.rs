//! The one list of reasons for which a frame can be dropped, in the whole product.

use crate::sync::{AtomicU64, Ordering, bump};

/// Why a frame was not delivered. The numbers are those of `skbpool.v1.DropReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// The card had no posted buffer: the driver is too slow for the line.
    NoDescriptor = 1,
    /// No replacement buffer could be allocated, so the frame's buffer went back on the ring (S4).
    PoolEmpty = 2,
    /// The consumer's delivery ring had no slot left, for a view or for a copy of the frame. Small copies,
    /// many to a buffer, may use up the slots of one that copies out before its memory.
    RingFull = 3,
    /// The consumer holds as much as its quota allows (S5), and of its own memory, where it copies out.
    Quota = 4,
    /// The frame is larger than the largest frame allowed.
    TooLarge = 5,
    /// The frame's description contradicts itself.
    Malformed = 6,
    /// The consumer left while the frame was in its ring.
    Detached = 7,
    /// The pool or the hub was closed.
    Closed = 8,
    /// The buffer's reference count is at its limit.
    SharedLimit = 9,
    /// It lay in its consumer's delivery ring when newer ones needed the place: the consumer drops the
    /// oldest.
    Evicted = 10,
}

impl DropReason {
    /// Every reason, in the order of its number.
    pub const ALL: [DropReason; 10] = [
        Self::NoDescriptor,
        Self::PoolEmpty,
        Self::RingFull,
        Self::Quota,
        Self::TooLarge,
        Self::Malformed,
        Self::Detached,
        Self::Closed,
        Self::SharedLimit,
        Self::Evicted,
    ];

    /// The name used in metrics labels, JSON keys and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoDescriptor => "no_descriptor",
            Self::PoolEmpty => "pool_empty",
            Self::RingFull => "ring_full",
            Self::Quota => "quota",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Detached => "detached",
            Self::Closed => "closed",
            Self::SharedLimit => "shared_limit",
            Self::Evicted => "evicted",
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// Frames and bytes dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// Why.
    pub reason: DropReason,
    /// Frames.
    pub frames: u64,
    /// Bytes of those frames, as they lay in memory.
    pub bytes: u64,
}

/// Drops by reason, written by one thread and read by any.
#[derive(Debug)]
pub struct DropCounters {
    /// `cells[2 * (reason - 1)]` counts frames, the cell after it bytes.
    cells: [AtomicU64; 2 * DropReason::ALL.len()],
    start: u64,
}

impl Default for DropCounters {
    fn default() -> Self {
        Self::start_at(0)
    }
}

impl DropCounters {
    /// Counters whose raw values begin at `start` and may wrap; what is reported begins at 0.
    pub fn start_at(start: u64) -> Self {
        Self { cells: std::array::from_fn(|_| AtomicU64::new(start)), start }
    }

    /// Counts `frames` frames of together `bytes` bytes. One writer at a time.
    #[inline]
    pub fn count(&self, reason: DropReason, frames: u64, bytes: u64) {
        let cell = 2 * (reason as usize - 1);
        bump(&self.cells[cell], frames);
        bump(&self.cells[cell + 1], bytes);
    }

    /// The drops so far, for one reason.
    pub fn get(&self, reason: DropReason) -> DropCount {
        let cell = 2 * (reason as usize - 1);
        // Relaxed: counters, read for reporting only.
        let read = |at: usize| self.cells[at].load(Ordering::Relaxed).wrapping_sub(self.start);
        DropCount { reason, frames: read(cell), bytes: read(cell + 1) }
    }

    /// The drops so far, for every reason that occurred.
    pub fn snapshot(&self) -> Vec<DropCount> {
        DropReason::ALL
            .into_iter()
            .map(|reason| self.get(reason))
            .filter(|count| count.frames != 0)
            .collect()
    }

    /// Frames dropped so far, whatever the reason; wraps as the counters do.
    pub fn frames(&self) -> u64 {
        let frames = DropReason::ALL.into_iter().map(|reason| self.get(reason).frames);
        frames.fold(0, u64::wrapping_add)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_distinct() {
        for (position, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.number() as usize, position + 1);
        }
        let names: std::collections::BTreeSet<_> =
            DropReason::ALL.into_iter().map(DropReason::name).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
    }

    #[test]
    fn counts_across_a_wrap() {
        let drops = DropCounters::start_at(u64::MAX - 3);
        drops.count(DropReason::Quota, 5, 320);
        drops.count(DropReason::Quota, 1, 64);
        assert_eq!(
            drops.snapshot(),
            [DropCount { reason: DropReason::Quota, frames: 6, bytes: 384 }]
        );
        assert_eq!(drops.frames(), 6);
    }

    #[test]
    fn the_sum_over_reasons_wraps_too() {
        let drops = DropCounters::default();
        drops.count(DropReason::Quota, u64::MAX, 0);
        drops.count(DropReason::RingFull, 5, 0);
        assert_eq!(drops.frames(), 4);
    }
}
