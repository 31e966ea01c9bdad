//! A buffer that nobody has a view of yet.

use super::{Armed, Fill, check_window};
use crate::header::{BufferHeader, MAX_REFERENCES};
use crate::home::put_references;
use crate::skb::{Skb, SkbError};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;

/// The only reference to a buffer that nobody has a view of.
///
/// It is written through [`Buffer::as_mut_slice`], then becomes views: one with
/// [`Buffer::into_skb`], several with [`Buffer::arm`], or views over several bursts with
/// [`Buffer::fill`]. Dropping it brings it home.
///
/// ```
/// let pool = skbpool_pool::Pool::builder(8).build()?;
/// let mut buffer = pool.alloc()?;
/// buffer.as_mut_slice()?[..5].copy_from_slice(b"hello");
/// let skb = buffer.into_skb(0..5).map_err(|(error, _)| error)?;
/// assert_eq!(skb.data(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Buffer {
    header: NonNull<BufferHeader>,
}

// SAFETY: it is the only reference, and headers are Sync.
unsafe impl Send for Buffer {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Takes over the only reference to `header`.
    ///
    /// # Safety
    /// - `header` is initialised and its count is 1, which the caller gives up.
    #[inline(always)]
    pub(crate) unsafe fn from_header(header: NonNull<BufferHeader>) -> Self {
        Self { header }
    }

    /// Gives the reference up to the caller, who must bring it back with [`Buffer::from_raw`].
    pub fn into_raw(self) -> NonNull<BufferHeader> {
        ManuallyDrop::new(self).header
    }

    /// Takes back what [`Buffer::into_raw`] gave up.
    ///
    /// # Safety
    /// - `header` came from `into_raw`, once.
    pub unsafe fn from_raw(header: NonNull<BufferHeader>) -> Self {
        Self { header }
    }

    /// Its header.
    #[inline(always)]
    pub fn header(&self) -> &BufferHeader {
        // SAFETY: our reference keeps it valid.
        unsafe { self.header.as_ref() }
    }

    /// Bytes it holds.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "a buffer is not a collection")]
    pub fn len(&self) -> usize {
        self.header().size() as usize
    }

    /// Its bytes. Pool memory starts zeroed and afterwards holds whatever was written last.
    #[inline(always)]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `data` is valid for `size` bytes while we hold a reference, and we hold the only
        // one.
        unsafe { std::slice::from_raw_parts(self.header().data().as_ptr(), self.len()) }
    }

    /// Its bytes, to be written.
    ///
    /// # Errors
    /// [`SkbError::ReadOnly`] if the memory was adopted as read-only.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> Result<&mut [u8], SkbError> {
        if !self.header().is_memory_writable() {
            return Err(SkbError::ReadOnly);
        }
        // SAFETY: as in `as_slice`, and the memory is writable.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.header().data().as_ptr(), self.len()) })
    }

    /// Arms the buffer for `views` views: takes all their references at once, by one plain store.
    ///
    /// # Errors
    /// [`SkbError::NoViews`] if `views` is 0, [`SkbError::TooManyReferences`] if it is over the limit;
    /// the buffer comes back.
    #[inline]
    pub fn arm(self, views: u32) -> Result<Armed, (SkbError, Buffer)> {
        if views == 0 {
            return Err((SkbError::NoViews, self));
        }
        if views > MAX_REFERENCES {
            return Err((SkbError::TooManyReferences, self));
        }
        let header = ManuallyDrop::new(self).header;
        // SAFETY: the only reference is ours, and becomes `views` references of `Armed`.
        Ok(unsafe { Armed::new(header, views) })
    }

    /// Starts filling the buffer over several bursts.
    ///
    /// # Errors
    /// [`SkbError::ReadOnly`], with the buffer.
    #[inline]
    pub fn fill(self) -> Result<Fill, (SkbError, Buffer)> {
        if !self.header().is_memory_writable() {
            return Err((SkbError::ReadOnly, self));
        }
        let header = ManuallyDrop::new(self).header;
        // SAFETY: the only reference is ours, and `Fill` takes it over.
        Ok(unsafe { Fill::new(header) })
    }

    /// Makes the buffer one view of the bytes `data`, with the rest of the buffer as headroom and
    /// tailroom. Never waits, never allocates, copies nothing.
    ///
    /// # Errors
    /// [`SkbError::OutOfRange`], with the buffer.
    #[inline]
    pub fn into_skb(self, data: Range<u32>) -> Result<Skb, (SkbError, Buffer)> {
        let header = self.header();
        let window = 0..header.size();
        if let Err(error) = check_window(header, &window, &data) {
            return Err((error, self));
        }
        let truesize = header.size();
        let header = ManuallyDrop::new(self).header;
        // SAFETY: our reference becomes the skb's; the ranges were checked.
        Ok(unsafe { Skb::new(header, window, data, truesize) })
    }

    /// An skb without data, to be filled with `reserve` and `put`.
    #[inline(always)]
    pub fn into_empty_skb(self) -> Skb {
        let size = self.header().size();
        self.into_blank_skb(size)
    }

    /// As `into_empty_skb`, for a buffer that is known to have `size` bytes: the header is not read.
    #[inline(always)]
    pub(crate) fn into_blank_skb(self, size: u32) -> Skb {
        let header = ManuallyDrop::new(self).header;
        // SAFETY: our reference becomes the skb's; 0..0 lies in every window.
        unsafe { Skb::blank(header, size) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: we own one reference and give it up.
        unsafe { put_references(self.header, 1) }
    }
}
