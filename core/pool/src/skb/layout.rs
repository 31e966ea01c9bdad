//! Layout of the skb.

use super::chain::FragList;
use crate::account::HolderId;
use crate::buffer::RxFrame;
use crate::header::BufferHeader;
use crate::home::put_references;
use crate::provenance::{LOGGED_FULL, TransitionKind, note};
use crate::words::{halves, quarters};
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;

/// What is known about an skb, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct SkbFlags(pub u16);

impl SkbFlags {
    /// The frame had another length before it was cut short, which the skb tells.
    pub const ORIGINAL_LENGTH: SkbFlags = SkbFlags(1);
    /// The bytes were copied out of the buffer they arrived in, into memory of the consumer's own.
    pub const COPIED: SkbFlags = SkbFlags(2);

    /// Whether all of `flags` are set.
    #[inline(always)]
    pub const fn contains(self, flags: SkbFlags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// A view: where its bytes lie in one buffer, and what is known about the packet.
///
/// ```text
/// buffer  0 ─────── head ───── offset ══════ offset+len ───── end ─────── size
///                     │headroom  │    data        │   tailroom │
///  0 header ─► BufferHeader      8 fragments ─► FragList, or null
/// 16 timestamp_ns               24 head   28 offset   32 len   36 end
/// 40 original_length  44 truesize  48 hash  52 birth
/// 56 port  58 holder  60 link_type  62 flags
/// ```
/// It owns one reference to its buffer, is moved and never allocated, and is read-only unless it is
/// the only view. `Send`, not `Sync`: a view belongs to one thread at a time, which is why cloning
/// the only view needs no atomic operation.
#[derive(Debug)]
#[repr(C)]
pub struct Skb {
    pub(super) header: NonNull<BufferHeader>,
    pub(super) fragments: Option<Box<FragList>>,
    /// When the frame was received, in nanoseconds since the Unix epoch, as its source says.
    pub timestamp_ns: u64,
    /// First byte of the window; headroom ends here.
    pub(super) head: u32,
    /// First byte of the data.
    pub(super) offset: u32,
    /// Bytes of data in this buffer, fragments not included.
    pub(super) len: u32,
    /// First byte after the window; tailroom ends here.
    pub(super) end: u32,
    /// Bytes the frame had before it was cut short, if [`SkbFlags::ORIGINAL_LENGTH`] is set.
    pub(super) original_length: u32,
    /// Bytes its holder is charged for: the buffer's size divided by the views armed on it.
    pub(super) truesize: u32,
    /// Flow hash, 0: not computed.
    pub hash: u32,
    /// [`crate::clock::tick`] of its arrival, 0: not measured.
    pub birth: u32,
    /// Interface the frame came in by.
    pub port: u16,
    pub(super) holder: u16,
    /// LINKTYPE_ number of the frame, as in capture files; 1 is Ethernet.
    pub link_type: u16,
    /// Flags.
    pub flags: SkbFlags,
    not_sync: PhantomData<Cell<()>>,
}

const _: () = {
    assert!(size_of::<Skb>() == 64);
    assert!(size_of::<Option<Skb>>() == 64);
    assert!(std::mem::offset_of!(Skb, timestamp_ns) == 16);
    assert!(std::mem::offset_of!(Skb, offset) == 28);
    assert!(std::mem::offset_of!(Skb, len) == 32);
    assert!(std::mem::offset_of!(Skb, birth) == 52);
    assert!(std::mem::offset_of!(Skb, flags) == 62);
};

// SAFETY: the reference it owns may be given back by any thread, and headers are Sync. It is not
// Sync, so a `&Skb` never leaves its thread.
unsafe impl Send for Skb {}

impl Skb {
    /// # Safety
    /// - The caller gives up one reference to `header`.
    /// - `data` lies inside `window` and `window` inside the buffer, and no other view can see the
    ///   window, unless it was made by cloning.
    #[inline(always)]
    pub(crate) unsafe fn new(
        header: NonNull<BufferHeader>,
        window: Range<u32>,
        data: Range<u32>,
        truesize: u32,
    ) -> Self {
        Self {
            header,
            fragments: None,
            timestamp_ns: 0,
            head: window.start,
            offset: data.start,
            len: data.end - data.start,
            end: window.end,
            original_length: 0,
            truesize,
            hash: 0,
            birth: 0,
            port: 0,
            holder: HolderId::NONE.raw(),
            link_type: 1,
            flags: SkbFlags(0),
            not_sync: PhantomData,
        }
    }

    /// An skb without data whose window is all of a buffer of `size` bytes: what [`Skb::new`] makes,
    /// from whole words.
    ///
    /// # Safety
    /// - The caller gives up one reference to `header`, whose buffer has `size` bytes.
    #[inline(always)]
    pub(crate) unsafe fn blank(header: NonNull<BufferHeader>, size: u32) -> Self {
        let rest = [0, 0, 0, halves(0, size), halves(0, size), 0, quarters([0, 0, 1, 0])];
        // SAFETY: the words are the fields in their order.
        unsafe { Self::from_words(header, rest) }
    }

    /// A view of a received frame: what [`Skb::new`] makes and its description, from whole words.
    ///
    /// # Safety
    /// - As [`Skb::new`], for the frame's window and data.
    #[inline(always)]
    pub(crate) unsafe fn received(
        header: NonNull<BufferHeader>,
        frame: &RxFrame,
        truesize: u32,
        birth: u32,
    ) -> Self {
        let flags = u16::from(frame.original_length != frame.len) * SkbFlags::ORIGINAL_LENGTH.0;
        // The first three words of both are the same fields in the same order.
        // SAFETY: 32 bytes of plain numbers without padding.
        let [time, front, back, _] = unsafe { std::mem::transmute::<RxFrame, [u64; 4]>(*frame) };
        let rest = [
            0,
            time,
            front,
            back,
            halves(frame.original_length, truesize),
            halves(0, birth),
            quarters([frame.interface, HolderId::NONE.raw(), frame.link_type, flags]),
        ];
        // SAFETY: the words are the fields in their order.
        unsafe { Self::from_words(header, rest) }
    }

    /// Puts an skb together from its header and the words behind it, so that it is written with as few
    /// stores as the machine has: where skbs are made by the batch they are what the time goes into.
    ///
    /// # Safety
    /// - The words are the fields from `fragments` on, in their order, and that is null.
    /// - As [`Skb::new`].
    #[inline(always)]
    pub(super) unsafe fn from_words(header: NonNull<BufferHeader>, rest: [u64; 7]) -> Self {
        #[repr(C)]
        struct Words(NonNull<BufferHeader>, [u64; 7]);
        const {
            assert!(std::mem::offset_of!(Skb, timestamp_ns) == 16);
            assert!(std::mem::offset_of!(Skb, head) == 24);
            assert!(std::mem::offset_of!(RxFrame, head) == 8);
            assert!(std::mem::offset_of!(RxFrame, end) == 20);
            assert!(std::mem::offset_of!(Skb, end) == 36);
            assert!(std::mem::offset_of!(Skb, original_length) == 40);
            assert!(std::mem::offset_of!(Skb, truesize) == 44);
            assert!(std::mem::offset_of!(Skb, port) == 56);
            assert!(std::mem::offset_of!(Skb, link_type) == 60);
            assert!(HolderId::NONE.raw() == 0);
        }
        // SAFETY: as the caller promises; a null box is none.
        unsafe { std::mem::transmute::<Words, Skb>(Words(header, rest)) }
    }

    /// The words behind the header, with nobody as holder and without fragments.
    #[inline(always)]
    pub(super) fn words_of_nobody(&self) -> [u64; 7] {
        // SAFETY: seven words of plain numbers, but for the fragments, follow the header; the address
        // of those is not kept.
        let mut words = unsafe { std::ptr::from_ref(self).cast::<[u64; 8]>().read() };
        words[1] = 0;
        words[7] &= !quarters([0, u16::MAX, 0, 0]);
        let [_, rest @ ..] = words;
        rest
    }

    /// The header of its buffer.
    #[inline(always)]
    pub fn header(&self) -> &BufferHeader {
        // SAFETY: our reference keeps it valid.
        unsafe { self.header.as_ref() }
    }

    /// Whether nothing but its reference has to be given back: nobody answers for it, nobody
    /// measures it, and it is no chain.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.fragments.is_none() & (self.birth == 0) & (self.holder == HolderId::NONE.raw())
    }

    /// What has to be settled for it, its holder and its birth, as one number; 0 if nothing has.
    ///
    /// For skbs that were written a while ago: the load spans fields that are stored one by one, so
    /// right behind those stores it would wait for them.
    #[inline(always)]
    pub(super) fn matter(&self) -> u64 {
        const BIRTH: usize = std::mem::offset_of!(Skb, birth);
        const HOLDER: usize = std::mem::offset_of!(Skb, holder);
        const MASK: u64 = {
            assert!(HOLDER == BIRTH + 6);
            if cfg!(target_endian = "little") { !0xFFFF_0000_0000 } else { !0xFFFF_0000 }
        };
        // SAFETY: eight bytes from `birth` on, with `port` between, lie inside the skb.
        let word = unsafe {
            std::ptr::from_ref(self).cast::<u8>().add(BIRTH).cast::<u64>().read_unaligned()
        };
        word & MASK
    }

    /// As [`Skb::is_plain`], with a load less, for skbs that were written a while ago.
    #[inline(always)]
    pub(crate) fn is_plain_at_rest(&self) -> bool {
        (self.matter() == 0) & self.fragments.is_none()
    }

    #[inline(always)]
    pub(crate) fn header_ptr(&self) -> NonNull<BufferHeader> {
        self.header
    }

    /// Bytes of data, fragments included.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        match &self.fragments {
            None => self.len,
            Some(fragments) => self.len + fragments.bytes(),
        }
    }

    /// Whether there is no data.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The data that lies in this view's own buffer: all of it, unless the skb is a chain.
    #[inline(always)]
    pub fn data(&self) -> &[u8] {
        // SAFETY: `offset + len <= size`, our reference keeps the memory valid, and nobody writes to
        // a window that a view can see, except its only view through `&mut`.
        unsafe {
            let first = self.header().data().as_ptr().add(self.offset as usize);
            std::slice::from_raw_parts(first, self.len as usize)
        }
    }

    /// Bytes the frame had when it was received: as many as it has now, unless it was told otherwise.
    #[inline(always)]
    pub fn original_length(&self) -> u32 {
        if self.flags.contains(SkbFlags::ORIGINAL_LENGTH) {
            self.original_length
        } else {
            self.len()
        }
    }

    /// Tells how many bytes the frame had when it was received; any number, 0 too, as captures may
    /// claim it.
    #[inline(always)]
    pub fn set_original_length(&mut self, bytes: u32) {
        self.original_length = bytes;
        self.flags.0 |= SkbFlags::ORIGINAL_LENGTH.0;
    }

    /// Takes back what [`Skb::set_original_length`] told.
    #[inline(always)]
    pub fn clear_original_length(&mut self) {
        self.original_length = 0;
        self.flags.0 &= !SkbFlags::ORIGINAL_LENGTH.0;
    }

    /// Buffers it has a view of: one, and for a chain one for each fragment. Each counts as a view of
    /// its holder's, since each pins a buffer.
    #[inline(always)]
    pub fn views(&self) -> u32 {
        match &self.fragments {
            None => 1,
            Some(fragments) => 1 + fragments.count(),
        }
    }

    /// What its holder is charged for in bytes, fragments included.
    #[inline(always)]
    pub fn truesize(&self) -> u32 {
        match &self.fragments {
            None => self.truesize,
            Some(fragments) => self.truesize.saturating_add(fragments.truesize()),
        }
    }

    /// Who answers for it.
    #[inline(always)]
    pub fn holder(&self) -> HolderId {
        HolderId::from_raw(self.holder)
    }

    /// Says who answers for it. The caller does the counting: acquisition here, and release follows
    /// by itself when the skb is released.
    #[inline(always)]
    pub fn set_holder(&mut self, holder: HolderId) {
        self.holder = holder.raw();
    }

    /// Gives the skb up as 64 plain bytes, for C.
    pub fn into_raw(self) -> [u64; 8] {
        // SAFETY: an skb is 64 bytes without padding, and is not dropped here.
        unsafe { std::mem::transmute::<ManuallyDrop<Skb>, [u64; 8]>(ManuallyDrop::new(self)) }
    }

    /// Takes back what [`Skb::into_raw`] gave up.
    ///
    /// # Safety
    /// - `raw` came from `into_raw`, and is taken back once.
    #[inline(always)]
    pub unsafe fn from_raw(raw: [u64; 8]) -> Self {
        // SAFETY: the caller hands over the bytes of an skb, which owns its reference again.
        unsafe { std::mem::transmute::<[u64; 8], Skb>(raw) }
    }
}

impl Drop for Skb {
    #[inline]
    fn drop(&mut self) {
        if self.header().logged() == LOGGED_FULL {
            // SAFETY: our reference keeps the header valid.
            unsafe { note(self.header, TransitionKind::Released, self.holder(), 1) };
        }
        self.settle_shared();
        // SAFETY: we own one reference and give it up; the fragments drop by themselves.
        unsafe { put_references(self.header, 1) }
    }
}
