//! Arithmetic of the Ethernet wire.
//!
//! A frame *size* counts the frame check sequence, as in RFC 2544: 64 to 1518 bytes on classic
//! Ethernet. What reaches memory is four bytes shorter. On the wire every frame is preceded by an
//! eight-byte preamble (start delimiter included) and followed by a gap of twelve byte times
//! (IEEE 802.3, clauses 3.2 and 4.4.2).

/// Bytes that a frame takes on the wire beyond its size: preamble 8 + inter-frame gap 12.
pub const WIRE_OVERHEAD: u32 = 20;

/// Bytes of the frame check sequence: part of the size, absent from memory.
pub const FCS_BYTES: u32 = 4;

/// Smallest frame size in bytes, frame check sequence included (IEEE 802.3, minFrameSize).
pub const MIN_FRAME_SIZE: u32 = 64;

/// Largest frame size in bytes, frame check sequence included: 262,144 bytes in memory.
pub const MAX_FRAME_SIZE: u32 = 262_144 + FCS_BYTES;

/// Bits that a frame of `frame_size` bytes occupies on the wire, preamble and gap included.
#[inline]
pub const fn wire_bits(frame_size: u32) -> u64 {
    (frame_size as u64 + WIRE_OVERHEAD as u64) * 8
}

/// Whole frames of `frame_size` bytes that a line of `bits_per_second` carries in one second.
///
/// 1,488,095 for 64 bytes at 1 Gbit/s.
#[inline]
pub const fn frames_per_second(bits_per_second: u64, frame_size: u32) -> u64 {
    bits_per_second / wire_bits(frame_size)
}

/// Bytes in memory of a frame of `frame_size` bytes: the frame check sequence is gone.
#[inline]
pub const fn memory_len(frame_size: u32) -> u32 {
    frame_size.saturating_sub(FCS_BYTES)
}

/// Size on the wire of a frame of `memory_len` bytes: frame check sequence added, and padded to the
/// smallest frame, as a card does when it sends.
#[inline]
pub const fn frame_size(memory_len: u32) -> u32 {
    let size = memory_len.saturating_add(FCS_BYTES);
    if size < MIN_FRAME_SIZE { MIN_FRAME_SIZE } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_rates_of_the_textbook() {
        // RFC 2544 sizes at 1 Gbit/s, as in every table of Ethernet throughput.
        let table = [
            (64, 1_488_095),
            (128, 844_594),
            (256, 452_898),
            (512, 234_962),
            (1024, 119_731),
            (1280, 96_153),
            (1518, 81_274),
        ];
        for (size, frames) in table {
            assert_eq!(frames_per_second(1_000_000_000, size), frames, "{size} bytes");
        }
        assert_eq!(frames_per_second(10_000_000_000, 64), 14_880_952);
        assert_eq!(frames_per_second(100_000_000_000, 64), 148_809_523);
    }

    #[test]
    fn memory_and_wire_differ_by_the_check_sequence() {
        assert_eq!(memory_len(64), 60);
        assert_eq!(frame_size(60), 64);
        assert_eq!(frame_size(0), 64);
        assert_eq!(frame_size(61), 65);
        assert_eq!(frame_size(262_144), MAX_FRAME_SIZE);
        assert_eq!(frame_size(u32::MAX), u32::MAX);
        assert_eq!(memory_len(3), 0);
    }
}
