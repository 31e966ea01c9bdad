//! Stamped traffic: valid Ethernet II, IPv4 and UDP frames that tell when they were sent.
//!
//! Everything but the stamp and the UDP checksum is the same in every frame of a stream, so a frame
//! is a copy of a template plus twenty bytes. The checksum is completed from the template's sum
//! by adding what changed, as in RFC 1624.

use thiserror::Error;

use crate::capture::LINKTYPE_ETHERNET;
use crate::line_rate::{MAX_FRAME_SIZE, MIN_FRAME_SIZE, memory_len};
use crate::source::{FrameMeta, FrameSource, SlotSize, SmallestFrame, SourceError, copy_frame};
use crate::stamp::{STAMP_LEN, STAMP_OFFSET, Stamp};

const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const UDP_CHECKSUM: usize = 40;
/// Longest datagram that the 16-bit length of IPv4 can name; a longer frame is padded after it.
const MAX_DATAGRAM: usize = 65_535;

/// Locally administered, unicast (second bit of the first byte set, first bit clear).
const DESTINATION_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
const SOURCE_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// 198.18.0.0/15 is set aside for benchmarks (RFC 2544, appendix C.2.2).
const SOURCE_ADDRESS: [u8; 4] = [198, 18, 0, 1];
const DESTINATION_ADDRESS: [u8; 4] = [198, 19, 0, 1];
/// Of the dynamic range (RFC 6335); its first port, 49152, is taken for Broadcom LI by decoders.
const SOURCE_PORT: u16 = 50_000;
/// The discard service (RFC 863).
const DESTINATION_PORT: u16 = 9;

/// What a stream of stamped frames looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficConfig {
    /// Size of each frame in bytes, frame check sequence included: 64 to 262,148.
    pub frame_size: u32,
    /// Number of the stream, carried in every stamp.
    pub stream: u32,
    /// Sequence number of the first frame.
    pub first_sequence: u32,
}

impl Default for TrafficConfig {
    fn default() -> Self {
        Self { frame_size: MIN_FRAME_SIZE, stream: 1, first_sequence: 0 }
    }
}

/// A stream that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrafficError {
    /// The frame size is outside the range.
    #[error(
        "frame size {0} is out of range: {MIN_FRAME_SIZE} to {MAX_FRAME_SIZE} bytes, \
         frame check sequence included"
    )]
    SizeOutOfRange(u32),
}

/// An endless stream of stamped frames of one size.
///
/// The sequence number goes up by one with every frame, written or skipped, and wraps. A frame over
/// 65,549 bytes in memory carries the longest datagram that IPv4 allows and is padded after it.
#[derive(Clone, Debug)]
pub struct StampedTraffic {
    /// The frame with a zero time and sequence, and the checksum field unset.
    template: Box<[u8]>,
    /// One's complement sum of everything the UDP checksum covers in the template.
    template_sum: u64,
    stream: u32,
    next_sequence: u32,
    /// The frame written last and how far, for [`FrameSource::write_rest`].
    last: Stamp,
    written: usize,
}

impl StampedTraffic {
    /// A stream as described by `config`.
    ///
    /// # Errors
    /// [`TrafficError::SizeOutOfRange`].
    pub fn new(config: TrafficConfig) -> Result<Self, TrafficError> {
        let TrafficConfig { frame_size, stream, first_sequence } = config;
        if !(MIN_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&frame_size) {
            return Err(TrafficError::SizeOutOfRange(frame_size));
        }
        let template = template(memory_len(frame_size) as usize, stream);
        let template_sum = udp_sum(&template);
        let last = Stamp { stream, sequence: first_sequence, send_time_ns: 0 };
        let written = template.len();
        Ok(Self { template, template_sum, stream, next_sequence: first_sequence, last, written })
    }

    /// Bytes of each frame in memory: its size less four.
    pub fn len(&self) -> usize {
        self.template.len()
    }

