//! Which shard of the depot is whose.

use std::num::NonZeroU32;

/// Most shards of one depot.
pub const MAX_DEPOT_SHARDS: u32 = 64;

/// Core groups: processors that share a cache, or memory, and use one shard of the depot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreGroups {
    shards: NonZeroU32,
    /// Processors of a group, whose numbers follow each other.
    #[cfg_attr(loom, expect(dead_code, reason = "models name their shard"))]
    processors: NonZeroU32,
    /// Tells the calling thread's group in the place of its processor.
    told: Option<fn() -> u32>,
}

impl CoreGroups {
    /// As many groups as there are shards; none for 0 or more than [`MAX_DEPOT_SHARDS`].
    pub(crate) fn new(shards: u32, told: Option<fn() -> u32>) -> Option<Self> {
        let shards = NonZeroU32::new(shards).filter(|shards| shards.get() <= MAX_DEPOT_SHARDS)?;
        let all = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        let processors = NonZeroU32::new(all.div_ceil(shards.get())).unwrap_or(NonZeroU32::MIN);
        Some(Self { shards, processors, told })
    }

    pub(crate) fn shards(self) -> u32 {
        self.shards.get()
    }

    /// The shard of the calling thread's group. Costs nothing with one shard; otherwise a look at the
    /// processor that the thread runs on, or a call of what was told.
    #[inline(always)]
    pub(crate) fn home(self) -> usize {
        if self.shards.get() == 1 {
            return 0;
        }
        (self.group() % self.shards) as usize
    }

    #[inline(never)]
    fn group(self) -> u32 {
        match self.told {
            Some(told) => told(),
            #[cfg(not(loom))]
            None => rustix::thread::sched_getcpu() as u32 / self.processors,
            #[cfg(loom)]
            None => 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_a_shard_and_one_needs_no_look() {
        assert!(CoreGroups::new(0, None).is_none());
        assert!(CoreGroups::new(MAX_DEPOT_SHARDS + 1, None).is_none());
        assert_eq!(CoreGroups::new(1, Some(|| unreachable!())).unwrap().home(), 0);
        assert_eq!(CoreGroups::new(4, Some(|| 6)).unwrap().home(), 2);
        assert!(CoreGroups::new(2, None).unwrap().home() < 2);
    }
}
