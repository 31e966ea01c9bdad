//! What is known of one buffer's present allocation.

use super::TransitionKind;
use super::mode::Mode;
use super::site::{SITE_BITS, SiteId};
use crate::account::HolderId;
use crate::sync::{AtomicU64, Ordering};

/// Transitions that are kept for each buffer, the last ones.
pub(super) const TRAIL: usize = if cfg!(loom) { 1 } else { 5 };

/// The record of one buffer, beside its header.
///
/// ```text
/// origin   generation: 32 │ holder: 16 │ rate: 5 │ site: 11      0: no record
/// born     generation: 32 │ epoch: 32
/// noted    generation: 32 │ transitions so far, modulo 2^32: 32
/// trail[…] generation: 16 │ after: 24 │ kind: 2 │ views: 6 │ holder: 16     0: none
/// ```
/// Every word says of which generation it is, so a reader puts no two generations together.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C, align(64)))]
pub(crate) struct Record {
    origin: AtomicU64,
    born: AtomicU64,
    noted: AtomicU64,
    trail: [AtomicU64; TRAIL],
}

// A cache line of its own, since its writers are as many as its buffer's owners.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Record>() == 64);

/// Who allocated a buffer, where, and of how many allocations it stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) site: SiteId,
    pub(crate) holder: HolderId,
    /// It stands for `1 << rate` allocations.
    pub(crate) rate: u32,
}

impl Origin {
    pub(super) fn new(site: SiteId, holder: HolderId, mode: Mode) -> Self {
        Self { site, holder, rate: mode.rate() }
    }

    fn word(self, generation: u32) -> u64 {
        u64::from(generation) << 32
            | u64::from(self.holder.raw()) << 16
            | u64::from(self.rate) << SITE_BITS
            | u64::from(self.site)
    }

    fn from_word(word: u64) -> Self {
        Self {
            site: word as SiteId & ((1 << SITE_BITS) - 1),
            holder: HolderId::from_raw((word >> 16) as u16),
            rate: (word as u16 >> SITE_BITS) as u32,
        }
    }
}

/// One transition of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) kind: TransitionKind,
    pub(crate) holder: HolderId,
    /// Views; 63 are 63 or more.
    pub(crate) views: u32,
    /// Epochs after the allocation; 2^24 - 1 are that or more.
    pub(crate) after: u32,
}

impl Note {
    fn word(self, generation: u32) -> u64 {
        u64::from(generation as u16) << 48
            | u64::from(self.after.min((1 << 24) - 1)) << 24
            | (self.kind as u64) << 22
            | u64::from(self.views.min(63)) << 16
            | u64::from(self.holder.raw())
    }

    /// None if the word is of another generation, or empty.
    fn from_word(word: u64, generation: u32) -> Option<Self> {
        let (views, kind) = ((word >> 16) as u32 & 63, (word >> 22) & 3);
        if views == 0 || (word >> 48) as u16 != generation as u16 {
            return None;
        }
        let kind = match kind {
            0 => TransitionKind::Delivered,
            1 => TransitionKind::Cloned,
            _ => TransitionKind::Released,
        };
        let holder = HolderId::from_raw(word as u16);
        Some(Self { kind, holder, views, after: (word >> 24) as u32 & ((1 << 24) - 1) })
    }
}

/// What a record said at one moment, all of it of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) generation: u32,
    pub(crate) origin: Origin,
    pub(crate) epoch: u32,
    /// The last transitions, the oldest first.
    pub(crate) trail: Vec<Note>,
    /// Transitions before those.
    pub(crate) forgotten: u32,
    word: u64,
}

