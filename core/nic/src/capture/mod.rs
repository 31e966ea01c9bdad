//! Capture files, read and written: pcap and pcapng.
//!
//! ```text
//!   any Read ──► Window ──► pcap records  ──┐
//!                (framing)   pcapng blocks ─┴──► CaptureReader ──► CaptureFrame
//!   CaptureFrame ──► PcapngWriter / PcapWriter ──► any Write
//! ```

mod error;
mod interface_time;
mod pcap;
mod pcapng;
mod reader;
mod stream;
mod window;
mod write_pcap;
mod write_pcapng;

pub use error::{CaptureError, CaptureErrorKind, CaptureWriteError};
pub use reader::CaptureReader;
pub use write_pcap::PcapWriter;
pub use write_pcapng::PcapngWriter;

/// Link type of Ethernet (LINKTYPE_ETHERNET).
pub const LINKTYPE_ETHERNET: u16 = 1;

/// Longest frame in bytes: libpcap's MAXIMUM_SNAPLEN.
pub const MAX_FRAME_BYTES: u32 = 262_144;

/// Most interfaces in one section of a pcapng file, read or written.
pub const MAX_INTERFACES: usize = 65_536;

/// One frame of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureFrame<'a> {
    /// When the frame was captured, in nanoseconds since 1970-01-01 UTC.
    pub timestamp_ns: u64,
    /// Length of the frame on the wire as the file tells it; need not be related to `data`.
    pub original_length: u32,
    /// What the frame begins with, by the numbers of the registry at tcpdump.org (LINKTYPE_).
    pub link_type: u16,
    /// Interface, numbered from 0 over all sections of the file; 0 in a pcap file.
    pub interface: u32,
    /// The captured bytes, 0 to 262,144.
    pub data: &'a [u8],
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let field = [bytes[at], bytes[at + 1]];
        match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        }
    }

    #[inline]
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        }
    }
}

/// What a look at the bytes ahead found.
#[derive(Clone, Copy, Debug)]
enum Look {
    /// A record, whole. It is written where the caller says, since copying what was just written in
    /// parts has to wait for it.
    Record,
    /// The end of the file.
    End,
    /// Fewer than so many bytes, while more may come.
    Short(usize),
}

/// Where one frame lies in the window, and what the file says of it.
#[derive(Clone, Copy, Debug)]
struct Record {
    timestamp_ns: u64,
    original_length: u32,
    link_type: u16,
    interface: u32,
    /// First byte of the data, counted from the start of the window.
    data_at: usize,
    data_len: usize,
    /// Bytes of the whole record or block, from the start of the window.
    total: usize,
}
