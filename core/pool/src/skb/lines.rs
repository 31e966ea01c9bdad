//! Writing skbs where they will lie, with as few stores as the machine has.
//!
//! Making skbs by the batch is bound by stores: a core commits about one a cycle, whatever its width.
//! An skb is eight of them in words and two with AVX2, which is looked for once a batch.

use super::Skb;
use crate::buffer::RxFrame;
use crate::header::BufferHeader;
use std::ptr::NonNull;

/// How skbs are written.
pub(crate) trait WriteSkb: Copy {
    /// Writes what [`Skb::blank`] makes.
    ///
    /// # Safety
    /// - As [`Skb::blank`]; `place` is where an skb can be written.
    unsafe fn blank(self, place: *mut Skb, header: NonNull<BufferHeader>, size: u32);

    /// Writes what [`Skb::received`] makes.
    ///
    /// # Safety
    /// - As [`Skb::received`]; `place` is where an skb can be written.
    unsafe fn received(
        self,
        place: *mut Skb,
        header: NonNull<BufferHeader>,
        frame: &RxFrame,
        truesize: u32,
        birth: u32,
    );
}

/// Word by word.
#[derive(Clone, Copy)]
pub(crate) struct ByWords;

impl WriteSkb for ByWords {
    #[inline(always)]
    unsafe fn blank(self, place: *mut Skb, header: NonNull<BufferHeader>, size: u32) {
        // SAFETY: as the caller promises.
        unsafe { place.write(Skb::blank(header, size)) }
    }

    #[inline(always)]
    unsafe fn received(
        self,
        place: *mut Skb,
        header: NonNull<BufferHeader>,
        frame: &RxFrame,
        truesize: u32,
        birth: u32,
    ) {
        // SAFETY: as the caller promises.
        unsafe { place.write(Skb::received(header, frame, truesize, birth)) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{ByLines, has_lines};

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::WriteSkb;
    use crate::buffer::RxFrame;
    use crate::header::BufferHeader;
    use crate::skb::{Skb, SkbFlags};
    use crate::words::halves;
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_broadcastsi128_si256, _mm256_inserti128_si256,
        _mm256_or_si256, _mm256_set_epi64x, _mm256_shuffle_epi8, _mm256_storeu_si256,
    };
    use std::mem::offset_of;
    use std::ptr::NonNull;

    /// Whether [`ByLines`] can be used here. One load, once the processor has been asked.
    #[inline(always)]
    pub(crate) fn has_lines() -> bool {
        std::arch::is_x86_feature_detected!("avx2")
    }

    /// By 32 bytes. To be used inside functions that are compiled for AVX2 only.
    #[derive(Clone, Copy)]
    pub(crate) struct ByLines(());

    impl ByLines {
        /// # Safety
        /// - [`has_lines`] says so.
        #[inline(always)]
        pub(crate) unsafe fn new() -> Self {
            Self(())
        }
    }

    // Where the fields lie that are moved by the piece below.
    const _: () = {
        assert!(offset_of!(Skb, timestamp_ns) == 16 && offset_of!(RxFrame, timestamp_ns) == 0);
        assert!(offset_of!(Skb, head) == 24 && offset_of!(RxFrame, head) == 8);
        assert!(offset_of!(Skb, offset) == 28 && offset_of!(RxFrame, offset) == 12);
        assert!(offset_of!(Skb, len) == 32 && offset_of!(RxFrame, len) == 16);
        assert!(offset_of!(Skb, end) == 36 && offset_of!(RxFrame, end) == 20);
        assert!(offset_of!(Skb, original_length) == 40);
        assert!(offset_of!(RxFrame, original_length) == 24);
        assert!(offset_of!(Skb, truesize) == 44);
        assert!(offset_of!(Skb, hash) == 48 && offset_of!(Skb, birth) == 52);
        assert!(offset_of!(Skb, port) == 56 && offset_of!(RxFrame, interface) == 28);
        assert!(offset_of!(Skb, link_type) == 60 && offset_of!(RxFrame, link_type) == 30);
        assert!(offset_of!(Skb, flags) == 62);
    };

    /// # Safety
    /// - The processor has AVX2, and `place` is where an skb can be written.
    #[inline(always)]
    unsafe fn store(place: *mut Skb, front: __m256i, back: __m256i) {
        let place = place.cast::<__m256i>();
        // SAFETY: an skb has 64 bytes; these stores need no alignment.
        unsafe {
            _mm256_storeu_si256(place, front);
            _mm256_storeu_si256(place.add(1), back);
        }
    }

    impl WriteSkb for ByLines {
        #[inline(always)]
        unsafe fn blank(self, place: *mut Skb, header: NonNull<BufferHeader>, size: u32) {
            let size = halves(0, size) as i64;
            let link_type = 1 << 32;
            // SAFETY: whoever made `self` promised AVX2; the words are those of `Skb::blank`.
            unsafe {
                let front = _mm256_set_epi64x(0, 0, 0, header.as_ptr() as i64);
                store(place, front, _mm256_set_epi64x(link_type, 0, size, size));
            }
        }

        #[inline(always)]
        unsafe fn received(
            self,
            place: *mut Skb,
            header: NonNull<BufferHeader>,
            frame: &RxFrame,
            truesize: u32,
            birth: u32,
        ) {
            let cut_short = frame.original_length != frame.len;
            let parts = std::ptr::from_ref(frame).cast::<__m128i>();
            // SAFETY: whoever made `self` promised AVX2; a frame has 32 bytes.
            unsafe {
                // Timestamp, head and offset behind the header and no fragments.
                let head = _mm256_set_epi64x(0, 0, 0, header.as_ptr() as i64);
                let front = _mm256_inserti128_si256(head, _mm_loadu_si128(parts), 1);
                // Length, end and original length stay where they are; interface and link type move to
                // the places of port and link type; what belongs to neither is 0.
                let rest = _mm256_broadcastsi128_si256(_mm_loadu_si128(parts.add(1)));
                let places = _mm256_set_epi64x(
                    0x8080_0F0E_8080_0D0C_u64 as i64,
                    -1,
                    0x8080_8080_0B0A_0908_u64 as i64,
                    0x0706_0504_0302_0100,
                );
                let known = [halves(0, truesize) as i64, halves(0, birth) as i64];
                let known = _mm256_set_epi64x(0, known[1], known[0], 0);
                store(place, front, _mm256_or_si256(_mm256_shuffle_epi8(rest, places), known));
                if cut_short {
                    (*place).flags = SkbFlags::ORIGINAL_LENGTH;
                }
            }
        }
    }
}

#[cfg(all(test, not(loom), target_arch = "x86_64"))]
mod tests {
    use super::{ByLines, ByWords, WriteSkb, has_lines};
    use crate::buffer::RxFrame;
    use crate::header::BufferHeader;
    use crate::skb::Skb;
    use std::mem::MaybeUninit;
    use std::ptr::NonNull;

