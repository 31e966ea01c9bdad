//! The shared store of free buffers: magazines over tagged Treiber stacks.

mod groups;
mod magazine;
pub(crate) mod stack;

pub(crate) use groups::CoreGroups;
pub use groups::MAX_DEPOT_SHARDS;
pub(crate) use magazine::MAGAZINE;

use crate::sync::{AtomicU32, UnsafeCell};
use magazine::Magazine;
use stack::{NIL, TaggedStack};

/// Magazines of each shard beyond those that all buffers fill: they let caches give back less than a
/// full one.
const SPARE_MAGAZINES: usize = if cfg!(any(loom, shuttle)) { 1 } else { 16 };

/// One core group's part of the depot.
///
/// ```text
/// full:  head ─► magazine ─► magazine ─► …      each holds 1..=MAGAZINE buffer indices
/// spare: head ─► magazine ─► …                  each holds nothing
/// loose: head ─► buffer ─► buffer ─► …          single buffers, and the overflow when spare is empty
/// ```
struct Shard {
    full: TaggedStack,
    spare: TaggedStack,
    loose: TaggedStack,
}

impl Shard {
    fn new(start_tag: u64) -> Self {
        let stack = || TaggedStack::new(start_tag);
        Self { full: stack(), spare: stack(), loose: stack() }
    }
}

/// ```text
/// first:     full, spare, loose ┐
/// others[0]: full, spare, loose ┼─► links of magazines, links of buffers, magazines: of all together
/// …                             ┘
/// ```
/// Everybody takes from and puts to the shard of its core group, its *home*, and goes on to the next
/// ones when that has nothing. A magazine, full or empty, may lie in any of them.
///
/// Nobody ever waits here for a preempted thread: a magazine between a pop and a push is merely
/// absent, and what it held is in the hands of the thread that took it.
pub(crate) struct Depot {
    first: Shard,
    others: Box<[Shard]>,
    groups: CoreGroups,
    magazine_links: Box<[AtomicU32]>,
    buffer_links: Box<[AtomicU32]>,
    magazines: Box<[UnsafeCell<Magazine>]>,
    magazine_size: usize,
}

// SAFETY: a magazine's cell is touched only by the thread that popped its index from `full` or
// `spare`; the stacks hand each index to one thread at a time and order the accesses.
unsafe impl Sync for Depot {}
// SAFETY: as above; nothing in it is tied to a thread.
unsafe impl Send for Depot {}

impl Depot {
    /// A depot that holds the buffers `0..count`, in magazines of `magazine_size`: each shard the same
    /// share of them, those that lie side by side in one.
    pub(crate) fn new(
        count: u32,
        magazine_size: usize,
        start_tag: u64,
        groups: CoreGroups,
    ) -> Self {
        debug_assert!((1..=MAGAZINE).contains(&magazine_size));
        let shards = groups.shards() as usize;
        let filled = (count as usize).div_ceil(magazine_size);
        let magazines = filled + shards * SPARE_MAGAZINES;
        let depot = Self {
            first: Shard::new(start_tag),
            others: (1..shards).map(|_| Shard::new(start_tag)).collect(),
            groups,
            magazine_links: (0..magazines).map(|_| AtomicU32::new(NIL)).collect(),
            buffer_links: (0..count).map(|_| AtomicU32::new(NIL)).collect(),
            magazines: (0..magazines).map(|_| UnsafeCell::new(Magazine::empty())).collect(),
            magazine_size,
        };
        for index in (0..magazines).rev() {
            depot.shard(index * shards / magazines).spare.push(&depot.magazine_links, index as u32);
        }
        // Highest first, so that the lowest addresses are handed out first.
        let indices: Vec<u32> = (0..count).rev().collect();
        for (number, chunk) in indices.chunks(magazine_size).enumerate() {
            depot.put((filled - 1 - number) * shards / filled, chunk);
        }
        depot
    }

    /// Buffers in a full magazine.
    #[inline(always)]
    pub(crate) fn magazine_size(&self) -> usize {
        self.magazine_size
    }

