//! The shared store of free buffers: magazines over tagged Treiber stacks.

mod magazine;
pub(crate) mod stack;

pub(crate) use magazine::MAGAZINE;

use crate::sync::{AtomicU32, UnsafeCell};
use magazine::Magazine;
use stack::{NIL, TaggedStack};

/// Magazines beyond those that all buffers fill: they let caches give back less than a full one.
const SPARE_MAGAZINES: usize = if cfg!(any(loom, shuttle)) { 1 } else { 16 };

/// ```text
/// full:  head ─► magazine ─► magazine ─► …      each holds 1..=MAGAZINE buffer indices
/// spare: head ─► magazine ─► …                  each holds nothing
/// loose: head ─► buffer ─► buffer ─► …          single buffers, and the overflow when spare is empty
/// ```
/// Nobody ever waits here for a preempted thread: a magazine between a pop and a push is merely
/// absent, and what it held is in the hands of the thread that took it.
pub(crate) struct Depot {
    full: TaggedStack,
    spare: TaggedStack,
    loose: TaggedStack,
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
    /// A depot that holds the buffers `0..count`, in magazines of `magazine_size`.
    pub(crate) fn new(count: u32, magazine_size: usize, start_tag: u64) -> Self {
        debug_assert!((1..=MAGAZINE).contains(&magazine_size));
        let magazines = (count as usize).div_ceil(magazine_size) + SPARE_MAGAZINES;
        let depot = Self {
            full: TaggedStack::new(start_tag),
            spare: TaggedStack::new(start_tag),
            loose: TaggedStack::new(start_tag),
            magazine_links: (0..magazines).map(|_| AtomicU32::new(NIL)).collect(),
            buffer_links: (0..count).map(|_| AtomicU32::new(NIL)).collect(),
            magazines: (0..magazines).map(|_| UnsafeCell::new(Magazine::empty())).collect(),
            magazine_size,
        };
        for index in (0..magazines as u32).rev() {
            depot.spare.push(&depot.magazine_links, index);
        }
        // Highest first, so that the lowest addresses are handed out first.
        let indices: Vec<u32> = (0..count).rev().collect();
        for chunk in indices.chunks(magazine_size) {
            depot.put(chunk);
        }
        depot
    }

    /// Buffers in a full magazine.
    #[inline(always)]
    pub(crate) fn magazine_size(&self) -> usize {
        self.magazine_size
    }

    /// Takes up to a magazine's worth of buffers into `into`: a magazine, or loose buffers if there is
    /// none. Returns how many; 0 means that the depot is empty.
    ///
    /// Two compare-and-swaps for a magazine, one for each loose buffer, when uncontended.
    pub(crate) fn take(&self, into: &mut [u32]) -> usize {
        debug_assert!(into.len() >= self.magazine_size);
        if let Some(index) = self.full.pop(&self.magazine_links) {
            // SAFETY: the pop made this thread the only owner of the magazine.
            let taken = self.magazines[index as usize]
                .with_mut(|magazine| unsafe { (*magazine).drain_into(into) });
            self.spare.push(&self.magazine_links, index);
            return taken;
        }
        let mut taken = 0;
        while taken < self.magazine_size {
            let Some(index) = self.loose.pop(&self.buffer_links) else { break };
            into[taken] = index;
            taken += 1;
        }
        taken
    }

    /// Puts at most a magazine's worth of buffers back. Never fails: without a spare magazine the
    /// buffers become loose.
    pub(crate) fn put(&self, indices: &[u32]) {
        debug_assert!(indices.len() <= self.magazine_size);
        if indices.is_empty() {
            return;
        }
        let Some(index) = self.spare.pop(&self.magazine_links) else {
            for &index in indices {
                self.put_one(index);
            }
            return;
        };
        // SAFETY: the pop made this thread the only owner of the magazine.
        self.magazines[index as usize].with_mut(|magazine| unsafe { (*magazine).fill(indices) });
        self.full.push(&self.magazine_links, index);
    }

    /// Takes one buffer: a loose one, else one of a magazine, whose rest goes back.
    pub(crate) fn take_one(&self) -> Option<u32> {
        if let Some(index) = self.loose.pop(&self.buffer_links) {
            return Some(index);
        }
        let index = self.full.pop(&self.magazine_links)?;
        // SAFETY: the pop made this thread the only owner of the magazine.
        let (taken, rest) =
            self.magazines[index as usize].with_mut(|magazine| unsafe { (*magazine).take_one() });
        let stack = if rest == 0 { &self.spare } else { &self.full };
        stack.push(&self.magazine_links, index);
        Some(taken)
    }

    /// Puts one buffer back as a loose one.
    #[inline]
    pub(crate) fn put_one(&self, index: u32) {
        self.loose.push(&self.buffer_links, index);
    }

    /// Every buffer in the depot. Exact only when nobody uses the depot meanwhile.
    pub(crate) fn contents(&self) -> Vec<u32> {
        let mut found = Vec::with_capacity(self.buffer_links.len());
        self.full.walk(&self.magazine_links, self.magazines.len(), |index| {
            // SAFETY: quiescent by contract, so nobody owns the magazine for writing.
            self.magazines[index as usize]
                .with(|magazine| found.extend_from_slice(unsafe { (*magazine).items() }));
        });
        self.loose.walk(&self.buffer_links, self.buffer_links.len() + 1, |index| found.push(index));
        found
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn holds_every_buffer_once() {
        for (count, size) in [(1, 1), (63, 64), (64, 64), (65, 64), (1000, 7)] {
            let found = Depot::new(count, size, u64::MAX - 3).contents();
            assert_eq!(found.len(), count as usize);
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..count).collect());
        }
    }

    #[test]
    fn lowest_first() {
        let depot = Depot::new(8, 4, 0);
        let mut into = [0; 4];
        assert_eq!(depot.take(&mut into), 4);
        assert_eq!(into, [3, 2, 1, 0]);
    }

    #[test]
    fn without_spare_magazines_nothing_is_lost() {
        let depot = Depot::new(256, 2, 0);
        let mut into = [0; 2];
        let mut held = Vec::new();
        while depot.take(&mut into) == 2 {
            held.extend_from_slice(&into);
        }
        assert_eq!(held.len(), 256);
        // One buffer a magazine needs 256 magazines; there are 144.
        for &index in &held {
            depot.put(&[index]);
        }
        assert_eq!(depot.contents().into_iter().collect::<BTreeSet<_>>().len(), 256);
        let again: Vec<u32> = std::iter::from_fn(|| depot.take_one()).collect();
        assert_eq!(again.into_iter().collect::<BTreeSet<_>>(), (0..256).collect());
    }
}
