//! The values that C holds, and how they become Rust's.

use crate::failure::Failure;
use skbpool_pool::{Armed, BufferHeader, Skb};
use std::ptr::NonNull;

/// `skb_t`: the 64 bytes of an skb, or of none where `header` is null.
///
/// C holds it by value and may move it; whoever has it owns one reference, until it is released or
/// moved away through a pointer, which nulls `header`.
#[derive(Debug)]
#[repr(C)]
pub struct RawSkb {
    /// Null: released; the rest means nothing then.
    pub header: *mut BufferHeader,
    rest: [u64; 7],
}

// SAFETY: it is an skb's bytes, and skbs are Send.
unsafe impl Send for RawSkb {}

/// `skb_armed`: an armed buffer, or none where all is null.
#[derive(Debug, Default)]
#[repr(C)]
pub struct ArmedSlot {
    opaque: [u64; 3],
}

const _: () = {
    assert!(size_of::<RawSkb>() == size_of::<Skb>());
    assert!(align_of::<RawSkb>() == align_of::<Skb>());
    assert!(size_of::<ArmedSlot>() == size_of::<Option<Armed>>());
    assert!(align_of::<ArmedSlot>() == align_of::<Option<Armed>>());
};

impl RawSkb {
    /// No skb.
    pub const fn released() -> Self {
        Self { header: std::ptr::null_mut(), rest: [0; 7] }
    }

    /// Gives an skb to C.
    #[inline(always)]
    pub fn new(skb: Skb) -> Self {
        // SAFETY: both are 64 bytes of the same alignment, and every bit pattern is a RawSkb.
        unsafe { std::mem::transmute::<[u64; 8], RawSkb>(skb.into_raw()) }
    }

    /// Takes the skb out, if there is one, and leaves none.
    ///
    /// # Safety
    /// - Unless `header` is null, these bytes are an skb that nobody else owns.
    #[inline(always)]
    pub unsafe fn take(&mut self) -> Option<Skb> {
        if self.header.is_null() {
            return None;
        }
        let raw = RawSkb { header: self.header, rest: self.rest };
        self.header = std::ptr::null_mut();
        // SAFETY: the caller says that these are an skb's bytes; they are in nobody's hands but ours
        // now, since without a header the rest means nothing.
        Some(unsafe { Skb::from_raw(std::mem::transmute::<RawSkb, [u64; 8]>(raw)) })
    }

    /// The skb, in place.
    ///
    /// # Safety
    /// - As for [`RawSkb::take`], and nobody else uses the skb while the reference is in use.
    #[inline(always)]
    pub unsafe fn get(&self) -> Result<&Skb, Failure> {
        if self.header.is_null() {
            return Err(Failure::Released);
        }
        // SAFETY: `skb_t` has the layout of `Skb`, and a header makes it one.
        Ok(unsafe { &*std::ptr::from_ref(self).cast::<Skb>() })
    }

    /// The skb, in place, to be changed.
    ///
    /// # Safety
    /// - As for [`RawSkb::get`].
    #[inline(always)]
    pub unsafe fn get_mut(&mut self) -> Result<&mut Skb, Failure> {
        if self.header.is_null() {
            return Err(Failure::Released);
        }
        // SAFETY: as above.
        Ok(unsafe { &mut *std::ptr::from_mut(self).cast::<Skb>() })
    }
}

/// Reads a header that C holds.
#[inline(always)]
pub(crate) fn header(header: *mut BufferHeader) -> Result<NonNull<BufferHeader>, Failure> {
    NonNull::new(header).ok_or(Failure::Released)
}
