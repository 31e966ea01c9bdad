//! What became of a batch.

use skbpool_pool::{DropCount, DropReason};

/// What became of a batch, summed over consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames of the batch.
    pub frames: u64,
    /// Views that were published.
    pub published: u64,
    /// Of those, copies in memory of the consumers' own.
    pub copied: u64,
    /// Views that consumers missed.
    pub missed: u64,
    /// Views that this driver had published before, and that were taken out of rings again to make
    /// place: their consumers miss them, too.
    pub evicted: u64,
    /// Bytes of those.
    pub evicted_bytes: u64,
    /// Frames that no consumer was there for.
    pub unclaimed: u64,
    /// Why views were missed; after the hub was closed, the frames that were dropped.
    pub drops: Drops,
}

/// Frames and bytes that one call dropped, by reason. Costs nothing to make while there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// `sums[reason - 1]`: frames and bytes; none: nothing was dropped.
    sums: Option<[(u64, u64); DropReason::ALL.len()]>,
}

impl Drops {
    /// Adds frames of together `bytes` bytes. No frames are no drop.
    #[cold]
    pub fn add(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        if frames != 0 {
            let sum = &mut self.sums.get_or_insert_default()[reason as usize - 1];
            sum.0 += frames;
            sum.1 += bytes;
        }
    }

    /// Adds what another call dropped.
    pub fn add_all(&mut self, others: &Drops) {
        others.iter().for_each(|drop| self.add(drop.reason, drop.frames, drop.bytes));
    }

    /// What was dropped, for every reason there was, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = DropCount> {
        let sums = self.sums.as_ref().map_or(&[][..], |sums| &sums[..]);
        let reasons = DropReason::ALL.into_iter().zip(sums);
        reasons
            .map(|(reason, &(frames, bytes))| DropCount { reason, frames, bytes })
            .filter(|drop| drop.frames != 0)
    }

    /// Whether nothing was dropped.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.sums.is_none()
    }
}
