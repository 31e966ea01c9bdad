//! A Treiber stack of indices with a tag against ABA.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// Bits of an index; the rest of the word is the tag.
pub(crate) const INDEX_BITS: u32 = 24;
/// The index that means "none"; valid indices are below it.
pub(crate) const NIL: u32 = (1 << INDEX_BITS) - 1;

const TAG_MASK: u64 = (1 << (64 - INDEX_BITS)) - 1;

/// What the head word says: which index is on top, and how often one was taken.
///
/// With 40 bits of tag and one pop every 10 ns the tag repeats after three hours, and ABA needs a
/// thread that sleeps exactly that long between its load and its compare-and-swap.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Head {
    index: u32,
    tag: u64,
}

impl From<u64> for Head {
    #[inline(always)]
    fn from(word: u64) -> Self {
        Self { index: word as u32 & NIL, tag: word >> INDEX_BITS }
    }
}

impl From<Head> for u64 {
    #[inline(always)]
    fn from(head: Head) -> Self {
        (head.tag & TAG_MASK) << INDEX_BITS | u64::from(head.index)
    }
}

/// ```text
/// head { index, tag } ──► links[index] ──► links[..] ──► NIL
/// ```
/// The links live in an array of the caller that is never freed while the stack lives, so reading
/// the link of an index that somebody else just popped is harmless: the tag makes the swap fail.
pub(crate) struct TaggedStack {
    head: CachePadded<AtomicU64>,
}

impl TaggedStack {
    pub(crate) fn new(start_tag: u64) -> Self {
        let empty = Head { index: NIL, tag: start_tag };
        Self { head: CachePadded::new(AtomicU64::new(empty.into())) }
    }

    /// Pushes a list that the caller owns: `first` leads to `last` through `links`.
    ///
    /// Lock-free: a failed swap means that another thread's push or pop succeeded.
    #[inline]
    pub(crate) fn push_list(&self, links: &[AtomicU32], first: u32, last: u32) {
        // Relaxed: nothing is read through this head; the swap below decides.
        let mut seen = self.head.load(Ordering::Relaxed);
        loop {
            let head = Head::from(seen);
            // Relaxed: published by the swap below.
            links[last as usize].store(head.index, Ordering::Relaxed);
            // The same tag: an index cannot come back to the top without having been popped.
            let next = Head { index: first, tag: head.tag };
            // SYNC: Release pairs with the Acquire of `pop`: it publishes the links and whatever the
            // caller wrote for these indices. Every change of the head is a read-modify-write, so it
            // continues the release sequences of all earlier pushes.
            match self.head.compare_exchange_weak(
                seen,
                next.into(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Pushes one index that the caller owns.
    #[inline]
    pub(crate) fn push(&self, links: &[AtomicU32], index: u32) {
        self.push_list(links, index, index);
    }

    /// Takes the top index, which the caller then owns.
    #[inline]
    pub(crate) fn pop(&self, links: &[AtomicU32]) -> Option<u32> {
        // SYNC: Acquire pairs with the Release of `push_list`: the link and the contents that belong
        // to this index are visible before they are read.
        let mut seen = self.head.load(Ordering::Acquire);
        loop {
            let head = Head::from(seen);
            if head.index == NIL {
                return None;
            }
            // Relaxed: ordered by the Acquire that read `seen`; if the index was popped meanwhile the
            // value is stale, and the tag makes the swap fail.
            let link = links[head.index as usize].load(Ordering::Relaxed);
            let next = Head { index: link, tag: head.tag.wrapping_add(1) };
            // SYNC: Acquire on failure, since the value then read becomes `seen`. Relaxed on success:
            // the tag makes the value unique, so it is the store that was read with Acquire already.
            match self.head.compare_exchange_weak(
                seen,
                next.into(),
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(head.index),
                Err(now) => seen = now,
            }
        }
    }

    /// Calls `visit` for every index, top first. Exact only when nobody pushes or pops meanwhile.
    /// Stops after `limit` steps, so that a corrupted list cannot hang the caller.
    pub(crate) fn walk(&self, links: &[AtomicU32], limit: usize, mut visit: impl FnMut(u32)) {
        // Relaxed, here and below: quiescent by contract.
        let mut index = Head::from(self.head.load(Ordering::Relaxed)).index;
        for _ in 0..limit {
            if index == NIL {
                return;
            }
            visit(index);
            index = links[index as usize].load(Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn links(count: usize) -> Vec<AtomicU32> {
        (0..count).map(|_| AtomicU32::new(NIL)).collect()
    }

    #[test]
    fn smoke() {
        let links = links(4);
        let stack = TaggedStack::new(0);
        assert_eq!(stack.pop(&links), None);
        for index in 0..4 {
            stack.push(&links, index);
        }
        assert_eq!(
            (0..5).map(|_| stack.pop(&links)).collect::<Vec<_>>(),
            [Some(3), Some(2), Some(1), Some(0), None]
        );
    }

    #[test]
    fn tag_wraps_without_touching_the_index() {
        let links = links(2);
        let stack = TaggedStack::new(TAG_MASK - 3);
        for _ in 0..8 {
            stack.push(&links, 1);
            assert_eq!(stack.pop(&links), Some(1));
            assert_eq!(stack.pop(&links), None);
        }
    }

    #[test]
    fn a_stale_head_is_refused_after_the_same_index_came_back() {
        let links = links(2);
        let stack = TaggedStack::new(0);
        stack.push(&links, 0);
        let stale = stack.head.load(Ordering::Relaxed);
        assert_eq!(stack.pop(&links), Some(0));
        stack.push(&links, 0);
        let now = stack.head.load(Ordering::Relaxed);
        assert_eq!(Head::from(stale).index, Head::from(now).index);
        assert_ne!(stale, now, "only the tag tells them apart");
    }
}
