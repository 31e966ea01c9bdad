//! What the hardware counts.

use skbpool_pool::sync::{AtomicBool, AtomicU64, Ordering, bump};

/// Written by the hardware side only.
#[derive(Debug, Default)]
pub(super) struct HardwareCounters {
    pub(super) offered: AtomicU64,
    pub(super) wire_bits: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) missed_bytes: AtomicU64,
    pub(super) late: AtomicU64,
    ended: AtomicBool,
}

/// The hardware's figures.
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
    /// Frames that the line had time for and that were not made, because the emulator itself was
    /// kept from running for too long. They are not offered, and their absence lowers the rate.
    pub late: u64,
}

impl HardwareCounters {
    pub(super) fn stats(&self) -> HardwareStats {
        // Relaxed: counters, read for reporting only.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HardwareStats {
            offered: read(&self.offered),
            wire_bits: read(&self.wire_bits),
            missed: read(&self.missed),
            missed_bytes: read(&self.missed_bytes),
            late: read(&self.late),
        }
    }

    pub(super) fn add(&self, step: &HardwareStats) {
        bump(&self.offered, step.offered);
        bump(&self.wire_bits, step.wire_bits);
        bump(&self.missed, step.missed);
        bump(&self.missed_bytes, step.missed_bytes);
        bump(&self.late, step.late);
    }

    pub(super) fn end(&self) {
        // SYNC: Release pairs with the Acquire of `has_ended`: the last buffer is completed first.
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        // SYNC: Acquire pairs with the Release of `end`.
        self.ended.load(Ordering::Acquire)
    }
}
