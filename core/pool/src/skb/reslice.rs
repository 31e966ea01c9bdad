//! A view that becomes another one of the same buffer.

use super::{Skb, SkbError, SkbFlags};
use crate::words::{halves, quarters};

impl Skb {
    /// Becomes what `of.slice(offset, len)` makes.
    ///
    /// For callers that cut many views one after the other: a plain view of the same buffer keeps its
    /// reference, so nothing is counted and no atomic operation happens. Any other is released after
    /// the slice was made.
    ///
    /// # Errors
    /// As [`Skb::slice`]; this view stays as it is.
    #[inline(always)]
    pub fn reslice(&mut self, of: &Skb, offset: u32, len: u32) -> Result<(), SkbError> {
        let inside = u64::from(offset) + u64::from(len) <= u64::from(of.len);
        if self.header != of.header || !self.is_plain() || !inside {
            *self = of.slice(offset, len)?;
            return Ok(());
        }
        let rest = of.words_of_part(offset, len);
        // SAFETY: the words are the fields in their order, without fragments; the window lies inside
        // `of`'s. The reference stays the one that this view has, which is not dropped.
        unsafe { std::ptr::from_mut(self).write(Skb::from_words(of.header, rest)) };
        Ok(())
    }

    /// The words behind the header of a view of `len` bytes from `offset` on, which is nobody's, without
    /// headroom, tailroom, fragments and an original length.
    #[inline(always)]
    pub(super) fn words_of_part(&self, offset: u32, len: u32) -> [u64; 7] {
        let [_, time, _, _, sizes, tell, about] = self.words_of_nobody();
        let first = self.offset + offset;
        let original_length = quarters([0, 0, 0, SkbFlags::ORIGINAL_LENGTH.0]);
        [
            0,
            time,
            halves(first, first),
            halves(len, first + len),
            sizes & !halves(u32::MAX, 0),
            tell,
            about & !original_length,
        ]
    }
}
