//! The ring whose producer may take the oldest values back.

use crate::slots::Slots;
use crate::spsc::RingError;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// ```text
///       vacated ─────────► head ──────────► tail
/// slots │ claimed, copied │ full │ full │ … │ empty │ …      index & mask
///         by one of them    nobody's          producer
/// ```
/// Whoever wants the oldest values claims their slots by moving `head` with a compare-and-swap, then
/// copies them out: the consumer when it takes, the producer when it evicts. A claimed slot is not yet
/// an empty one. The consumer says in `vacated` up to where it has copied everything it ever claimed;
/// what the producer claimed is empty when its call returns. Indices are 64 bits, so that none comes
/// back while somebody sleeps on it.
#[derive(Debug)]
struct Ring<T> {
    /// Slots that were claimed.
    head: CachePadded<AtomicU64>,
    /// Slots the producer has filled.
    tail: CachePadded<AtomicU64>,
    /// End of the consumer's last claim that it has copied out.
    vacated: CachePadded<AtomicU64>,
    slots: Slots<T>,
    /// The producer has left: `tail` is final.
    producer_left: AtomicBool,
}

// SAFETY: a slot is touched by the producer while it is empty and by whoever claimed it while it is
// full; `head`, `vacated` and `tail` say which, and order the accesses.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: the values in it are Send.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    /// Claims up to `at_most` of the oldest values, if there are as many before `tail`; returns the
    /// index of the first and how many.
    #[inline]
    fn claim(&self, tail: impl Fn() -> u64, at_most: u64) -> (u64, u32) {
        // SYNC: Acquire pairs with the Release of the swap below: a tail read afterwards is not behind
        // this head.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let count = tail().wrapping_sub(head).min(at_most);
            if count == 0 {
                return (head, 0);
            }
            // SYNC: Release pairs with the Acquires here: who sees this head sees the tail it was
            // compared with. A failure is the other side's success; it loads what that stored.
            match self.head.compare_exchange_weak(
                head,
                head.wrapping_add(count),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return (head, count as u32),
                Err(now) => head = now,
            }
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are gone, and letting go of the Arc ordered their accesses.
        let tail = self.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Relaxed);
        // SAFETY: slots from head to tail are full, and nobody else is left.
        unsafe { self.slots.drop_values(head as u32, tail.wrapping_sub(head) as u32) };
    }
}

/// A ring of at least `slots` slots, rounded up to a power of two, whose indices begin at `start`, and
/// its two ends.
///
/// # Errors
/// [`RingError`] as [`crate::Ring::channel`].
pub(crate) fn channel<T>(slots: u32, start: u64) -> Result<(Enqueue<T>, Dequeue<T>), RingError> {
    let index = || CachePadded::new(AtomicU64::new(start));
    let ring = Arc::new(Ring {
        head: index(),
        tail: index(),
        vacated: index(),
        slots: Slots::new(slots)?,
        producer_left: AtomicBool::new(false),
    });
    let enqueue = Enqueue {
        ring: Arc::clone(&ring),
        tail: start,
        head_seen: start,
        taken_to: start,
        empty_to: start,
    };
    Ok((enqueue, Dequeue { ring }))
}

/// The producer's end.
#[derive(Debug)]
pub(crate) struct Enqueue<T> {
    ring: Arc<Ring<T>>,
    tail: u64,
    /// `head` when last looked at or moved.
    head_seen: u64,
    /// End of the consumer's last claim before `head_seen`: the values of `head` that this end did not
    /// store itself are the ends of the consumer's claims.
    taken_to: u64,
    /// All slots before this one are empty.
    empty_to: u64,
}

impl<T> Enqueue<T> {
    /// Slots of the ring.
    pub(crate) fn slots(&self) -> u32 {
        self.ring.slots.count()
    }

    /// Empty slots, at least: looks at the indices only if fewer than `wanted` are known.
    #[inline]
    pub(crate) fn room(&mut self, wanted: u32) -> u32 {
        if self.known_room() < wanted {
            // Relaxed: the values of `head` are compared, and what the consumer copied is published
            // by `vacated`.
            self.look(self.ring.head.load(Ordering::Relaxed));
        }
        self.known_room()
    }

    #[inline(always)]
    fn known_room(&self) -> u32 {
        self.slots() - self.tail.wrapping_sub(self.empty_to) as u32
    }

