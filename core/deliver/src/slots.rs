//! The slots of a ring: which belong to whom is said by the indices of the ring around them.

use crate::spsc::{MAX_SLOTS, RingError};
use crate::sync::UnsafeCell;
use std::mem::MaybeUninit;

/// ```text
/// │ value │ value │ nothing │ …      slot of an index: index & mask
/// ```
/// A power of two of places for values. Dropping it drops none of them.
pub(crate) struct Slots<T> {
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
    mask: u32,
}

impl<T> std::fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl<T> Slots<T> {
    /// At least `slots` slots.
    ///
    /// # Errors
    /// [`RingError`] for 0 slots or more than [`MAX_SLOTS`], or if there is not the memory.
    pub(crate) fn new(slots: u32) -> Result<Self, RingError> {
        if slots == 0 || slots > MAX_SLOTS {
            return Err(RingError::Slots { slots });
        }
        let count = slots.next_power_of_two();
        let mut cells = Vec::new();
        let reserved = cells.try_reserve_exact(count as usize);
        reserved.map_err(|_| RingError::Memory { slots: count, bytes: size_of::<T>() })?;
        cells.extend((0..count).map(|_| UnsafeCell::new(MaybeUninit::uninit())));
        Ok(Self { cells: cells.into_boxed_slice(), mask: count - 1 })
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.mask + 1
    }

    #[inline(always)]
    pub(crate) fn slot(&self, index: u32) -> &UnsafeCell<MaybeUninit<T>> {
        // SAFETY: there are `mask + 1` slots.
        unsafe { self.cells.get_unchecked((index & self.mask) as usize) }
    }

    /// The slots as one piece of memory; where `index` lies in it, and how many of `count` slots lie
    /// there before the ring begins anew.
    #[cfg(not(loom))]
    #[inline(always)]
    fn blocks(&self, index: u32, count: u32) -> (*mut T, usize, usize) {
        let at = index & self.mask;
        let first = count.min(self.mask + 1 - at);
        // A slot is a cell with the same layout as its value, so what a shared reference to it leads
        // to may be written.
        (self.cells.as_ptr().cast_mut().cast::<T>(), at as usize, first as usize)
    }

    /// Copies `count` values from `from` on to the slots from `index` on, in one block or two.
    ///
    /// # Safety
    /// - The slots are empty and belong to the caller, and there are as many values, which move.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn fill(&self, index: u32, from: *const T, count: u32) {
        let (slots, at, first) = self.blocks(index, count);
        // SAFETY: both blocks lie inside the ring, and nobody else touches these slots.
        unsafe {
            slots.add(at).copy_from_nonoverlapping(from, first);
            slots.copy_from_nonoverlapping(from.add(first), count as usize - first);
        }
    }

    /// Copies the values of `count` slots from `index` on to `to` and what follows it.
    ///
    /// # Safety
    /// - The slots are full and belong to the caller, and there is room for as many values, which
    ///   move.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn empty(&self, index: u32, to: *mut T, count: u32) {
        let (slots, at, first) = self.blocks(index, count);
        // SAFETY: as in `fill`.
        unsafe {
            to.copy_from_nonoverlapping(slots.add(at), first);
            to.add(first).copy_from_nonoverlapping(slots, count as usize - first);
        }
    }

    /// As above, slot by slot, so that loom sees each.
    #[cfg(loom)]
    pub(crate) unsafe fn fill(&self, index: u32, from: *const T, count: u32) {
        for done in 0..count {
            // SAFETY: as the caller promises.
            self.slot(index.wrapping_add(done)).with_mut(|slot| unsafe {
                (*slot).as_mut_ptr().copy_from_nonoverlapping(from.add(done as usize), 1);
            });
        }
    }

    #[cfg(loom)]
    pub(crate) unsafe fn empty(&self, index: u32, to: *mut T, count: u32) {
        for done in 0..count {
            // SAFETY: as the caller promises.
            self.slot(index.wrapping_add(done)).with(|slot| unsafe {
                to.add(done as usize).copy_from_nonoverlapping((*slot).as_ptr(), 1);
            });
        }
    }

    /// Drops the values of `count` slots from `index` on.
    ///
    /// # Safety
    /// - The slots are full and belong to the caller.
    pub(crate) unsafe fn drop_values(&self, index: u32, count: u32) {
        for done in 0..count {
            // SAFETY: as the caller promises.
            self.slot(index.wrapping_add(done))
                .with_mut(|slot| unsafe { (*slot).assume_init_drop() });
        }
    }

    /// Moves as many values as `room` slots from `index` on have place for from the front of `values`
    /// into them; returns how many. Copies each value once, from where it is to its slot.
    ///
    /// # Safety
    /// - The slots are empty and belong to the caller.
    #[inline(always)]
    pub(crate) unsafe fn fill_from(&self, index: u32, room: u32, values: &mut Vec<T>) -> u32 {
        let len = values.len();
        let count = u32::try_from(len).unwrap_or(u32::MAX).min(room);
        let rest = len - count as usize;
        let from = values.as_mut_ptr();
        // SAFETY: the values move out below, the first of them to slots, the rest to the front of the
        // vector; nothing in between can panic. Slots as the caller promises.
        unsafe {
            values.set_len(0);
            self.fill(index, from, count);
            from.copy_from(from.add(count as usize), rest);
            values.set_len(rest);
        }
        count
    }

    /// Moves the values of `count` slots from `index` on to the end of `into`, which has room.
    ///
    /// # Safety
    /// - The slots are full and belong to the caller, and `into` has room for as many values.
    #[inline(always)]
    pub(crate) unsafe fn empty_to(&self, index: u32, count: u32, into: &mut Vec<T>) {
        let len = into.len();
        // SAFETY: as the caller promises; nothing in between can panic.
        unsafe {
            self.empty(index, into.as_mut_ptr().add(len), count);
            into.set_len(len + count as usize);
        }
    }
}
