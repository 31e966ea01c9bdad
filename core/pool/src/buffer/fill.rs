//! A buffer that a driver fills over several bursts.

use super::check_window;
use crate::header::BufferHeader;
use crate::home::put_references;
use crate::pool::LocalCache;
use crate::skb::{Skb, SkbError};
use std::ptr::NonNull;

/// References taken in advance, as the kernel's page fragments do with their `pagecnt_bias`.
const BIAS: u32 = 1 << 16;

/// A buffer being filled: views of its front are out while its tail is still written.
///
/// ```text
/// 0 ───────── cut ──────────────── size
/// │ views out │ tail, ours to write │
/// ```
/// It holds a bias of references, so cutting a view costs no atomic operation; what is left of the
/// bias is given back at the end, by one.
#[derive(Debug)]
pub struct Fill {
    header: NonNull<BufferHeader>,
    /// References we own and have not turned into views; at least one.
    bias: u32,
    /// First byte that no view can see.
    cut: u32,
    views: u32,
}

// SAFETY: it owns references like a buffer does, and alone may write the tail.
unsafe impl Send for Fill {}

impl Fill {
    /// # Safety
    /// - The caller gives up the only reference to `header`, whose memory is writable.
    #[inline(always)]
    pub(super) unsafe fn new(header: NonNull<BufferHeader>) -> Self {
        // SAFETY: the caller's reference keeps it valid.
        let buffer = unsafe { header.as_ref() };
        buffer.set_references(BIAS);
        buffer.set_filling();
        Self { header, bias: BIAS, cut: 0, views: 0 }
    }

    /// Its header.
    #[inline(always)]
    pub fn header(&self) -> &BufferHeader {
        // SAFETY: we own at least one reference.
        unsafe { self.header.as_ref() }
    }

    /// Bytes left to write.
    #[inline(always)]
    pub fn room(&self) -> u32 {
        self.header().size() - self.cut
    }

    /// Position of the tail's first byte in the buffer.
    #[inline(always)]
    pub fn position(&self) -> u32 {
        self.cut
    }

    /// Views cut so far.
    pub fn views(&self) -> u32 {
        self.views
    }

    /// The part that no view can see, to be written.
    #[inline(always)]
    pub fn tail_mut(&mut self) -> &mut [u8] {
        let header = self.header();
        // SAFETY: `cut <= size`; no view's window reaches past `cut`, and the memory is writable.
        unsafe {
            let tail = header.data().as_ptr().add(self.cut as usize);
            std::slice::from_raw_parts_mut(tail, self.room() as usize)
        }
    }

    /// Cuts a view of the next `headroom + len + tailroom` bytes of the tail, and moves the tail
    /// behind them. The view is charged for those bytes.
    ///
    /// # Errors
    /// [`SkbError::OutOfRange`] if the tail is too short; nothing changes.
    #[inline]
    pub fn cut(&mut self, headroom: u32, len: u32, tailroom: u32) -> Result<Skb, SkbError> {
        // u64, so that no sum wraps before it is checked.
        let start = u64::from(self.cut) + u64::from(headroom);
        let end = start + u64::from(len);
        let window_end = end + u64::from(tailroom);
        let size = self.header().size();
        if window_end > u64::from(size) {
            let clamp = |at: u64| at.min(u64::from(u32::MAX)) as u32;
            return Err(SkbError::OutOfRange { start: clamp(start), end: clamp(window_end), size });
        }
        let window = self.cut..window_end as u32;
        let data = start as u32..end as u32;
        debug_assert!(check_window(self.header(), &window, &data).is_ok());
        if self.bias == 1 {
            if !self.header().get(BIAS) {
                return Err(SkbError::TooManyReferences);
            }
            self.bias += BIAS;
        }
        self.bias -= 1;
        self.views += 1;
        let truesize = window.end - window.start;
        self.cut = window.end;
        // SAFETY: one of our references becomes the skb's; the ranges were checked.
        Ok(unsafe { Skb::new(self.header, window, data, truesize) })
    }

    /// Leaves `bytes` bytes of the tail unused, for alignment.
    #[inline]
    pub fn skip(&mut self, bytes: u32) {
        self.cut += bytes.min(self.room());
    }

    /// Ends the filling: the bias goes back, and if no view is out any more the buffer goes home.
    #[inline]
    pub fn finish(self, cache: &mut LocalCache) {
        let this = std::mem::ManuallyDrop::new(self);
        this.header().set_armed(this.views);
        // SAFETY: we own `bias` references and give them up.
        unsafe { cache.put(this.header, this.bias) };
        cache.after_release();
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        self.header().set_armed(self.views);
        // SAFETY: we own `bias` references and give them up.
        unsafe { put_references(self.header, self.bias) }
    }
}
