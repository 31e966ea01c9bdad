//! The stamp that every generated frame carries, from which loss, order and latency are measured.
//!
//! ```text
//!   0        2               6               10                              18
//!   ├─ magic ┼──── stream ───┼─── sequence ──┼───────── send_time_ns ────────┤   big-endian
//! ```
//!
//! Eighteen bytes are what a 64-byte frame leaves: 60 in memory, less 14 of Ethernet, 20 of IPv4 and
//! 8 of UDP.

/// Bytes of a stamp.
pub const STAMP_LEN: usize = 18;

/// Where the stamp begins in a generated frame: after the Ethernet, IPv4 and UDP headers.
pub const STAMP_OFFSET: usize = 42;

/// First two bytes of a stamp: "SB".
pub const STAMP_MAGIC: u16 = 0x5342;

/// Who sent a frame, its number in that stream, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The stream that the frame belongs to; sequences of different streams are unrelated.
    pub stream: u32,
    /// Number of the frame in its stream; wraps.
    pub sequence: u32,
    /// When the frame was written, in nanoseconds of the sender's clock.
    pub send_time_ns: u64,
}

impl Stamp {
    /// The stamp as it lies in a frame.
    #[inline]
    pub fn encode(&self) -> [u8; STAMP_LEN] {
        let mut bytes = [0; STAMP_LEN];
        bytes[0..2].copy_from_slice(&STAMP_MAGIC.to_be_bytes());
        bytes[2..6].copy_from_slice(&self.stream.to_be_bytes());
        bytes[6..10].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.send_time_ns.to_be_bytes());
        bytes
    }

    /// Reads a stamp at the start of `bytes`; `None` if they are too few or the magic is another.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<STAMP_LEN>()?;
        let [m0, m1, a0, a1, a2, a3, b0, b1, b2, b3, time @ ..] = *bytes;
        if u16::from_be_bytes([m0, m1]) != STAMP_MAGIC {
            return None;
        }
        Some(Self {
            stream: u32::from_be_bytes([a0, a1, a2, a3]),
            sequence: u32::from_be_bytes([b0, b1, b2, b3]),
            send_time_ns: u64::from_be_bytes(time),
        })
    }

    /// Reads the stamp of a whole frame; `None` if it is no stamped frame.
    ///
    /// A stamped frame is Ethernet II, IPv4 without options and UDP to the discard port, with the
    /// magic where the stamp belongs. Checksums are not looked at.
    #[inline]
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        let headers = frame.first_chunk::<STAMP_OFFSET>()?;
        let is_ours =
            headers[12..15] == [0x08, 0x00, 0x45] && headers[23] == 17 && headers[36..38] == [0, 9];
        if is_ours { Self::decode(&frame[STAMP_OFFSET..]) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::traffic::{StampedTraffic, TrafficConfig};

    #[test]
    fn layout_is_fixed() {
        let stamp = Stamp {
            stream: 0x0102_0304,
            sequence: 0x0506_0708,
            send_time_ns: 0x1112_1314_1516_1718,
        };
        assert_eq!(
            stamp.encode(),
            [0x53, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]
        );
    }

    #[test]
    fn foreign_bytes_are_no_stamp() {
        let stamp = Stamp { stream: 1, sequence: 2, send_time_ns: 3 };
        let mut bytes = stamp.encode();
        assert_eq!(Stamp::decode(&bytes[..17]), None);
        bytes[1] ^= 1;
        assert_eq!(Stamp::decode(&bytes), None);
        assert_eq!(Stamp::of_frame(&[0; 41]), None);
        assert_eq!(Stamp::of_frame(&[0; 60]), None);
    }

    #[test]
    fn every_header_field_that_is_looked_at_counts() {
        let mut traffic = StampedTraffic::new(TrafficConfig::default()).unwrap();
        let mut frame = [0; 60];
        traffic.write_frame(&mut frame, 3);
        let stamp = Stamp { stream: 1, sequence: 0, send_time_ns: 3 };
        assert_eq!(Stamp::of_frame(&frame), Some(stamp));
        // Type of Ethernet, version and length of IPv4, protocol, destination port, magic.
        for place in [12, 13, 14, 23, 36, 37, 42, 43] {
            frame[place] ^= 1;
            assert_eq!(Stamp::of_frame(&frame), None, "byte {place}");
            frame[place] ^= 1;
        }
    }

    proptest! {
        #[test]
        fn reads_what_was_written(stream: u32, sequence: u32, send_time_ns: u64) {
            let stamp = Stamp { stream, sequence, send_time_ns };
            prop_assert_eq!(Stamp::decode(&stamp.encode()), Some(stamp));
        }
    }
}
