//! A column of 32-bit numbers, borrowed where the sender packed it in one run.

use std::borrow::Cow;
use std::slice::ChunksExact;

/// The little-endian entries of a repeated fixed32 field.
///
/// Invariant: the size is a multiple of 4.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column<'a>(Cow<'a, [u8]>);

impl<'a> Column<'a> {
    /// Appends a run of entries. The first is borrowed, a second one makes the column a copy: that
    /// is what senders get that do not pack.
    pub(crate) fn append(&mut self, run: &'a [u8]) {
        debug_assert!(run.len() % 4 == 0);
        if self.0.is_empty() {
            self.0 = Cow::Borrowed(run);
        } else {
            self.0.to_mut().extend_from_slice(run);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() / 4
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> Entries<'_> {
        Entries(self.0.chunks_exact(4))
    }
}

/// Iterates over a column; alignment does not matter.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'v>(ChunksExact<'v, u8>);

impl Iterator for Entries<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let chunk = self.0.next()?;
        Some(u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}
