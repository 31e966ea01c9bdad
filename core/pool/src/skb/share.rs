//! More views of the same bytes.

use super::{Skb, SkbError};
use crate::account::HolderId;
use crate::header::BufferHeader;
use crate::home::put_references;
use crate::provenance::{NOT_LOGGED, TransitionKind, note};
use std::ptr::NonNull;

impl Skb {
    /// Another view of the same bytes, window and description; nobody answers for it yet.
    ///
    /// One atomic addition; a plain store when this is the only view, since then nobody else can
    /// change the count. A chain's fragments are cloned too.
    ///
    /// # Errors
    /// [`SkbError::TooManyReferences`] at the count's limit (I3).
    #[inline(always)]
    pub fn clone_skb(&self) -> Result<Skb, SkbError> {
        self.take_reference()?;
        if self.fragments.is_some() | (self.header().logged() != NOT_LOGGED) {
            return self.clone_noted();
        }
        // SAFETY: the reference was just taken.
        Ok(unsafe { self.twin() })
    }

    /// Clones a chain, or a view of a buffer that may be recorded; its reference was just taken.
    #[cold]
    fn clone_noted(&self) -> Result<Skb, SkbError> {
        self.note_cloned(1);
        // SAFETY: the caller took the reference.
        let clone = unsafe { self.clone_onto_reference() };
        if clone.is_err() {
            // SAFETY: the reference was just taken, and became nobody's.
            unsafe { put_references(self.header, 1) };
        }
        clone
    }

    /// Notes that `views` views were made of views of this one's buffer, if that may be recorded.
    #[inline(always)]
    pub(super) fn note_cloned(&self, views: u32) {
        if self.header().logged() != NOT_LOGGED {
            // SAFETY: our reference keeps the header valid.
            unsafe { note(self.header, TransitionKind::Cloned, HolderId::NONE, views) };
        }
    }

    /// Makes another view out of a reference that the caller took.
    ///
    /// # Safety
    /// - The caller owns one more reference to this skb's buffer, and gives it up if this succeeds.
    #[inline(always)]
    pub(super) unsafe fn clone_onto_reference(&self) -> Result<Skb, SkbError> {
        let fragments = match &self.fragments {
            None => None,
            Some(fragments) => Some(fragments.clone_list()?),
        };
        // SAFETY: the reference is the caller's.
        let mut clone = unsafe { self.twin() };
        clone.fragments = fragments;
        Ok(clone)
    }

    /// The same bytes of the same buffer once more, nobody's and without fragments.
    ///
    /// # Safety
    /// - The caller owns one more reference to this skb's buffer, and gives it up.
    #[inline(always)]
    pub(super) unsafe fn twin(&self) -> Skb {
        // SAFETY: the reference is the caller's, and the words are a view's own.
        unsafe { Skb::from_words(self.header, self.words_of_nobody()) }
    }

    /// A view of `len` bytes of the data from `offset` on, without headroom or tailroom.
    ///
    /// # Errors
    /// [`SkbError::OutOfRange`], [`SkbError::TooManyReferences`]; [`SkbError::Nonlinear`] if the
    /// bytes reach into the fragments of a chain.
    #[inline]
    pub fn slice(&self, offset: u32, len: u32) -> Result<Skb, SkbError> {
        // Read as u64 so that the sum cannot wrap.
        let end = u64::from(offset) + u64::from(len);
        if end > u64::from(self.len) {
            if end <= u64::from(self.len()) {
                return Err(SkbError::Nonlinear);
            }
            let end = end.min(u64::from(u32::MAX)) as u32;
            return Err(SkbError::OutOfRange { start: offset, end, size: self.len() });
        }
        self.take_reference()?;
        self.note_cloned(1);
        // SAFETY: the reference was just taken, and the words are those of bytes inside our window.
        Ok(unsafe { Skb::from_words(self.header, self.words_of_part(offset, len)) })
    }

    #[inline(always)]
    fn take_reference(&self) -> Result<(), SkbError> {
        // Ours is a reference, and an skb is not Sync.
        take_reference(self.header())
    }

    /// Copies what is known about the packet, and not whose it is.
    #[inline(always)]
    pub(super) fn describe_as(&mut self, other: &Skb) {
        self.timestamp_ns = other.timestamp_ns;
        self.original_length = other.original_length;
        self.hash = other.hash;
        self.birth = other.birth;
        self.port = other.port;
        self.link_type = other.link_type;
        self.flags = other.flags;
        self.holder = HolderId::NONE.raw();
    }
}

/// Makes a view of `size` bytes at `data`, which lie in the buffer of `header`:
/// `make_zero_copy_skb(size, gfp_mask, data, header)` of the proposal (S2).
///
/// For data that was received while the driver still holds a reference of its own, which it keeps,
/// whether this succeeds or not. The view has neither headroom nor tailroom and is charged the whole
/// buffer, since nobody said how many views there will be; [`crate::Armed`] knows. Never waits, never
/// allocates; costs one atomic addition, or a plain store for the first view.
///
/// # Errors
/// [`SkbError::OutOfRange`], [`SkbError::TooManyReferences`]; nothing changes.
///
/// # Safety
/// - `header` is initialised, and the caller owns a reference to it which no other thread uses
///   meanwhile.
/// - Nobody writes to these bytes while views are out.
#[inline]
pub unsafe fn make_zero_copy_skb(
    size: u32,
    data: *const u8,
    header: NonNull<BufferHeader>,
) -> Result<Skb, SkbError> {
    // SAFETY: the caller's reference keeps it valid.
    let buffer = unsafe { header.as_ref() };
    let room = u64::from(buffer.size());
    // An address before the buffer becomes an offset far behind it, never a negative one.
    let start = data.addr().wrapping_sub(buffer.data().addr().get()) as u64;
    // u64, and checked one after the other, so that no sum wraps.
    if start > room || u64::from(size) > room - start {
        let clamp = |at: u64| at.min(u64::from(u32::MAX)) as u32;
        let end = clamp(start.saturating_add(u64::from(size)));
        return Err(SkbError::OutOfRange { start: clamp(start), end, size: buffer.size() });
    }
    take_reference(buffer)?;
    let window = start as u32..start as u32 + size;
    // SAFETY: the reference was just taken, and the window lies inside the buffer.
    Ok(unsafe { Skb::new(header, window.clone(), window, buffer.size()) })
}

/// Takes one more reference for somebody who owns one and lets no other thread use it meanwhile.
#[inline(always)]
fn take_reference(header: &BufferHeader) -> Result<(), SkbError> {
    if header.references() == 1 {
        // The caller's is the only reference, so nobody else can count meanwhile.
        header.set_references(2);
        return Ok(());
    }
    if header.get(1) { Ok(()) } else { Err(SkbError::TooManyReferences) }
}
