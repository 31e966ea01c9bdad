//! What the hardware counts.

use skbpool_pool::sync::{AtomicBool, AtomicU64, Ordering, bump};

/// Written by the hardware side only. Counters begin at `start` and may wrap.
#[derive(Debug)]
pub(super) struct HardwareCounters {
    offered: AtomicU64,
    wire_bits: AtomicU64,
    missed: AtomicU64,
    missed_bytes: AtomicU64,
    too_large: AtomicU64,
    too_large_bytes: AtomicU64,
    late: AtomicU64,
    ended: AtomicBool,
    start: u64,
}

/// The hardware's figures. When quiet: `offered - missed - too_large` frames landed in buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardwareStats {
    /// Frames that came over the line.
    pub offered: u64,
    /// Bits those frames took on the wire, preamble and gap included.
    pub wire_bits: u64,
    /// Of the offered, those that found no posted buffer.
    pub missed: u64,
    /// Bytes of those, as they would have lain in memory.
    pub missed_bytes: u64,
    /// Of the offered, those that all buffers of the ring together cannot hold.
    pub too_large: u64,
    /// Bytes of those, as they would have lain in memory.
    pub too_large_bytes: u64,
    /// Frames that the line had time for and that were not made, because the emulator itself was
    /// kept from running for too long. They are not offered, and their absence lowers the rate.
    pub late: u64,
}

impl HardwareCounters {
    pub(super) fn start_at(start: u64) -> Self {
        let counter = || AtomicU64::new(start);
        Self {
            offered: counter(),
            wire_bits: counter(),
            missed: counter(),
            missed_bytes: counter(),
            too_large: counter(),
            too_large_bytes: counter(),
            late: counter(),
            ended: AtomicBool::new(false),
            start,
        }
    }

    pub(super) fn stats(&self) -> HardwareStats {
        // Relaxed: counters, read for reporting and for differences only.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed).wrapping_sub(self.start);
        HardwareStats {
            offered: read(&self.offered),
            wire_bits: read(&self.wire_bits),
            missed: read(&self.missed),
            missed_bytes: read(&self.missed_bytes),
            too_large: read(&self.too_large),
            too_large_bytes: read(&self.too_large_bytes),
            late: read(&self.late),
        }
    }

    pub(super) fn add(&self, step: &HardwareStats) {
        bump(&self.offered, step.offered);
        bump(&self.wire_bits, step.wire_bits);
        bump(&self.missed, step.missed);
        bump(&self.missed_bytes, step.missed_bytes);
        bump(&self.too_large, step.too_large);
        bump(&self.too_large_bytes, step.too_large_bytes);
        bump(&self.late, step.late);
    }

    pub(super) fn end(&self) {
        // SYNC: Release pairs with the Acquire of `has_ended`: the last buffer is completed and the
        // last frame counted first.
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        // SYNC: Acquire pairs with the Release of `end`.
        self.ended.load(Ordering::Acquire)
    }
}
