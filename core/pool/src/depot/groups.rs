//! Which shard of the depot is whose.

use crate::contain::contain;
use std::ffi::{c_int, c_long};
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
        let each = configured_processors().div_ceil(shards.get());
        let processors = NonZeroU32::new(each).unwrap_or(NonZeroU32::MIN);
        Some(Self { shards, processors, told })
    }

    pub(crate) fn shards(self) -> u32 {
        self.shards.get()
    }

    /// The shard of the calling thread's group. Costs nothing with one shard; otherwise a look at the
    /// processor that the thread runs on, or a call of what was told. Never unwinds: it is asked by releases
    /// that have given up their references.
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
            Some(told) => {
                contain("what tells core groups", "the thread counts as one of the first", told)
                    .unwrap_or(0)
            }
            #[cfg(not(loom))]
            None => rustix::thread::sched_getcpu() as u32 / self.processors,
            #[cfg(loom)]
            None => 0,
        }
    }
}

/// Processors that the machine has, whichever of them this process may use: `sched_getcpu` numbers all.
fn configured_processors() -> u32 {
    unsafe extern "C" {
        fn sysconf(name: c_int) -> c_long;
    }
    /// `_SC_NPROCESSORS_CONF`, the same in every C library on Linux.
    const CONFIGURED: c_int = 83;
    // SAFETY: it takes any number, and answers -1 to one that it does not know.
    u32::try_from(unsafe { sysconf(CONFIGURED) }).unwrap_or(1).max(1)
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
    /// A quota or a mask leaves processors of high numbers to a process, and all shards in use.
    #[test]
    fn groups_are_of_all_processors_of_the_machine() {
        let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
        let last = possible.trim().rsplit(['-', ',']).next().unwrap();
        assert_eq!(configured_processors(), last.parse::<u32>().unwrap() + 1);
    }
}
