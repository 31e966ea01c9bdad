//! The delivery ring: bounded, one producer, one consumer, bulk in and out.

use crate::slots::Slots;
use crate::sync::{Arc, AtomicBool, AtomicU32, Ordering};
use crossbeam_utils::CachePadded;

/// Most slots of a ring; indices are 32 bits and wrap, so the distance must stay below 2^31.
pub const MAX_SLOTS: u32 = 1 << 24;

/// There is no such ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// It cannot have that many slots.
    #[error("a ring has 1 to {MAX_SLOTS} slots, not {slots}")]
    Slots {
        /// Slots asked for.
        slots: u32,
    },
    /// The machine has not the memory.
    #[error("no memory for a ring of {slots} slots of {bytes} bytes; ask for fewer")]
    Memory {
        /// Slots that it would have.
        slots: u32,
        /// Bytes of each.
        bytes: usize,
    },
}

/// ```text
///          head ──────────► tail
/// slots │ … │ full │ full │ empty │ …      index & mask
///          consumer        producer
/// ```
/// `head` and `tail` count slots since the start and wrap; `tail - head` are full. Each is written
/// by one side only. Neither side ever waits for the other: a descheduled producer just has not
/// published yet, a descheduled consumer just has not freed slots.
pub struct Ring<T> {
    /// Slots the consumer has emptied.
    head: CachePadded<AtomicU32>,
    /// Slots the producer has filled.
    tail: CachePadded<AtomicU32>,
    slots: Slots<T>,
    /// The producer has left: `tail` is final.
    producer_left: AtomicBool,
}

// SAFETY: a slot is touched by the producer while it is empty and by the consumer while it is full;
// `head` and `tail` say which, and order the accesses.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: the values in it are Send.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> std::fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("slots", &self.slots.count()).finish_non_exhaustive()
    }
}

impl<T> Ring<T> {
    /// A ring of at least `slots` slots, rounded up to a power of two, whose indices begin at
    /// `start`, and its two ends.
    ///
    /// # Errors
    /// [`RingError`] for 0 slots or more than [`MAX_SLOTS`], or if there is not the memory.
    pub fn channel(slots: u32, start: u32) -> Result<(Enqueue<T>, Dequeue<T>), RingError> {
        let ring = Arc::new(Self {
            head: CachePadded::new(AtomicU32::new(start)),
            tail: CachePadded::new(AtomicU32::new(start)),
            slots: Slots::new(slots)?,
            producer_left: AtomicBool::new(false),
        });
        let enqueue = Enqueue { ring: Arc::clone(&ring), tail: start, head_seen: start };
        Ok((enqueue, Dequeue { ring, head: start, tail_seen: start }))
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are gone, and letting go of the Arc ordered their accesses.
        let tail = self.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Relaxed);
        // SAFETY: slots from head to tail are full, and nobody else is left.
        unsafe { self.slots.drop_values(head, tail.wrapping_sub(head)) };
    }
}

/// The producer's end.
#[derive(Debug)]
pub struct Enqueue<T> {
    ring: Arc<Ring<T>>,
    tail: u32,
    /// The consumer's `head` when last looked at; the ring is at most as full as this says.
    head_seen: u32,
}

impl<T> Enqueue<T> {
    /// Slots of the ring.
    pub fn slots(&self) -> u32 {
        self.ring.slots.count()
    }

    /// Empty slots, at least: looks at the consumer's index only if fewer than `wanted` are known.
    #[inline]
    pub fn room(&mut self, wanted: u32) -> u32 {
        let known = self.slots() - self.tail.wrapping_sub(self.head_seen);
        if known >= wanted {
            return known;
        }
        // SYNC: Acquire pairs with the Release of `dequeue`: the slots are empty before we fill them.
        self.head_seen = self.ring.head.load(Ordering::Acquire);
        self.slots() - self.tail.wrapping_sub(self.head_seen)
    }

    /// Moves values from `values` into the ring until one of the two ends; returns how many.
    #[inline]
    pub fn enqueue(&mut self, values: &mut impl Iterator<Item = T>, at_most: u32) -> u32 {
        let room = self.room(at_most).min(at_most);
        let mut done = 0;
        while done < room {
            let Some(value) = values.next() else { break };
            // SAFETY: slots from tail on for `room` slots are empty and belong to the producer.
            self.ring.slots.slot(self.tail.wrapping_add(done)).with_mut(|slot| unsafe {
                (*slot).write(value);
            });
            done += 1;
        }
        self.publish(done);
        done
    }

    /// Moves values from the front of `values` into the ring until one of the two ends; returns how
    /// many. Copies each value once, from where it is to its slot.
    #[inline]
    pub fn enqueue_vec(&mut self, values: &mut Vec<T>) -> u32 {
        let wanted = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let room = self.room(wanted);
        // SAFETY: slots from tail on for `room` slots are empty and belong to the producer.
        let count = unsafe { self.ring.slots.fill_from(self.tail, room, values) };
        self.publish(count);
        count
    }

    /// Hands the next `count` slots, which are filled, to the consumer.
    #[inline(always)]
    fn publish(&mut self, count: u32) {
        if count != 0 {
            self.tail = self.tail.wrapping_add(count);
            // SYNC: Release pairs with the Acquire of `filled`: the values are in their slots first.
            self.ring.tail.store(self.tail, Ordering::Release);
        }
    }
}

