//! What drivers and consumers tell about themselves.

use crate::sync::{AtomicU64, Ordering};
use skbpool_pool::DropCount;

/// One consumer's figures. When quiet: `offered = frames + queued` + what was dropped; while drivers are
/// at work `offered` is the larger by what was in motion (I9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStats {
    /// The name it was attached under.
    pub name: String,
    /// Frames offered to it by all drivers.
    pub offered: u64,
    /// Frames it took out of its rings and could use.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Frames that lie in its rings, or that it took and has not said yet what became of.
    pub queued: u64,
    /// Views it holds, those in its rings included, and with them what was released while this was
    /// read: under load it may tell more than the quota for a moment. Views that the consumer appends to
    /// its own (`append_frag`), clones included, count as well though no quota granted them: with those
    /// it may hold more.
    pub held: u64,
    /// Truesize of those views in bytes, read as `held`. Private copies that the consumer makes of them are
    /// charged whole buffers, which may come to more than its quota of bytes.
    pub held_bytes: u64,
    /// Most views it may hold.
    pub quota: u64,
    /// Most bytes it may hold by truesize; none: as many as the views come to.
    pub quota_bytes: Option<u64>,
    /// Frames that were copied into its own memory, since its quota did not grant them; they are
    /// offered, queued and taken as others.
    pub copied: u64,
    /// Bytes of those frames, each copied once.
    pub copied_bytes: u64,
    /// Truesize of the copies it holds, those in its rings included, read as `held`. What `unshare`,
    /// `linearize` and `pull_up` make of them stays charged to the holder of the copies (`NAME copies`),
    /// wherever it lies: it may be more than `copy_memory`.
    pub copies_held_bytes: u64,
    /// Bytes of its own memory; 0: it has none.
    pub copy_memory: u64,
    /// How often a driver waited for it to make room.
    pub waits: u64,
    /// What it missed, by reason.
    pub dropped: Vec<DropCount>,
}

/// One driver's figures. When quiet: `frames = delivered + unclaimed`, where delivered frames are
/// offered to every consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverStats {
    /// The name it was attached under.
    pub name: String,
    /// Frames it received into buffers.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Frames that no consumer was there for.
    pub unclaimed: u64,
    /// Frames that never got into a buffer, by reason.
    pub dropped: Vec<DropCount>,
}

/// Everybody's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubStats {
    /// Drivers that are attached.
    pub drivers: Vec<DriverStats>,
    /// Sums over drivers that were detached; the name is empty.
    pub detached_drivers: DriverStats,
    /// Consumers that are attached.
    pub consumers: Vec<ConsumerStats>,
    /// Sums over consumers that were detached; the name is empty.
    pub detached_consumers: ConsumerStats,
}

/// Adds drops to drops, reason by reason, modulo 2^64: callers count some of them, as many as they say.
pub(crate) fn add_drops(into: &mut Vec<DropCount>, more: &[DropCount]) {
    for drop in more {
        match into.iter_mut().find(|known| known.reason == drop.reason) {
            Some(known) => {
                known.frames = known.frames.wrapping_add(drop.frames);
                known.bytes = known.bytes.wrapping_add(drop.bytes);
            }
            None => into.push(*drop),
        }
    }
}

impl DriverStats {
    pub(crate) fn add(&mut self, other: &DriverStats) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.unclaimed += other.unclaimed;
        add_drops(&mut self.dropped, &other.dropped);
    }
}

impl ConsumerStats {
    pub(crate) fn add(&mut self, other: &ConsumerStats) {
        self.offered += other.offered;
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.held += other.held;
        self.held_bytes += other.held_bytes;
        self.copied += other.copied;
        self.copied_bytes += other.copied_bytes;
        self.copies_held_bytes += other.copies_held_bytes;
        self.waits += other.waits;
        add_drops(&mut self.dropped, &other.dropped);
    }
}

/// A counter with one writer, whose raw value may begin anywhere and wrap; what it tells begins at 0.
#[derive(Debug)]
pub(crate) struct Counter {
    raw: AtomicU64,
    start: u64,
}

impl Counter {
    pub(crate) fn start_at(start: u64) -> Self {
        Self { raw: AtomicU64::new(start), start }
    }

    /// What was counted so far.
    pub(crate) fn get(&self) -> u64 {
        // SYNC: Acquire pairs with the Release of `add`: who reads sinks before sources sees no frame
        // delivered that was not yet offered.
        self.raw.load(Ordering::Acquire).wrapping_sub(self.start)
    }

    /// Counts `by` more. A load and a store.
    #[inline(always)]
    pub(crate) fn add(&self, by: u64) {
        // Relaxed: this thread wrote the value itself.
        let next = self.raw.load(Ordering::Relaxed).wrapping_add(by);
        // SYNC: Release pairs with the Acquire of `get`.
        self.raw.store(next, Ordering::Release);
    }
}
