//! Layout of the header.

use super::free::{RawFree, RawOwner};
use crate::sync::{AtomicU8, AtomicU32, Ordering};
use std::ptr::NonNull;

/// Bytes of a header: one cache line.
pub const HEADER_BYTES: usize = 64;

/// Largest order: a pool's buffers have `4096 << order` bytes, as the kernel's page allocator's.
pub const MAX_ORDER: u8 = 10;

/// Largest buffer in bytes, brought memory included; lengths and offsets have 32 bits.
pub const MAX_BUFFER_BYTES: usize = u32::MAX as usize & !(HEADER_BYTES - 1);

/// The index of a header that belongs to no pool.
pub(crate) const NO_INDEX: u32 = u32::MAX;

/// Bits of [`BufferHeader::armed`] that count views; those above tell the use.
const ARMED_BITS: u32 = 24;

/// Most views that it tells.
const ARMED_MOST: u32 = FILLING - 1;

/// In the place of the views while a [`crate::Fill`] holds references in advance.
const FILLING: u32 = (1 << ARMED_BITS) - 1;

/// Uses that it tells apart.
const ARMED_USES: u32 = 1 << (u32::BITS - ARMED_BITS);

/// Where a header lies and what happens when its last reference goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// In a pool's array; the buffer goes back to that pool.
    Pool = 0,
    /// At the head of memory that a caller brought.
    Head = 1,
    /// In a heap allocation of its own, beside memory that a caller brought.
    Detached = 2,
}

/// What an skb points to: one shared reference count and what is needed to free the memory.
///
/// ```text
///  0 refs        4 generation   8 data ─► first byte    16 size    20 index
/// 24 free function             32 its context           40 owner   48 how to let go of the owner
/// 56 armed      60 order       61 kind    62 writable   63 logged
/// ```
/// Pool memory has its headers in an array beside the region; memory that a caller brought has it
/// at its head (`init_zero_copy_buffer`) or in an allocation of its own (`adopt`). An skb cannot
/// tell the difference.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct BufferHeader {
    /// References to this buffer: views, and what drivers hold back. 0: free.
    pub(crate) refs: AtomicU32,
    /// How often this buffer has come home; wraps.
    pub(crate) generation: AtomicU32,
    pub(crate) data: NonNull<u8>,
    pub(crate) size: u32,
    /// Position in the pool's array, or [`NO_INDEX`].
    pub(crate) index: u32,
    pub(crate) free: RawFree,
    pub(crate) owner: RawOwner,
    /// `generation << 24 | views`: the low byte of the generation in which the buffer was armed, and for
    /// how many views. Reporting only.
    pub(crate) armed: AtomicU32,
    pub(crate) order: u8,
    pub(crate) kind: Kind,
    pub(crate) writable: bool,
    /// Whether the present allocation may have a record; see [`crate::Provenance`].
    pub(crate) logged: AtomicU8,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = {
    assert!(size_of::<BufferHeader>() == HEADER_BYTES);
    assert!(align_of::<BufferHeader>() == HEADER_BYTES);
    assert!(std::mem::offset_of!(BufferHeader, data) == 8);
    assert!(std::mem::offset_of!(BufferHeader, size) == 16);
    assert!(std::mem::offset_of!(BufferHeader, armed) == 56);
};

// SAFETY: the counts are atomic; the other fields are written only before the header is shared, and
// the raw pointers in it are used only under the rules of the reference count.
unsafe impl Send for BufferHeader {}
// SAFETY: as above.
unsafe impl Sync for BufferHeader {}

impl BufferHeader {
    /// A header over no memory, for tests of the count.
    #[cfg(test)]
    pub(crate) fn of_nothing(references: u32) -> Self {
        Self {
            refs: AtomicU32::new(references),
            generation: AtomicU32::new(u32::MAX),
            data: NonNull::dangling(),
            size: 0,
            index: NO_INDEX,
            free: RawFree::NOTHING,
            owner: RawOwner::NOBODY,
            armed: AtomicU32::new(0),
            order: 0,
            kind: Kind::Head,
            writable: false,
            logged: AtomicU8::new(crate::provenance::NOT_LOGGED),
        }
    }

    /// The first byte of the buffer.
    #[inline(always)]
    pub fn data(&self) -> NonNull<u8> {
        self.data
    }

    /// Bytes of the buffer, header not included.
    #[inline(always)]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The order it was made with; what it means for brought memory is the caller's business.
    pub fn order(&self) -> u8 {
        self.order
    }

    /// Position in its pool, if it belongs to one.
    pub fn index(&self) -> Option<u32> {
        (self.index != NO_INDEX).then_some(self.index)
    }

    /// How often the buffer has come home. Wraps.
    pub fn generation(&self) -> u32 {
        // Relaxed: whoever holds a reference sees a value that does not change.
        self.generation.load(Ordering::Relaxed)
    }

    /// References now. Other threads may change it at once, unless it is 1 and the caller's own.
    #[inline(always)]
    pub fn references(&self) -> u32 {
        // SYNC: Acquire pairs with the Release of `put`: whoever sees 1 also sees everything that
        // the other holders did with the bytes before they let go.
        self.refs.load(Ordering::Acquire)
    }

    /// Views that the buffer was armed for in its present use, up to 2^24 − 2; 0 if it was not. Use by use
    /// is told apart by the low byte of the generation.
    pub fn armed(&self) -> u32 {
        match self.armed_or_filling() {
            FILLING => 0,
            views => views,
        }
    }

    /// Whether it is being filled: then its references do not tell how many views there are.
    pub(crate) fn is_filling(&self) -> bool {
        self.armed_or_filling() == FILLING
    }

    fn armed_or_filling(&self) -> u32 {
        // Relaxed: reporting only.
        let word = self.armed.load(Ordering::Relaxed);
        if word >> ARMED_BITS == self.generation() % ARMED_USES { word & FILLING } else { 0 }
    }

    /// Tells what the buffer was armed for.
    #[inline(always)]
    pub(crate) fn set_armed(&self, views: u32) {
        self.tell_use(views.min(ARMED_MOST));
    }

    /// Tells that it is being filled, until it is told what it was armed for.
    #[inline(always)]
    pub(crate) fn set_filling(&self) {
        self.tell_use(FILLING);
    }

    #[inline(always)]
    fn tell_use(&self, how: u32) {
        // What is shifted out is the rest of the generation.
        let word = self.generation() << ARMED_BITS | how;
        // Relaxed: reporting only.
        self.armed.store(word, Ordering::Relaxed);
    }

    /// Whether transitions of the buffer may be of interest to the log: `NOT_LOGGED` or another.
    #[inline(always)]
    pub(crate) fn logged(&self) -> u8 {
        // Relaxed: written by the buffer's only owner and handed on with its views; the log decides.
        self.logged.load(Ordering::Relaxed)
    }

    /// Says whether the present allocation is recorded; by an owner who knows.
    pub(crate) fn set_logged(&self, logged: u8) {
        // Relaxed: as above.
        self.logged.store(logged, Ordering::Relaxed);
    }

    /// Whether anybody is called when the last reference of brought memory goes.
    pub(crate) fn calls_somebody(&self) -> bool {
        self.free.function.is_some() || self.owner.put.is_some()
    }

    /// Whether the memory may be written at all.
    #[inline(always)]
    pub fn is_memory_writable(&self) -> bool {
        self.writable
    }
}