    /// The home of the calling thread.
    #[inline]
    pub(crate) fn home(&self) -> usize {
        self.groups.home()
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u32 {
        self.groups.shards()
    }

    #[inline]
    fn shard(&self, number: usize) -> &Shard {
        if number == 0 { &self.first } else { &self.others[number - 1] }
    }

    /// What the first shard answers that `ask` finds something in: `home`, else those that follow it.
    #[inline]
    fn look<T>(&self, home: usize, mut ask: impl FnMut(&Shard) -> Option<T>) -> Option<T> {
        let found = ask(self.shard(home));
        if found.is_some() || self.others.is_empty() {
            return found;
        }
        self.steal(home, ask)
    }

    #[cold]
    fn steal<T>(&self, home: usize, mut ask: impl FnMut(&Shard) -> Option<T>) -> Option<T> {
        let shards = self.others.len() + 1;
        (1..shards).find_map(|step| ask(self.shard((home + step) % shards)))
    }

    /// Takes up to a magazine's worth of buffers into `into`: a magazine, or loose buffers if there is
    /// none; from the first shard that has some, `home` before the others. Returns how many; 0 means
    /// that every shard was empty when it was looked at.
    ///
    /// Two compare-and-swaps for a magazine, one for each loose buffer, when uncontended; two loads for
    /// each shard that is empty.
    pub(crate) fn take(&self, home: usize, into: &mut [u32]) -> usize {
        debug_assert!(into.len() >= self.magazine_size);
        self.look(home, |shard| {
            if let Some(index) = shard.full.pop(&self.magazine_links) {
                // SAFETY: the pop made this thread the only owner of the magazine.
                let taken = self.magazines[index as usize]
                    .with_mut(|magazine| unsafe { (*magazine).drain_into(into) });
                // The magazine goes where its buffers will be put.
                self.shard(home).spare.push(&self.magazine_links, index);
                return Some(taken);
            }
            let mut taken = 0;
            while taken < self.magazine_size {
                let Some(index) = shard.loose.pop(&self.buffer_links) else { break };
                into[taken] = index;
                taken += 1;
            }
            (taken != 0).then_some(taken)
        })
        .unwrap_or(0)
    }

    /// Puts at most a magazine's worth of buffers back, to `home`. Never fails: when no shard has a
    /// spare magazine the buffers become loose.
    pub(crate) fn put(&self, home: usize, indices: &[u32]) {
        debug_assert!(indices.len() <= self.magazine_size);
        if indices.is_empty() {
            return;
        }
        let Some(index) = self.look(home, |shard| shard.spare.pop(&self.magazine_links)) else {
            for &index in indices {
                self.put_one(home, index);
            }
            return;
        };
        // SAFETY: the pop made this thread the only owner of the magazine.
        self.magazines[index as usize].with_mut(|magazine| unsafe { (*magazine).fill(indices) });
        self.shard(home).full.push(&self.magazine_links, index);
    }

    /// Takes one buffer: a loose one, else one of a magazine, whose rest goes back where it was; `home`
    /// before the others.
    pub(crate) fn take_one(&self, home: usize) -> Option<u32> {
        self.look(home, |shard| {
            if let Some(index) = shard.loose.pop(&self.buffer_links) {
                return Some(index);
            }
            let index = shard.full.pop(&self.magazine_links)?;
            // SAFETY: the pop made this thread the only owner of the magazine.
            let (taken, rest) = self.magazines[index as usize]
                .with_mut(|magazine| unsafe { (*magazine).take_one() });
            let stack = if rest == 0 { &shard.spare } else { &shard.full };
            stack.push(&self.magazine_links, index);
            Some(taken)
        })
    }

    /// Puts one buffer back as a loose one.
    #[inline]
    pub(crate) fn put_one(&self, home: usize, index: u32) {
        self.shard(home).loose.push(&self.buffer_links, index);
    }

    /// Every buffer in the depot. Exact only when nobody uses the depot meanwhile.
    pub(crate) fn contents(&self) -> Vec<u32> {
        (0..=self.others.len()).flat_map(|shard| self.contents_of(shard)).collect()
    }

    /// Every buffer in one shard.
    pub(crate) fn contents_of(&self, shard: usize) -> Vec<u32> {
        let (mut found, shard) = (Vec::new(), self.shard(shard));
        shard.full.walk(&self.magazine_links, self.magazines.len(), |index| {
            // SAFETY: quiescent by contract, so nobody owns the magazine for writing.
            self.magazines[index as usize]
                .with(|magazine| found.extend_from_slice(unsafe { (*magazine).items() }));
        });
        let limit = self.buffer_links.len() + 1;
        shard.loose.walk(&self.buffer_links, limit, |index| found.push(index));
        found
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn depot(count: u32, size: usize, start_tag: u64, shards: u32) -> Depot {
        Depot::new(count, size, start_tag, CoreGroups::new(shards, None).unwrap())
    }

    #[test]
    fn holds_every_buffer_once() {
        for (count, size) in [(1, 1), (63, 64), (64, 64), (65, 64), (1000, 7)] {
            for shards in [1, 2, 3, 64] {
                let found = depot(count, size, u64::MAX - 3, shards).contents();
                assert_eq!(found.len(), count as usize);
                assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..count).collect());
            }
        }
    }

    #[test]
    fn lowest_first() {
        let depot = depot(8, 4, 0, 1);
        let mut into = [0; 4];
        assert_eq!(depot.take(0, &mut into), 4);
        assert_eq!(into, [3, 2, 1, 0]);
    }

    #[test]
    fn home_first_and_then_whoever_has_some() {
        let depot = depot(16, 4, 0, 2);
        assert_eq!(depot.contents_of(1).into_iter().collect::<BTreeSet<_>>(), (8..16).collect());
        let mut into = [0; 4];
        let mut taken: Vec<u32> = std::iter::from_fn(|| {
            (depot.take(1, &mut into) == 4).then(|| into.iter().min().copied().unwrap())
        })
        .collect();
        assert_eq!(taken, [8, 12, 0, 4], "its own before the others'");
        assert_eq!(depot.take_one(0), None);
        taken.sort_unstable();
        for first in taken {
            depot.put(1, &[first, first + 1, first + 2, first + 3]);
        }
        assert_eq!(depot.contents_of(0), [], "everything lies where it was put");
        depot.put_one(0, depot.take_one(0).unwrap());
        assert_eq!([depot.contents_of(0).len(), depot.contents_of(1).len()], [1, 15]);
    }

    #[test]
    fn without_spare_magazines_nothing_is_lost() {
        for shards in [1, 4] {
            let depot = depot(256, 2, 0, shards);
            let mut into = [0; 2];
            let mut held = Vec::new();
            while depot.take(0, &mut into) == 2 {
                held.extend_from_slice(&into);
            }
            assert_eq!(held.len(), 256);
            // One buffer a magazine needs 256 magazines; there are 144, or 192.
            for &index in &held {
                depot.put(shards as usize - 1, &[index]);
            }
            assert_eq!(depot.contents().into_iter().collect::<BTreeSet<_>>().len(), 256);
            let again: Vec<u32> = std::iter::from_fn(|| depot.take_one(0)).collect();
            assert_eq!(again.into_iter().collect::<BTreeSet<_>>(), (0..256).collect());
        }
    }
}
