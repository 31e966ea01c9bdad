//! Records of a pcap file (draft-ietf-opsawg-pcap).
//!
//! ```text
//!   header   magic │ version 2+2 │ zone │ figures │ snap length │ link type        24 bytes
//!   record   seconds │ fraction │ captured │ original │ data                       16 + data
//! ```

use std::io::Read;

use super::error::CaptureErrorKind;
use super::window::Window;
use super::{ByteOrder, Look, MAX_FRAME_BYTES, Record};

const FILE_HEADER: usize = 24;

/// What the file header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds that one unit of a record's fraction is worth.
    fraction_ns: u64,
    /// 16, or 24 in Alexey Kuznetzov's variant, whose eight more bytes are of no use here.
    record_header: usize,
    lengths: Lengths,
    link_type: u16,
}

/// Order of the two lengths of a record, which old writers had the other way round.
#[derive(Clone, Copy, Debug)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    /// Version 2.3: either; the captured one is the smaller.
    SmallerIsCaptured,
}

impl Pcap {
    /// Whether a file that begins with these four bytes is a pcap file.
    pub(super) fn recognises(magic: [u8; 4]) -> bool {
        variant(magic).is_some()
    }

    /// Reads the file header.
    pub(super) fn open<R: Read>(window: &mut Window<R>) -> Result<Self, CaptureErrorKind> {
        let present = window.fill(FILE_HEADER).map_err(CaptureErrorKind::Read)?;
        let header = window.ahead();
        let magic = header.first_chunk().copied().unwrap_or_default();
        let Some((order, fraction_ns, record_header)) = variant(magic) else {
            return Err(CaptureErrorKind::UnknownFormat(magic.to_vec()));
        };
        if present < FILE_HEADER {
            return Err(CaptureErrorKind::Truncated {
                what: "pcap file header",
                needed: FILE_HEADER as u64,
                present: present as u64,
            });
        }
        let (major, minor) = (order.u16(header, 4), order.u16(header, 6));
        let lengths = match (major, minor) {
            (2, 0..=2) => Lengths::OriginalFirst,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, _) => Lengths::CapturedFirst,
            _ => return Err(CaptureErrorKind::UnsupportedVersion { major, minor }),
        };
        // The upper half tells whether frames end with a check sequence; they are passed as they are.
        let link_type = order.u32(header, 20) as u16;
        window.consume(FILE_HEADER);
        Ok(Self { order, fraction_ns, record_header, lengths, link_type })
    }

    /// Looks for the record at the start of the window.
    #[inline]
    pub(super) fn look<R>(
        &self,
        window: &Window<R>,
        found: &mut Option<Record>,
    ) -> Result<Look, CaptureErrorKind> {
        let header_len = self.record_header;
        let Some(present) = window.have(header_len) else {
            return Ok(Look::Short(header_len));
        };
        if present == 0 {
            return Ok(Look::End);
        }
        if present < header_len {
            return Err(CaptureErrorKind::Truncated {
                what: "record header",
                needed: header_len as u64,
                present: present as u64,
            });
        }
        let (order, header) = (self.order, window.ahead());
        let seconds = u64::from(order.u32(header, 0));
        let fraction = u64::from(order.u32(header, 4));
        let (first, second) = (order.u32(header, 8), order.u32(header, 12));
        let (captured, original) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::OriginalFirst => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        if captured > MAX_FRAME_BYTES {
            return Err(CaptureErrorKind::FrameTooLarge(captured));
        }
        let total = header_len + captured as usize;
        let Some(present) = window.have(total) else { return Ok(Look::Short(total)) };
        if present < total {
            return Err(CaptureErrorKind::Truncated {
                what: "record",
                needed: total as u64,
                present: present as u64,
            });
        }
        *found = Some(Record {
            // A fraction of a second or more is carried over, as libpcap's users do. Both factors are
            // 32 bits wide, so the sum stays below 2^63.
            timestamp_ns: seconds * 1_000_000_000 + fraction * self.fraction_ns,
            original_length: original,
            link_type: self.link_type,
            interface: 0,
            data_at: header_len,
            data_len: captured as usize,
            total,
        });
        Ok(Look::Record)
    }
}

/// Byte order, worth of a fraction and length of a record header, by the magic number.
fn variant(magic: [u8; 4]) -> Option<(ByteOrder, u64, usize)> {
    let (order, number) = match magic {
        [0xa1, 0xb2, ..] => (ByteOrder::Big, u32::from_be_bytes(magic)),
        _ => (ByteOrder::Little, u32::from_le_bytes(magic)),
    };
    match number {
        0xa1b2_c3d4 => Some((order, 1_000, 16)),
        0xa1b2_3c4d => Some((order, 1, 16)),
        0xa1b2_cd34 => Some((order, 1_000, 24)),
        _ => None,
    }
}
