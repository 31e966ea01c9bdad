//! What a driver says of a frame that lies in a buffer.

use crate::skb::Skb;
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
    /// Tells `skb`, a view of this frame's bytes that arrived at `birth` ([`crate::clock::tick`]), what is
    /// known of it.
    #[inline]
    pub fn describe(&self, skb: &mut Skb, birth: u32) {
        if self.original_length != self.len {
            skb.set_original_length(self.original_length);
        }
        skb.timestamp_ns = self.timestamp_ns;
        skb.link_type = self.link_type;
        skb.port = self.interface;
        skb.birth = birth;
    }

    /// Writes this description to all of `room`, each but the first `stride` bytes further into the
    /// buffer than the one before it.
    ///
    /// By one store a frame where the processor has AVX2.
    #[inline]
    pub fn repeat(self, room: &mut [RxFrame], stride: u32) {
        #[cfg(target_arch = "x86_64")]
        if crate::skb::has_lines() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.repeat_by_lines(room, stride) };
        }
        let mut frame = self;
        for place in room {
            *place = frame.in_words();
            frame.head = frame.head.wrapping_add(stride);
            frame.offset = frame.offset.wrapping_add(stride);
            frame.end = frame.end.wrapping_add(stride);
        }
    }

    /// # Safety
    /// - The processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn repeat_by_lines(self, room: &mut [RxFrame], stride: u32) {
        use std::arch::x86_64::{
            __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_set_epi32, _mm256_storeu_si256,
        };
        // By whole numbers of four bytes; the compiler would take the fields one by one.
        const { assert!(std::mem::offset_of!(RxFrame, head) == 8) };
        const { assert!(std::mem::offset_of!(RxFrame, offset) == 12) };
        const { assert!(std::mem::offset_of!(RxFrame, end) == 20) };
        let step = stride as i32;
        let steps = _mm256_set_epi32(0, 0, step, 0, step, step, 0, 0);
        // SAFETY: a frame has 32 bytes; the load needs no alignment.
        let mut frame = unsafe { _mm256_loadu_si256(std::ptr::from_ref(&self).cast::<__m256i>()) };
        for place in room {
            // SAFETY: as above, for the store.
            unsafe { _mm256_storeu_si256(std::ptr::from_mut(place).cast::<__m256i>(), frame) };
            frame = _mm256_add_epi32(frame, steps);
        }
    }

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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::RxFrame;

    #[test]
    fn repeated_frames_differ_by_where_they_lie() {
        let first = RxFrame {
            timestamp_ns: 0x0102_0304_0506_0708,
            head: 64,
            offset: 128,
            len: 1500,
            end: 2048,
            original_length: 1600,
            interface: 7,
            link_type: 113,
        };
        let mut room = [RxFrame::default(); 5];
        first.repeat(&mut room, 1984);
        for (number, frame) in (0..).zip(room) {
            let by = number * 1984;
            let (head, offset, end) = (64 + by, 128 + by, 2048 + by);
            assert_eq!(frame, RxFrame { head, offset, end, ..first });
        }
    }
}
