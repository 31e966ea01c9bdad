//! How many payload bytes each stage copied.

use super::accounts::Accounts;
use super::shard::ShardHandle;
use crate::sync::{AtomicU64, Ordering, bump};

/// A stage that copies payload. What brings a frame into its first buffer is counted only where the
/// bytes were in memory before: a message that lands. An emulated card writes each byte once, as a card
/// does by DMA; that is the frame's arrival and no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CopyStage {
    /// From a message into pool buffers.
    Land = 0,
    /// From a program's frames into the batch of the next message.
    Compose = 1,
    /// From buffers into a message.
    Encode = 2,
    /// `copy`, `unshare`, `linearize`, `pull_up`: into buffers of one's own.
    SkbCopy = 3,
    /// Small frames of a large buffer into small ones, while the pool is low.
    SmallFrame = 4,
    /// From buffers into the memory of a consumer that holds too much.
    CopyOut = 5,
}

const STAGES: usize = CopyStage::ALL.len();

impl CopyStage {
    /// Every stage, in the order of its number.
    pub const ALL: [CopyStage; 6] =
        [Self::Land, Self::Compose, Self::Encode, Self::SkbCopy, Self::SmallFrame, Self::CopyOut];

    /// The name used in metrics labels, JSON keys and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Land => "land",
            Self::Compose => "compose",
            Self::Encode => "encode",
            Self::SkbCopy => "skb_copy",
            Self::SmallFrame => "small_frame",
            Self::CopyOut => "copy_out",
        }
    }
}

/// What one stage copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCount {
    /// Which.
    pub stage: CopyStage,
    /// Frames.
    pub frames: u64,
    /// Bytes of those frames: payload, without what a copy rounds up to.
    pub bytes: u64,
}

/// One shard's part: `cells[stage]` counts frames and bytes; monotonic, may wrap.
#[derive(Debug)]
pub(super) struct CopyCells([[AtomicU64; 2]; STAGES]);

impl CopyCells {
    pub(super) fn start_at(start: u64) -> Self {
        Self(std::array::from_fn(|_| [AtomicU64::new(start), AtomicU64::new(start)]))
    }
}

impl ShardHandle {
    /// Counts `frames` frames of together `bytes` bytes as copied by `stage`, in the accounts of this
    /// shard. Two loads and two stores; to be called once a batch.
    #[inline]
    pub fn count_copy(&mut self, stage: CopyStage, frames: u64, bytes: u64) {
        if self.is_shared() {
            return self.accounts().count_copy(stage, frames, bytes);
        }
        let [counted_frames, counted_bytes] = &self.shard().copies.0[stage as usize];
        bump(counted_frames, frames);
        bump(counted_bytes, bytes);
    }
}

impl Accounts {
    /// As [`ShardHandle::count_copy`], for callers without a shard: two atomic additions.
    pub fn count_copy(&self, stage: CopyStage, frames: u64, bytes: u64) {
        let [counted_frames, counted_bytes] = &self.shard(0).copies.0[stage as usize];
        // Relaxed, both: counters, read for reporting only.
        counted_frames.fetch_add(frames, Ordering::Relaxed);
        counted_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What each stage copied so far of frames of pools with these accounts, in the order of
    /// [`CopyStage::ALL`]. A path's copies of a byte are the sum over the stages it goes through.
    pub fn copies(&self) -> [CopyCount; STAGES] {
        CopyStage::ALL.map(|stage| {
            let [frames, bytes] = [0, 1].map(|cell| {
                self.used_shards().fold(0u64, |sum, shard| {
                    // Relaxed: counters, read for reporting only.
                    let raw = shard.copies.0[stage as usize][cell].load(Ordering::Relaxed);
                    sum.wrapping_add(raw.wrapping_sub(self.start()))
                })
            });
            CopyCount { stage, frames, bytes }
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_shards_add_up_across_a_wrap() {
        for start in [0, u64::MAX - 3] {
            let accounts = Accounts::start_at(start);
            let mut shards = [accounts.shard_handle(), accounts.shard_handle()];
            for stage in CopyStage::ALL {
                shards.iter_mut().for_each(|shard| shard.count_copy(stage, 2, 100));
                accounts.count_copy(stage, 1, stage as u64);
            }
            for (at, count) in accounts.copies().into_iter().enumerate() {
                let stage = CopyStage::ALL[at];
                assert_eq!(count, CopyCount { stage, frames: 5, bytes: 200 + stage as u64 });
                assert_eq!(stage as usize, at);
            }
        }
        let names = CopyStage::ALL.map(CopyStage::name);
        assert_eq!(names.into_iter().collect::<std::collections::BTreeSet<_>>().len(), STAGES);
    }

    #[test]
    fn writers_that_came_too_late_lose_no_count() {
        let accounts = Accounts::new();
        let mut handles: Vec<_> =
            (0..super::super::MAX_SHARDS + 2).map(|_| accounts.shard_handle()).collect();
        std::thread::scope(|scope| {
            for handle in handles.iter_mut().rev().take(3) {
                scope.spawn(|| (0..10_000).for_each(|_| handle.count_copy(CopyStage::Land, 1, 2)));
            }
        });
        let land = accounts.copies()[CopyStage::Land as usize];
        assert_eq!((land.frames, land.bytes), (30_000, 60_000));
    }
}
