//! A buffer whose references are taken and whose views are being cut.

use super::{RxFrame, check_window};
use crate::header::BufferHeader;
use crate::home::put_references;
#[cfg(target_arch = "x86_64")]
use crate::skb::{ByLines, has_lines};
use crate::skb::{ByWords, Skb, SkbBatch, SkbError, WriteSkb};
use std::ops::Range;
use std::ptr::NonNull;

/// A received buffer, armed for a number of views (S2, S3).
///
/// Cutting a view costs no atomic operation, since all references were taken when arming. Views are
/// cut upwards, so that no window overlaps another. Dropping it gives back the references of the
/// views that were not cut.
///
/// ```
/// let pool = skbpool_pool::Pool::builder(8).build()?;
/// let mut armed = pool.alloc()?.arm(2).map_err(|(error, _)| error)?;
/// let first = armed.skb(0, 60)?;
/// let second = armed.skb(64, 60)?;
/// drop((armed, first, second)); // the last of the three brings the buffer home
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Armed {
    header: NonNull<BufferHeader>,
    /// References we own and have not turned into views.
    left: u32,
    /// What each view is charged: the buffer's size divided by the views it was armed for.
    truesize: u32,
    /// End of the highest window so far; windows are cut upwards so that none overlaps.
    cut: u32,
}

// SAFETY: it owns references like a buffer does.
unsafe impl Send for Armed {}

impl Armed {
    /// # Safety
    /// - The caller gives up the only reference to `header`; `views` is within the limit, not 0.
    #[inline(always)]
    pub(super) unsafe fn new(header: NonNull<BufferHeader>, views: u32) -> Self {
        // SAFETY: the caller's reference keeps it valid.
        let buffer = unsafe { header.as_ref() };
        buffer.set_references(views);
        buffer.set_armed(views);
        Self { header, left: views, truesize: buffer.size() / views, cut: 0 }
    }

    /// Its header; none once every view was cut, since the last of them may have been released.
    #[inline(always)]
    pub fn header(&self) -> Option<&BufferHeader> {
        if self.left == 0 {
            return None;
        }
        // SAFETY: while views are left we own references.
        Some(unsafe { self.header.as_ref() })
    }

    /// Views that can still be cut.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Cuts a view of `len` bytes at `offset`, without headroom or tailroom.
    ///
    /// # Errors
    /// As [`Armed::skb_in`].
    #[inline]
    pub fn skb(&mut self, offset: u32, len: u32) -> Result<Skb, SkbError> {
        // A sum that saturates lies outside every buffer.
        let end = offset.saturating_add(len);
        self.skb_in(offset..end, offset..end)
    }

    /// Cuts a view of a received frame, which arrived at `birth` ([`crate::clock::tick`]).
    ///
    /// # Errors
    /// As [`Armed::skb_in`].
    #[inline]
    pub fn skb_of(&mut self, frame: &RxFrame, birth: u32) -> Result<Skb, SkbError> {
        let end = frame.offset.saturating_add(frame.len);
        let mut skb = self.skb_in(frame.head..frame.end, frame.offset..end)?;
        frame.describe(&mut skb, birth);
        Ok(skb)
    }

    /// Cuts views of received frames and appends them to `into`, up to the first of which
    /// [`Armed::skb_of`] would not make a view. Returns how many, and their bytes.
    #[inline]
    pub fn skbs_of(&mut self, frames: &[RxFrame], birth: u32, into: &mut SkbBatch) -> (usize, u64) {
        #[cfg(target_arch = "x86_64")]
        if has_lines() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.skbs_by_lines(frames, birth, into) };
        }
        self.write_skbs(ByWords, frames, birth, into)
    }

    /// # Safety
    /// - `has_lines`.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn skbs_by_lines(
        &mut self,
        frames: &[RxFrame],
        birth: u32,
        into: &mut SkbBatch,
    ) -> (usize, u64) {
        // SAFETY: as the caller promises.
        self.write_skbs(unsafe { ByLines::new() }, frames, birth, into)
    }

    #[inline(always)]
    fn write_skbs(
        &mut self,
        writer: impl WriteSkb,
        frames: &[RxFrame],
        birth: u32,
        into: &mut SkbBatch,
    ) -> (usize, u64) {
        let Some(header) = self.header() else { return (0, 0) };
        let (size, mut cut, mut bytes) = (header.size(), self.cut, 0);
        let (header, truesize) = (self.header, self.truesize);
        let most = frames.len().min(self.left as usize);
        let write = |place: *mut Skb, frame: &RxFrame| {
            // The sum has 33 bits at most; nothing else is added.
            let end = u64::from(frame.offset) + u64::from(frame.len);
            let inside = cut <= frame.head
                && frame.head <= frame.offset
                && end <= u64::from(frame.end)
                && frame.end <= size;
            if inside {
                cut = frame.end;
                bytes += u64::from(frame.len);
                // SAFETY: one of our references becomes the skb's; the ranges were just checked, and
                // the batch gives the place.
                unsafe { writer.received(place, header, frame, truesize, birth) };
            }
            inside
        };
        // SAFETY: an skb is written where the answer is true.
        let made = unsafe { into.extend_while(&frames[..most], write) };
        self.left -= made as u32;
        self.cut = cut;
        (made, bytes)
    }

    /// Cuts a view of the bytes `data` whose headroom and tailroom end at `window`.
    ///
    /// # Errors
    /// [`SkbError::OutOfRange`] if `data` is not inside `window` and `window` not inside the buffer,
    /// [`SkbError::Overlap`] if the window begins before the end of an earlier one,
    /// [`SkbError::NotArmed`] if no view is left. On failure nothing changes and the caller still
    /// owns the buffer.
    #[inline]
    pub fn skb_in(&mut self, window: Range<u32>, data: Range<u32>) -> Result<Skb, SkbError> {
        let Some(header) = self.header() else { return Err(SkbError::NotArmed) };
        check_window(header, &window, &data)?;
        if window.start < self.cut {
            return Err(SkbError::Overlap { start: window.start, taken: self.cut });
        }
        self.left -= 1;
        self.cut = window.end;
        // SAFETY: one of our references becomes the skb's; the ranges were checked.
        Ok(unsafe { Skb::new(self.header, window, data, self.truesize) })
    }
}

impl Drop for Armed {
    #[inline]
    fn drop(&mut self) {
        if self.left != 0 {
            // SAFETY: we own `left` references and give them up.
            unsafe { put_references(self.header, self.left) }
        }
    }
}