impl<T> Drop for Enqueue<T> {
    fn drop(&mut self) {
        // SYNC: Release pairs with the Acquire of `is_connected`: our last `tail` is stored first.
        self.ring.producer_left.store(true, Ordering::Release);
    }
}

/// The consumer's end.
#[derive(Debug)]
pub struct Dequeue<T> {
    ring: Arc<Ring<T>>,
    head: u32,
    /// The producer's `tail` when last looked at; the ring is at least as full as this says.
    tail_seen: u32,
}

impl<T> Dequeue<T> {
    /// Full slots, at least: looks at the producer's index only if fewer than `wanted` are known.
    #[inline]
    pub fn filled(&mut self, wanted: u32) -> u32 {
        let known = self.tail_seen.wrapping_sub(self.head);
        if known >= wanted {
            return known;
        }
        // SYNC: Acquire pairs with the Release of `publish`: the values are in their slots.
        self.tail_seen = self.ring.tail.load(Ordering::Acquire);
        self.tail_seen.wrapping_sub(self.head)
    }

    /// Moves up to `at_most` values out of the ring to the end of `into`; returns how many.
    #[inline]
    pub fn dequeue(&mut self, into: &mut Vec<T>, at_most: u32) -> u32 {
        let count = self.filled(at_most).min(at_most);
        into.reserve(count as usize);
        // SAFETY: slots from head on for `count` slots are full and belong to the consumer, and the
        // vector has room for as many values; they move, and the slots count as empty from the store
        // below on.
        unsafe { self.ring.slots.empty_to(self.head, count, into) };
        if count != 0 {
            self.head = self.head.wrapping_add(count);
            // SYNC: Release pairs with the Acquire of `room`: the values are out before the slots
            // are filled again.
            self.ring.head.store(self.head, Ordering::Release);
        }
        count
    }

    /// Whether the producer's end still exists. If not, what [`Dequeue::filled`] says afterwards is
    /// final.
    pub fn is_connected(&self) -> bool {
        // SYNC: Acquire pairs with the Release in the drop of `Enqueue`: whoever sees the producer
        // gone sees its last `tail`.
        !self.ring.producer_left.load(Ordering::Acquire)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn smoke() {
        let (mut tx, mut rx) = Ring::channel(3, 0).unwrap();
        assert_eq!(tx.slots(), 4);
        assert_eq!(tx.enqueue(&mut (0..10), 10), 4);
        let mut into = Vec::new();
        assert_eq!(rx.dequeue(&mut into, 3), 3);
        assert_eq!(tx.enqueue(&mut (10..20), 2), 2);
        assert_eq!(rx.dequeue(&mut into, 10), 3);
        assert_eq!(into, [0, 1, 2, 3, 10, 11]);
    }

    #[test]
    fn capacity() {
        assert_eq!(Ring::<u8>::channel(0, 0).unwrap_err(), RingError::Slots { slots: 0 });
        assert!(Ring::<u8>::channel(MAX_SLOTS + 1, 0).is_err());
    }

    #[test]
    fn indices_wrap_while_two_threads_use_it() {
        for start in [0, u32::MAX - 3, i32::MAX as u32 - 3] {
            let (mut tx, mut rx) = Ring::channel(8, start).unwrap();
            const COUNT: u64 = 20_000;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut values = 0..COUNT;
                    while !values.is_empty() {
                        if tx.enqueue(&mut values, 5) == 0 {
                            std::thread::yield_now();
                        }
                    }
                });
                let mut got = Vec::new();
                while (got.len() as u64) < COUNT {
                    if rx.dequeue(&mut got, 3) == 0 {
                        std::thread::yield_now();
                    }
                }
                assert!(got.into_iter().eq(0..COUNT), "every value once, in order");
            });
        }
    }

    #[test]
    fn a_vector_moves_as_far_as_there_is_room() {
        let (mut tx, mut rx) = Ring::channel(4, u32::MAX - 2).unwrap();
        let text = |number: u32| number.to_string();
        let mut values: Vec<String> = (0..6).map(text).collect();
        assert_eq!(tx.enqueue_vec(&mut values), 4);
        assert_eq!(values, ["4", "5"]);
        assert_eq!(tx.enqueue_vec(&mut values), 0);
        assert_eq!(values, ["4", "5"]);
        let mut into = vec![text(9)];
        assert_eq!(rx.dequeue(&mut into, 3), 3);
        assert_eq!(tx.enqueue_vec(&mut values), 2);
        assert!(values.is_empty());
        assert_eq!(tx.enqueue_vec(&mut values), 0);
        assert_eq!(rx.dequeue(&mut into, 9), 3);
        assert_eq!(into, ["9", "0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn drops() {
        let value = Arc::new(());
        let (mut tx, mut rx) = Ring::channel(4, u32::MAX - 1).unwrap();
        assert_eq!(tx.enqueue(&mut std::iter::repeat_n(Arc::clone(&value), 4), 4), 4);
        rx.dequeue(&mut Vec::new(), 1);
        assert_eq!(Arc::strong_count(&value), 4);
        drop(tx);
        assert!(!rx.is_connected());
        drop(rx);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
