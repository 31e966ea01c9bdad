//! Things under handles of which none is ever given twice.
//!
//! ```text
//! handle  63 ───────────── 32 │ 31 ───────────── 0
//!          generation          │ index of the slot
//!
//! slots   [ 7: thing ] [ 9: free ] [ 7: thing ] …      generation: of the handle that is out, or next
//!              ▲                        ▲
//!           oldest ── next ──────── youngest           in the order in which they were put in
//! ```
//! A slot's generation moves on when its handle is used up; one that has given its last generation is
//! retired. Libraries of slots (slotmap, slab) begin at a known generation and wrap.

/// No slot.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// Neighbours in the order of coming; [`NONE`] at the ends.
    previous: u32,
    next: u32,
    thing: Option<T>,
}

/// The table. Finding, adding and removing take the same time however many there are.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// Slots without a thing that may get one.
    free: Vec<u32>,
    first_generation: u32,
    most: u32,
    count: u32,
    oldest: u32,
    youngest: u32,
}

/// The handle's parts.
fn parts(handle: u64) -> (u32, usize) {
    ((handle >> 32) as u32, handle as u32 as usize)
}

impl<T> Slots<T> {
    /// An empty table of up to `most` slots, retired ones included. Each slot begins with
    /// `first_generation`, or 1 for 0, so that no handle is 0.
    pub(crate) fn new(first_generation: u32, most: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            first_generation: first_generation.max(1),
            most,
            count: 0,
            oldest: NONE,
            youngest: NONE,
        }
    }

    /// Things in it.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Things that can be added.
    pub(crate) fn room(&self) -> u32 {
        self.most - self.slots.len() as u32 + self.free.len() as u32
    }

    /// Puts `thing` into a slot and returns its handle; gives it back if there is no room.
    pub(crate) fn insert(&mut self, thing: T) -> Result<u64, T> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.room() == 0 => return Err(thing),
            None => {
                let generation = self.first_generation;
                self.slots.push(Slot { generation, previous: NONE, next: NONE, thing: None });
                self.slots.len() as u32 - 1
            }
        };
        let last = std::mem::replace(&mut self.youngest, index);
        match self.slots.get_mut(last as usize) {
            Some(last) => last.next = index,
            None => self.oldest = index,
        }
        let slot = &mut self.slots[index as usize];
        (slot.previous, slot.next, slot.thing) = (last, NONE, Some(thing));
        self.count += 1;
        Ok(u64::from(slot.generation) << 32 | u64::from(index))
    }

    /// What is under `handle`, if it was given and is not used up.
    pub(crate) fn get(&self, handle: u64) -> Option<&T> {
        let (generation, index) = parts(handle);
        self.slots.get(index).filter(|slot| slot.generation == generation)?.thing.as_ref()
    }

    /// As [`Slots::get`], to be changed.
    pub(crate) fn get_mut(&mut self, handle: u64) -> Option<&mut T> {
        let (generation, index) = parts(handle);
        self.slots.get_mut(index).filter(|slot| slot.generation == generation)?.thing.as_mut()
    }

    /// Takes out what is under `handle`, which is used up.
    pub(crate) fn remove(&mut self, handle: u64) -> Option<T> {
        let (generation, index) = parts(handle);
        let slot = self.slots.get_mut(index).filter(|slot| slot.generation == generation)?;
        let thing = slot.thing.take()?;
        let (previous, next) = (slot.previous, slot.next);
        // The last generation is not followed by one that was given before.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(index as u32);
        }
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => self.oldest = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => self.youngest = previous,
        }
        self.count -= 1;
        Some(thing)
    }

    /// What has been in the table for longest.
    pub(crate) fn oldest(&self) -> Option<&T> {
        self.slots.get(self.oldest as usize)?.thing.as_ref()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_used_up_handle_finds_nothing() {
        let mut slots = Slots::new(7, 2);
        let first = slots.insert('a').unwrap();
        assert_eq!((first, slots.get(first)), (7 << 32, Some(&'a')));
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b').unwrap();
        assert_eq!(second, 8 << 32);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!((slots.get(second), slots.count()), (Some(&'b'), 1));
        assert_eq!((slots.get(0), slots.get(u64::MAX)), (None, None));
    }

    #[test]
    fn a_slot_that_gave_its_last_generation_is_retired() {
        let mut slots = Slots::new(u32::MAX - 1, 2);
        let mut given = Vec::new();
        while slots.room() != 0 {
            let handle = slots.insert(()).unwrap();
            assert!(!given.contains(&handle), "{handle:#x} twice");
            given.push(handle);
            slots.remove(handle).unwrap();
        }
        assert_eq!(given.len(), 4, "two generations of two slots");
        assert_eq!(slots.insert(()), Err(()));
    }

    #[test]
    fn the_oldest_is_the_first_that_is_still_there() {
        let mut slots = Slots::new(0, 8);
        let handles: Vec<_> = (0..4).map(|number| slots.insert(number).unwrap()).collect();
        assert!(!handles.contains(&0));
        for (gone, oldest) in [(1, Some(&0)), (0, Some(&2)), (3, Some(&2)), (2, None)] {
            slots.remove(handles[gone]).unwrap();
            assert_eq!(slots.oldest(), oldest);
        }
        let again = slots.insert(9).unwrap();
        assert_eq!(slots.oldest(), Some(&9));
        *slots.get_mut(again).unwrap() = 10;
        assert_eq!(slots.oldest(), Some(&10));
    }
}