    /// Learns from a `head` that was just loaded, or just found by an eviction.
    fn look(&mut self, head: u64) {
        if head != self.head_seen {
            self.head_seen = head;
            self.taken_to = head;
        }
        // SYNC: Acquire pairs with the Release of `dequeue`: the values are out before the slots are
        // filled again.
        let vacated = self.ring.vacated.load(Ordering::Acquire);
        // All of the consumer's claims before `head_seen` are copied out, or those before `vacated`.
        let empty = if is_before(vacated, self.taken_to) { vacated } else { self.head_seen };
        if is_before(self.empty_to, empty) {
            self.empty_to = empty;
        }
    }

    /// Whether the consumer was seen in the middle of a copy, so that evicting makes no room.
    pub(crate) fn is_held_up(&self) -> bool {
        self.empty_to != self.head_seen
    }

    /// Takes up to `at_most` of the oldest values out of the ring, to the end of `into`; returns how
    /// many. Their slots have room as soon as the consumer is in no copy of older ones.
    pub(crate) fn evict(&mut self, into: &mut Vec<T>, at_most: u32) -> u32 {
        // Before the claim, so that values are never claimed and lost.
        let most = self.tail.wrapping_sub(self.head_seen).min(u64::from(at_most));
        into.reserve(most as usize);
        let tail = self.tail;
        let (first, count) = self.ring.claim(|| tail, most);
        self.look(first);
        if count != 0 {
            // SAFETY: the slots are full, they were claimed by this end, and there is room for them.
            unsafe { self.ring.slots.empty_to(first as u32, count, into) };
            let was_empty_to_first = self.empty_to == first;
            self.head_seen = first.wrapping_add(u64::from(count));
            if was_empty_to_first {
                self.empty_to = self.head_seen;
            }
        }
        count
    }

