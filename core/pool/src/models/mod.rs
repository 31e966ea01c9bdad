//! Models of the lock-free structures. Loom runs each of them through every interleaving of its
//! threads, and every value that a load may return, with at most two preemptions.
//!
//! A payload cell stands for the bytes of a buffer: loom fails the model when two accesses to it, one
//! of them a write, are not ordered by the atomics. What each model catches is in `DESIGN.md`.

mod loom_accounts;
mod loom_cache;
mod loom_counts;
mod loom_depot;
mod loom_event_count;
mod loom_life;
mod loom_provenance;
mod loom_refs;
mod loom_shards;
mod loom_stack;
mod loom_watermark;

use crate::sync::{UnsafeCell, check};

/// What lies in the buffers.
struct Payload {
    cells: Vec<UnsafeCell<u32>>,
}

// SAFETY: that accesses are ordered is what models check.
unsafe impl Send for Payload {}
// SAFETY: as above.
unsafe impl Sync for Payload {}

impl Payload {
    fn new(buffers: u32) -> Self {
        Self { cells: (0..buffers).map(|_| UnsafeCell::new(0)).collect() }
    }

    /// What a writer does, who must be the only one with this buffer.
    fn write(&self, buffer: u32, value: u32) {
        // SAFETY: loom fails the model before two accesses meet.
        self.cells[buffer as usize].with_mut(|cell| unsafe { *cell = value });
    }

    /// What a reader does, beside whom there may be other readers.
    fn read(&self, buffer: u32) -> u32 {
        // SAFETY: as above.
        self.cells[buffer as usize].with(|cell| unsafe { *cell })
    }
}