    /// The eight words that `write` writes.
    fn written(write: impl FnOnce(*mut Skb)) -> [u64; 8] {
        let mut place = MaybeUninit::<[u64; 8]>::zeroed();
        write(place.as_mut_ptr().cast());
        // SAFETY: zeroes were there, and the words of an skb, which own nothing here, are numbers.
        unsafe { place.assume_init() }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn by_lines() -> ByLines {
        // SAFETY: as the caller promises.
        unsafe { ByLines::new() }
    }

    #[test]
    fn both_ways_write_the_same() {
        if !has_lines() {
            println!("skipped: this processor has no AVX2");
            return;
        }
        let nothing = BufferHeader::of_nothing(1);
        let header = NonNull::from(&nothing);
        // SAFETY: the processor has AVX2.
        let lines = unsafe { by_lines() };
        for original_length in [1500, 1501, 0, u32::MAX] {
            let frame = RxFrame {
                timestamp_ns: 0x0102_0304_0506_0708,
                head: 0x1112_1314,
                offset: 0x2122_2324,
                len: 1500,
                end: 0x4142_4344,
                original_length,
                interface: 0x5152,
                link_type: 0x6162,
            };
            let (truesize, birth) = (0x7172_7374, 0x8182_8384);
            // SAFETY: the words are never used as an skb.
            let [words, lines] = unsafe {
                [
                    written(|place| ByWords.received(place, header, &frame, truesize, birth)),
                    written(|place| lines.received(place, header, &frame, truesize, birth)),
                ]
            };
            assert_eq!(words, lines);
        }
        // SAFETY: as above.
        let [words, lines] = unsafe {
            [
                written(|place| ByWords.blank(place, header, 0x9192_9394)),
                written(|place| lines.blank(place, header, 0x9192_9394)),
            ]
        };
        assert_eq!(words, lines);
    }
}
