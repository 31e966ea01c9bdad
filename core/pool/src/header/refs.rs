//! The reference count.

use super::layout::BufferHeader;
use super::updates;
use crate::sync::{Ordering, fence};

/// Most references to one buffer. Taking more is an error, so the count cannot wrap: above the limit
/// there is room for 2^30 references that threads have added and not checked yet, one each in a clone,
/// as many as it makes views in a fan-out.
pub const MAX_REFERENCES: u32 = 1 << 30;

/// Added to the count of a buffer of which more references were given back than there were: so far
/// from 0 that no further release brings it home.
const QUARANTINE: u32 = 3 << 30;

/// Counts from here on are in quarantine; below are at most [`MAX_REFERENCES`] and clones between
/// their addition and their check.
const QUARANTINE_FLOOR: u32 = 2 << 30;

/// What giving references back did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Others still hold some.
    Held,
    /// These were the last: the caller must bring the buffer home.
    Last,
    /// More were given back than there were: the buffer is in quarantine and the caller counts it.
    Violation,
}

impl BufferHeader {
    /// Makes the caller, the only one who knows this buffer, the holder of `count` references.
    #[inline(always)]
    pub(crate) fn set_references(&self, count: u32) {
        // Relaxed: the buffer becomes known to others only through a later hand-over, which
        // publishes this store.
        updates::count();
        self.refs.store(count, Ordering::Relaxed);
    }

    /// Takes `count` more references on behalf of somebody who holds one. Answers false, and
    /// changes nothing, when that would exceed [`MAX_REFERENCES`].
    ///
    /// One atomic addition.
    #[inline]
    pub(crate) fn get(&self, count: u32) -> bool {
        // Relaxed: the caller's own reference keeps the buffer alive, and nothing is read through
        // the new one that was not visible through the old one.
        updates::count();
        let before = self.refs.fetch_add(count, Ordering::Relaxed);
        if before <= MAX_REFERENCES && count <= MAX_REFERENCES - before {
            return true;
        }
        // Relaxed: takes back what was just added; no bytes were touched under it.
        self.refs.fetch_sub(count, Ordering::Relaxed);
        false
    }

    /// Makes of the caller's `owned` references `needed`, more than there are of its own now. Answers
    /// false, and changes nothing, when that would exceed [`MAX_REFERENCES`].
    ///
    /// No read-modify-write if nobody else has any, one atomic addition otherwise.
    #[inline]
    pub(crate) fn grow(&self, owned: u32, needed: u32) -> bool {
        // SYNC: Acquire as in `put_all`: then these are all there are, and stay so.
        if self.refs.load(Ordering::Acquire) != owned {
            return self.get(needed - owned);
        }
        if needed > MAX_REFERENCES {
            return false;
        }
        self.set_references(needed);
        true
    }

    /// Gives `count` references back if these are all there are, and answers whether they were. No
    /// read-modify-write.
    #[inline(always)]
    pub(crate) fn put_all(&self, count: u32) -> bool {
        // SYNC: Acquire pairs with the Release of `put` in other threads. If it reads exactly our own
        // share, nobody else has a reference, and references are made only from references, so the
        // value cannot change any more.
        if self.refs.load(Ordering::Acquire) != count {
            return false;
        }
        // Relaxed: the next holder learns of this buffer through the free list or the free
        // function, and both publish.
        updates::count();
        self.refs.store(0, Ordering::Relaxed);
        true
    }

    /// Gives `count` references back.
    ///
    /// No read-modify-write when these are all there are, one atomic subtraction otherwise.
    #[inline(always)]
    pub(crate) fn put(&self, count: u32) -> Put {
        if self.put_all(count) {
            return Put::Last;
        }
        // SYNC: Release pairs with the Acquire of `put_all` and with the fence below: our reads and
        // writes of the bytes come before whoever frees or rewrites them.
        updates::count();
        let before = self.refs.fetch_sub(count, Ordering::Release);
        if before > count && before < QUARANTINE_FLOOR {
            return Put::Held;
        }
        if before == count {
            // SYNC: Acquire fence pairs with every Release subtraction before ours, whose values
            // our own subtraction continued.
            fence(Ordering::Acquire);
            return Put::Last;
        }
        self.refuse(before, count)
    }

    /// Undoes a subtraction that should not have been. A buffer that was free stays free; one that
    /// others still hold is never brought home again, since nobody knows who is wrong.
    #[cold]
    fn refuse(&self, before: u32, count: u32) -> Put {
        let others_hold_it = before != 0 && before < QUARANTINE_FLOOR;
        let add = if others_hold_it { count.wrapping_add(QUARANTINE) } else { count };
        // Relaxed: nothing is published; an addition, so that a concurrent owner's store is not lost
        // without trace.
        self.refs.fetch_add(add, Ordering::Relaxed);
        Put::Violation
    }

    /// Whether the buffer was taken out of use after a violation.
    pub(crate) fn is_quarantined(&self) -> bool {
        // Relaxed: reporting only.
        self.refs.load(Ordering::Relaxed) >= QUARANTINE_FLOOR
    }

    /// Counts one more homecoming. Only who took the last reference may call it.
    #[inline(always)]
    pub(crate) fn next_generation(&self) {
        // Relaxed: one writer, ordered by the hand-over of the buffer itself.
        let next = self.generation.load(Ordering::Relaxed).wrapping_add(1);
        self.generation.store(next, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_is_told_once_however_they_are_grouped() {
        for groups in [vec![5], vec![1; 5], vec![2, 3], vec![4, 1]] {
            let header = BufferHeader::of_nothing(5);
            let told: Vec<Put> = groups.iter().map(|&count| header.put(count)).collect();
            assert_eq!(told.iter().filter(|&&put| put == Put::Last).count(), 1);
            assert_eq!(told.last(), Some(&Put::Last));
        }
    }

    #[test]
    fn at_the_limit_one_more_is_refused_and_changes_nothing() {
        let header = BufferHeader::of_nothing(MAX_REFERENCES - 2);
        assert!(header.get(1));
        assert!(header.get(1));
        assert!(!header.get(1));
        assert_eq!(header.references(), MAX_REFERENCES);
        assert_eq!(header.put(1), Put::Held);
        assert!(!header.get(2));
        assert!(header.get(1));
    }

    #[test]
    fn a_free_buffer_released_again_stays_free() {
        let header = BufferHeader::of_nothing(0);
        assert_eq!(header.put(1), Put::Violation);
        assert_eq!(header.references(), 0);
        assert!(!header.is_quarantined());
    }

    #[test]
    fn a_held_buffer_released_too_often_never_comes_home() {
        let header = BufferHeader::of_nothing(2);
        assert_eq!(header.put(3), Put::Violation);
        assert!(header.is_quarantined());
        assert_eq!([header.put(1), header.put(1), header.put(1)], [Put::Violation; 3]);
        assert!(header.is_quarantined());
    }

    #[test]
    fn generation_wraps() {
        let header = BufferHeader::of_nothing(1);
        header.next_generation();
        assert_eq!(header.generation(), 0);
    }
}