    /// Moves values from the front of `values` into the ring until one of the two ends; returns how
    /// many.
    #[inline]
    pub(crate) fn enqueue_vec(&mut self, values: &mut Vec<T>) -> u32 {
        let wanted = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let room = self.room(wanted);
        // SAFETY: `room` slots from tail on are empty, and only this end fills slots.
        let count = unsafe { self.ring.slots.fill_from(self.tail as u32, room, values) };
        if count != 0 {
            self.tail = self.tail.wrapping_add(u64::from(count));
            // SYNC: Release pairs with the Acquire of `published`: the values are in their slots first.
            self.ring.tail.store(self.tail, Ordering::Release);
        }
        count
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
pub(crate) struct Dequeue<T> {
    ring: Arc<Ring<T>>,
}

impl<T> Dequeue<T> {
    fn published(ring: &Ring<T>) -> u64 {
        // SYNC: Acquire pairs with the Release of `enqueue_vec`: the values are in their slots.
        ring.tail.load(Ordering::Acquire)
    }

    /// Values to be had now; the producer may take some of them back.
    #[inline]
    pub(crate) fn filled(&self) -> u32 {
        // SYNC: Acquire as in `claim`: the tail read next is not behind this head.
        let head = self.ring.head.load(Ordering::Acquire);
        Self::published(&self.ring).wrapping_sub(head).min(u64::from(self.ring.slots.count()))
            as u32
    }

    /// Moves up to `at_most` of the oldest values to the end of `into`; returns how many.
    #[inline]
    pub(crate) fn dequeue(&mut self, into: &mut Vec<T>, at_most: u32) -> u32 {
        // Before the claim, so that values are never claimed and lost. The ring has no more than slots.
        into.reserve(at_most.min(self.filled()) as usize);
        let room = (into.capacity() - into.len()).min(at_most as usize);
        let (first, count) = self.ring.claim(|| Self::published(&self.ring), room as u64);
        if count != 0 {
            // SAFETY: the slots are full, they were claimed by this end, and there is room for them.
            unsafe { self.ring.slots.empty_to(first as u32, count, into) };
            let end = first.wrapping_add(u64::from(count));
            // SYNC: Release pairs with the Acquire of `look`: the values are out before the slots are
            // filled again.
            self.ring.vacated.store(end, Ordering::Release);
        }
        count
    }

    /// Whether the producer's end still exists. If not, what [`Dequeue::filled`] says afterwards is
    /// final.
    pub(crate) fn is_connected(&self) -> bool {
        // SYNC: Acquire pairs with the Release in the drop of `Enqueue`: whoever sees the producer
        // gone sees its last `tail`.
        !self.ring.producer_left.load(Ordering::Acquire)
    }
}

/// Whether index `one` is before `other`; both are less than 2^63 apart.
#[inline(always)]
fn is_before(one: u64, other: u64) -> bool {
    (one.wrapping_sub(other) as i64) < 0
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::spsc::MAX_SLOTS;

    const STARTS: [u64; 3] = [0, u64::MAX - 3, u32::MAX as u64 - 3];

    fn publish(tx: &mut Enqueue<u64>, values: std::ops::Range<u64>) -> u32 {
        tx.enqueue_vec(&mut values.collect())
    }

    #[test]
    fn smoke() {
        for start in STARTS {
            let (mut tx, mut rx) = channel(3, start).unwrap();
            assert_eq!((tx.slots(), publish(&mut tx, 0..10)), (4, 4));
            let (mut got, mut evicted) = (Vec::new(), Vec::new());
            assert_eq!((rx.filled(), rx.dequeue(&mut got, 1)), (4, 1));
            assert_eq!(tx.evict(&mut evicted, 2), 2);
            assert_eq!(tx.room(4), 3);
            assert_eq!(publish(&mut tx, 10..20), 3);
            assert_eq!(rx.dequeue(&mut got, 9), 4);
            assert_eq!((&got[..], &evicted[..]), (&[0, 3, 10, 11, 12][..], &[1, 2][..]));
            assert_eq!(tx.evict(&mut evicted, 9), 0);
            assert_eq!((rx.filled(), rx.dequeue(&mut got, 9), tx.room(9)), (0, 0, 4));
        }
    }

    #[test]
    fn capacity() {
        assert_eq!(channel::<u8>(0, 0).unwrap_err(), RingError::Slots { slots: 0 });
        assert!(channel::<u8>(MAX_SLOTS + 1, 0).is_err());
    }

    /// A consumer that was descheduled between its claim and its copy: what it claimed stays, though
    /// what comes behind is evicted, and is filled again only when it has said so.
    #[test]
    fn a_claim_in_the_middle_of_a_copy_holds_up_and_is_not_filled() {
        for start in STARTS {
            let (mut tx, rx) = channel(4, start).unwrap();
            assert_eq!(publish(&mut tx, 0..4), 4);
            let (first, count) = rx.ring.claim(|| Dequeue::published(&rx.ring), 2);
            assert_eq!((first, count), (start, 2));
            assert_eq!(tx.room(1), 0);
            assert!(tx.is_held_up());
            let mut evicted = Vec::new();
            assert_eq!(tx.evict(&mut evicted, 1), 1);
            assert_eq!((tx.room(1), tx.is_held_up()), (0, true));
            assert_eq!(publish(&mut tx, 4..5), 0, "nothing waits, and nothing is overwritten");
            let mut got = Vec::with_capacity(2);
            // SAFETY: as in `dequeue`, whose second half this is.
            unsafe { rx.ring.slots.empty_to(first as u32, count, &mut got) };
            rx.ring.vacated.store(first.wrapping_add(2), Ordering::Release);
            assert_eq!((tx.room(4), tx.is_held_up()), (3, false));
            assert_eq!((got, evicted), (vec![0, 1], vec![2]));
        }
    }

    #[test]
    fn two_threads_take_each_value_once() {
        for start in STARTS {
            let (mut tx, mut rx) = channel(8, start).unwrap();
            const COUNT: u64 = 2_000;
            let (evicted, got) = std::thread::scope(|scope| {
                let producer = scope.spawn(move || {
                    let mut evicted = Vec::new();
                    for value in 0..COUNT {
                        let mut values = vec![value];
                        while tx.enqueue_vec(&mut values) == 0 {
                            if value % 3 == 0 {
                                tx.evict(&mut evicted, 2);
                            }
                            std::thread::yield_now();
                        }
                    }
                    evicted
                });
                let mut got = Vec::new();
                while rx.is_connected() || rx.filled() != 0 {
                    if rx.dequeue(&mut got, 3) == 0 {
                        std::thread::yield_now();
                    }
                }
                (producer.join().unwrap(), got)
            });
            assert!(evicted.is_sorted() && got.is_sorted());
            let mut all = [evicted, got].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..COUNT), "every value once");
        }
    }

    #[test]
    fn drops() {
        let value = std::sync::Arc::new(());
        let (mut tx, mut rx) = channel(4, u64::MAX - 1).unwrap();
        assert_eq!(tx.enqueue_vec(&mut vec![std::sync::Arc::clone(&value); 4]), 4);
        rx.dequeue(&mut Vec::new(), 1);
        tx.evict(&mut Vec::new(), 1);
        assert_eq!(std::sync::Arc::strong_count(&value), 3);
        drop(tx);
        assert!(!rx.is_connected());
        drop(rx);
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
    }
}