    /// Never: the smallest frame has 60 bytes.
    pub fn is_empty(&self) -> bool {
        self.template.is_empty()
    }

    /// Sequence number of the next frame.
    pub fn next_sequence(&self) -> u32 {
        self.next_sequence
    }

    /// Writes the next frame, stamped with `now_ns`, to the start of `out` and returns its length;
    /// 0, and the same frame next time, if `out` is shorter than [`len`](Self::len).
    ///
    /// Costs a copy of the template, a few additions and two small stores.
    #[inline]
    pub fn write_frame(&mut self, out: &mut [u8], now_ns: u64) -> usize {
        let Some(out) = out.get_mut(..self.template.len()) else {
            return 0;
        };
        let stamp = self.next_stamp(now_ns);
        copy_frame(&self.template, out);
        if let Some(head) = out.first_chunk_mut() {
            self.seal(head, stamp);
        }
        out.len()
    }

    #[inline]
    fn next_stamp(&mut self, now_ns: u64) -> Stamp {
        let stamp =
            Stamp { stream: self.stream, sequence: self.next_sequence, send_time_ns: now_ns };
        self.next_sequence = self.next_sequence.wrapping_add(1);
        stamp
    }

    /// Puts stamp and checksum into the beginning of a copy of the template.
    #[inline]
    fn seal(&self, head: &mut SmallestFrame, stamp: Stamp) {
        let time = stamp.send_time_ns;
        // A 32-bit number is congruent to the sum of its 16-bit halves modulo 2^16 - 1.
        let sum =
            self.template_sum + u64::from(stamp.sequence) + (time >> 32) + (time & 0xffff_ffff);
        head[UDP_CHECKSUM..UDP_CHECKSUM + 2].copy_from_slice(&udp_checksum(sum).to_be_bytes());
        head[STAMP_OFFSET..STAMP_OFFSET + STAMP_LEN].copy_from_slice(&stamp.encode());
    }

    fn meta(&self, now_ns: u64) -> FrameMeta {
        let len = self.template.len() as u32;
        FrameMeta {
            len,
            original_length: len,
            timestamp_ns: now_ns,
            link_type: LINKTYPE_ETHERNET,
            interface: 0,
        }
    }
}

/// Frames are stamped when they are written; their timestamp is that time. Never ends, never fails.
impl FrameSource for StampedTraffic {
    #[inline]
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        Ok(Some(self.template.len() as u32))
    }

    #[inline]
    fn write_next(
        &mut self,
        out: &mut [u8],
        now_ns: u64,
    ) -> Result<Option<FrameMeta>, SourceError> {
        if self.write_frame(out, now_ns) > 0 {
            self.written = self.template.len();
        } else {
            self.last = self.next_stamp(now_ns);
            self.written = 0;
            self.write_rest(out);
        }
        Ok(Some(self.meta(now_ns)))
    }

    #[inline]
    fn write_alike(
        &mut self,
        memory: &mut [u8],
        slots: SlotSize,
        now_ns: u64,
    ) -> Option<FrameMeta> {
        for out in slots.frames(memory) {
            self.write_frame(out, now_ns);
        }
        self.written = self.template.len();
        Some(self.meta(now_ns))
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        if self.written == self.template.len() {
            return 0;
        }
        let mut head: SmallestFrame = [0; STAMP_OFFSET + STAMP_LEN];
        head.copy_from_slice(&self.template[..STAMP_OFFSET + STAMP_LEN]);
        self.seal(&mut head, self.last);
        let from = self.written;
        let count = out.len().min(self.template.len() - from);
        out[..count].copy_from_slice(&self.template[from..from + count]);
        if from < head.len() {
            let count = count.min(head.len() - from);
            out[..count].copy_from_slice(&head[from..from + count]);
        }
        self.written += count;
        count
    }

    fn is_live(&self) -> bool {
        true
    }

    fn is_uniform(&self) -> bool {
        true
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        // Sequence numbers wrap at 2^32, so the low half of the count is what matters.
        self.next_sequence = self.next_sequence.wrapping_add(frames as u32);
        self.written = self.template.len();
        Ok(frames)
    }
}

