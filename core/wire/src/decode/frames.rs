//! Iteration over the frames of a batch.

use std::iter::FusedIterator;

use crate::Frame;
use crate::decode::column::Entries;

/// Iterates over the frames of a [`FrameBatchView`](crate::FrameBatchView).
///
/// `'a` is the message, `'v` the view. Costs three loads and one comparison a frame.
#[derive(Clone, Debug)]
pub struct Frames<'v, 'a> {
    pub(crate) data: &'a [u8],
    pub(crate) lengths: Entries<'v>,
    /// As long as `lengths`, or empty from the start.
    pub(crate) offsets: Entries<'v>,
    /// As long as `lengths`, or empty from the start.
    pub(crate) originals: Entries<'v>,
    pub(crate) base_time_ns: u64,
    pub(crate) link_type: u16,
    pub(crate) interface: u32,
}

impl<'a> Iterator for Frames<'_, 'a> {
    type Item = Frame<'a>;

    // Called, it writes the frame to memory for its caller to read back: 2 ns of each.
    #[inline(always)]
    fn next(&mut self) -> Option<Frame<'a>> {
        let length = self.lengths.next()?;
        // The lengths were seen to add up to the data when the view was made.
        let (bytes, rest) = self.data.split_at_checked(length as usize)?;
        self.data = rest;
        Some(Frame {
            bytes,
            original_length: self.originals.next().unwrap_or(length),
            timestamp_ns: self.base_time_ns + u64::from(self.offsets.next().unwrap_or(0)),
            link_type: self.link_type,
            interface: self.interface,
        })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lengths.size_hint()
    }
}

impl ExactSizeIterator for Frames<'_, '_> {}
impl FusedIterator for Frames<'_, '_> {}