impl Record {
    pub(crate) fn empty() -> Self {
        Self {
            origin: AtomicU64::new(0),
            born: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            trail: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Begins the record of an allocation, once a generation, by whoever just took the buffer from a
    /// free list.
    pub(crate) fn begin(&self, generation: u32, epoch: u32, origin: Origin) {
        let tag = u64::from(generation) << 32;
        // Relaxed, all but the last: words of another generation are no part of this record, and later
        // writers own views of the buffer, whose hand-over orders them behind this.
        for entry in &self.trail {
            entry.store(0, Ordering::Relaxed);
        }
        self.noted.store(tag, Ordering::Relaxed);
        self.born.store(tag | u64::from(epoch), Ordering::Relaxed);
        // SYNC: Release pairs with the Acquire of `read`: who sees the record sees the trail empty of
        // what was noted 2^16 generations ago. A swap, so that the one of `forget` comes wholly before it
        // or after it.
        self.origin.swap(origin.word(generation), Ordering::Release);
    }

    /// Whether it is of `generation`; asked by an owner of the buffer.
    pub(super) fn is_of(&self, generation: u32) -> bool {
        // Relaxed: this thread wrote the word, or was handed the buffer by whoever did.
        is_of(self.origin.load(Ordering::Relaxed), generation)
    }

    /// Names another site and holder of the record of `generation`; by the buffer's only owner.
    pub(crate) fn name_origin(&self, generation: u32, holder: HolderId, site: SiteId) -> bool {
        // Relaxed: this thread wrote the word, or was handed the buffer by whoever did.
        let word = self.origin.load(Ordering::Relaxed);
        if !is_of(word, generation) {
            return false;
        }
        let origin = Origin { site, holder, ..Origin::from_word(word) };
        // SYNC: Release pairs with the Acquire of `read`: a plain store ends the release sequence of
        // `begin`, so who sees this word must see by it that the trail was emptied.
        self.origin.store(origin.word(generation), Ordering::Release);
        true
    }

    /// Has `count` transitions noted, for a model.
    #[cfg(loom)]
    pub(crate) fn start_at(&self, generation: u32, count: u32) {
        // Relaxed: before the threads of the model.
        self.noted.store(u64::from(generation) << 32 | u64::from(count), Ordering::Relaxed);
    }

    /// Generation and number of the transitions noted, for a model.
    #[cfg(loom)]
    pub(crate) fn noted(&self) -> (u32, u32) {
        // Relaxed: after the threads of the model.
        let noted = self.noted.load(Ordering::Relaxed);
        ((noted >> 32) as u32, noted as u32)
    }

    /// Adds a transition of `generation`, `now` being the epoch; by an owner of a view. False if there is
    /// no record of that generation.
    pub(crate) fn note(
        &self,
        generation: u32,
        now: u32,
        kind: TransitionKind,
        holder: HolderId,
        views: u32,
    ) -> bool {
        // Relaxed: written when the buffer was allocated, and handed on with its views.
        if !is_of(self.origin.load(Ordering::Relaxed), generation) {
            return false;
        }
        // Relaxed: as above.
        let born = self.born.load(Ordering::Relaxed) as u32;
        let note = Note { kind, holder, views, after: now.wrapping_sub(born) };
        // Relaxed: gives out a place; owners of other views may do the same.
        let before = self.noted.fetch_add(1, Ordering::Relaxed);
        if before as u32 == u32::MAX {
            // Relaxed: takes back what was carried into the generation.
            self.noted.fetch_sub(1 << 32, Ordering::Relaxed);
        }
        // Of the count alone, as in `read`: the generation is above it.
        let at = before as u32 as usize % TRAIL;
        // SYNC: Release pairs with the Acquire of `read`: who reads a transition also sees that the
        // record is of its generation.
        self.trail[at].store(note.word(generation), Ordering::Release);
        true
    }

    /// What the record says now; none if there is none, or it is just being replaced.
    pub(crate) fn read(&self) -> Option<Seen> {
        // SYNC: Acquire pairs with the Release of `begin` and of `name_origin`.
        let word = self.origin.load(Ordering::Acquire);
        // Relaxed: each word tells its generation.
        let born = self.born.load(Ordering::Relaxed);
        let generation = (word >> 32) as u32;
        if word == 0 || (born >> 32) as u32 != generation {
            return None;
        }
        // Relaxed: as above; not yet this generation's, if it was just begun.
        let noted = self.noted.load(Ordering::Relaxed);
        let noted = if (noted >> 32) as u32 == generation { noted as u32 } else { 0 };
        let mut trail = Vec::new();
        for step in 0..TRAIL {
            let at = (noted as usize).wrapping_add(step) % TRAIL;
            // SYNC: Acquire pairs with the Release of `note`.
            let entry = self.trail[at].load(Ordering::Acquire);
            trail.extend(Note::from_word(entry, generation));
        }
        // Relaxed: a transition of a later generation whose low bits are the same was ordered behind
        // that generation's `begin`, and so is this load.
        if !is_of(self.origin.load(Ordering::Relaxed), generation) {
            return None;
        }
        trail.sort_by_key(|note| note.after);
        let forgotten = noted.saturating_sub(trail.len() as u32);
        let (origin, epoch) = (Origin::from_word(word), born as u32);
        Some(Seen { generation, origin, epoch, trail, forgotten, word })
    }

    /// Forgets what `read` saw, unless there is something newer: so that it does not seem to be of a
    /// later allocation when generations have wrapped.
    pub(super) fn forget(&self, seen: &Seen) {
        // Relaxed: one word, which is the record's beginning or nothing.
        let _ = self.origin.compare_exchange(seen.word, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn is_of(word: u64, generation: u32) -> bool {
    word != 0 && (word >> 32) as u32 == generation
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_is_put_in() {
        let origin = Origin { site: 2047, holder: HolderId::from_raw(0xFFFE), rate: 31 };
        assert_eq!(Origin::from_word(origin.word(u32::MAX)), origin);
        for kind in [TransitionKind::Delivered, TransitionKind::Cloned, TransitionKind::Released] {
            let note = Note { kind, holder: HolderId::from_raw(0xABCD), views: 7, after: 123_456 };
            assert_eq!(Note::from_word(note.word(0x1_0005), 5), Some(note));
            assert_eq!(Note::from_word(note.word(5), 6), None);
        }
        let most = Note {
            kind: TransitionKind::Released,
            holder: HolderId::NONE,
            views: 1000,
            after: u32::MAX,
        };
        let read = Note::from_word(most.word(0), 0).unwrap();
        assert_eq!((read.views, read.after), (63, (1 << 24) - 1));
    }

    #[test]
    fn the_last_transitions_are_kept() {
        let record = Record::empty();
        let origin = Origin { site: 2, holder: HolderId::NONE, rate: 3 };
        assert!(record.read().is_none());
        for generation in (0..TRAIL as u32).rev() {
            record.begin(generation, 10, origin);
            for holder in 0..7 {
                let holder = HolderId::from_raw(holder);
                assert!(record.note(generation, 20, TransitionKind::Delivered, holder, 1));
            }
            let seen = record.read().unwrap();
            assert_eq!((seen.generation, seen.epoch, seen.forgotten), (generation, 10, 2));
            let holders: Vec<u16> = seen.trail.iter().map(|note| note.holder.raw()).collect();
            assert_eq!(holders, [2, 3, 4, 5, 6], "in their order, though all at one time");
        }
        assert!(!record.note(1, 20, TransitionKind::Delivered, HolderId::NONE, 1));
        let seen = record.read().unwrap();
        record.noted.fetch_or(u64::from(u32::MAX), Ordering::Relaxed);
        assert!(record.note(0, 20, TransitionKind::Released, HolderId::NONE, 1));
        assert_eq!(record.noted.load(Ordering::Relaxed), 0, "it wraps inside its generation");
        record.begin(1 << 16, 30, origin);
        assert!(record.read().unwrap().trail.is_empty(), "of a generation with the same low bits");
        record.forget(&seen);
        assert!(record.read().is_some(), "there is something newer");
        record.forget(&record.read().unwrap());
        assert!(record.read().is_none());
    }
}