/// A frame of `len` bytes with right lengths and IPv4 checksum, and a stamp with sequence and time 0.
fn template(len: usize, stream: u32) -> Box<[u8]> {
    let datagram = (len - ETHERNET_HEADER).min(MAX_DATAGRAM);
    let udp = datagram - IPV4_HEADER;
    let mut frame = Vec::with_capacity(len);
    frame.extend(DESTINATION_MAC);
    frame.extend(SOURCE_MAC);
    frame.extend(0x0800u16.to_be_bytes());

    frame.extend([0x45, 0]);
    frame.extend((datagram as u16).to_be_bytes());
    // Identification 0 with "don't fragment": an atomic datagram (RFC 6864), so the header is constant.
    frame.extend([0, 0, 0x40, 0]);
    frame.extend([64, 17, 0, 0]);
    frame.extend(SOURCE_ADDRESS);
    frame.extend(DESTINATION_ADDRESS);
    let checksum = !fold(sum_of_words(&frame[ETHERNET_HEADER..]));
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());

    frame.extend(SOURCE_PORT.to_be_bytes());
    frame.extend(DESTINATION_PORT.to_be_bytes());
    frame.extend((udp as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(Stamp { stream, sequence: 0, send_time_ns: 0 }.encode());
    // A counting payload shows bytes that moved; what follows the datagram is padding.
    let payload = ETHERNET_HEADER + datagram - frame.len();
    frame.extend((0..payload).map(|index| index as u8));
    frame.resize(len, 0);
    frame.into_boxed_slice()
}

/// Sum of the pseudo header, the UDP header and its payload (RFC 768); the checksum field must be 0.
fn udp_sum(frame: &[u8]) -> u64 {
    let datagram = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    let addresses = &frame[26..34];
    let udp = &frame[ETHERNET_HEADER + IPV4_HEADER..ETHERNET_HEADER + datagram];
    sum_of_words(addresses) + 17 + udp.len() as u64 + sum_of_words(udp)
}

fn sum_of_words(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2);
    words.map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0))).sum()
}

/// Folds a sum into 16 bits, adding the carries back in (RFC 1071).
#[inline]
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    // At most 0x1_ffff_fffe, so at most 0x1_fffe after the next line, and the last carry ends it.
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// The checksum for a sum; zero would mean "none" and is sent as its other form (RFC 768).
#[inline]
fn udp_checksum(sum: u64) -> u16 {
    match !fold(sum) {
        0 => 0xffff,
        checksum => checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_adds_carries_back() {
        assert_eq!(fold(0), 0);
        assert_eq!(fold(0xffff), 0xffff);
        assert_eq!(fold(0x1_0000), 1);
        assert_eq!(fold(0xffff_ffff), 0xffff);
        assert_eq!(fold(u64::MAX), 0xffff);
        for sum in [0x1_fffe_u64, 0xfffe_ffff_ffff, 0x1234_5678_9abc_def0, 1 << 48] {
            assert_eq!(u64::from(fold(sum)) % 0xffff, sum % 0xffff, "{sum:#x}");
        }
    }

    #[test]
    fn a_checksum_is_never_zero() {
        assert_eq!(udp_checksum(0xffff), 0xffff);
        assert_eq!(udp_checksum(0), 0xffff);
        assert_eq!(udp_checksum(1), 0xfffe);
    }

    #[test]
    fn a_buffer_too_short_changes_nothing() {
        let mut traffic = StampedTraffic::new(TrafficConfig::default()).unwrap();
        let mut out = [0xaa; 59];
        assert_eq!(traffic.write_frame(&mut out, 1), 0);
        assert_eq!((out, traffic.next_sequence()), ([0xaa; 59], 0));
    }
}
