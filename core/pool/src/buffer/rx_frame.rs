//! What a driver says of a frame that lies in a buffer.

use crate::words::{halves, word};

/// Where a frame lies in a received buffer, and what is known of it. One descriptor's worth: half a
/// cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RxFrame {
    /// When the frame was received, in nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    /// First byte of headroom in the buffer.
    pub head: u32,
    /// First byte of data in the buffer.
    pub offset: u32,
    /// Bytes of data.
    pub len: u32,
    /// First byte of the buffer that belongs to the next frame.
    pub end: u32,
    /// Bytes of the frame before it was cut short; as many as it has if it was not.
    pub original_length: u32,
    /// Interface it came in by.
    pub interface: u16,
    /// LINKTYPE_ number.
    pub link_type: u16,
}

impl RxFrame {
    /// The same, put together from words: where it is stored, four stores do instead of seven.
    #[inline(always)]
    pub fn in_words(self) -> Self {
        let words = [
            self.timestamp_ns,
            halves(self.head, self.offset),
            halves(self.len, self.end),
            word(self.original_length, [self.interface, self.link_type]),
        ];
        // SAFETY: the words are the fields in their order, without padding.
        unsafe { std::mem::transmute::<[u64; 4], RxFrame>(words) }
    }
}

const _: () = assert!(size_of::<RxFrame>() == 32);
