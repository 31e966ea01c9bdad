//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! ```text
//!   block    type │ length │ body, padded to 4 bytes │ length again
//!   file     section header, interfaces, packets …, section header, interfaces, packets …
//! ```
//!
//! Blocks are framed here, so that lengths are checked before anything is held in memory; what is
//! inside of those that matter is told by pcap-parser. Other blocks are passed over unread.

use pcap_parser::nom::IResult;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{
    OptionCode, PcapError, PcapNGOption, parse_enhancedpacketblock_be,
    parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_sectionheaderblock, parse_simplepacketblock_be,
    parse_simplepacketblock_le,
};

use super::error::CaptureErrorKind;
use super::interface_time::InterfaceTime;
use super::window::{INITIAL_BYTES, Window};
use super::{ByteOrder, Look, MAX_FRAME_BYTES, MAX_INTERFACES, Record};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Type and length, then the body, then the length again.
const BLOCK_OVERHEAD: usize = 12;
/// Largest block that is held in memory: libpcap's limit.
const MAX_BLOCK: u32 = 16 * 1024 * 1024;

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: ByteOrder,
    /// Where the block begins that is being read.
    block_at: u64,
    passing: Option<Passing>,
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before this one.
    interfaces_before: u32,
    clamped_times: u64,
}

/// A block that is passed over unread, as it comes.
#[derive(Clone, Copy, Debug)]
struct Passing {
    length: u32,
    /// Bytes still to come before the length at its end.
    left: usize,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    snap_length: u32,
    time: InterfaceTime,
}

impl Pcapng {
    /// Whether a file that begins with these four bytes is a pcapng file.
    pub(super) fn recognises(magic: [u8; 4]) -> bool {
        magic == SECTION_HEADER.to_be_bytes()
    }

    /// A reader that has seen no section yet.
    pub(super) fn new() -> Self {
        Self {
            order: ByteOrder::Little,
            block_at: 0,
            passing: None,
            interfaces: Vec::new(),
            interfaces_before: 0,
            clamped_times: 0,
        }
    }

    pub(super) fn block_at(&self) -> u64 {
        self.block_at
    }

    pub(super) fn clamped_times(&self) -> u64 {
        self.clamped_times
    }

    /// Passes over blocks up to the next packet, which is then at the start of the window. What is left
    /// in the window where that falls short begins with the block, or the rest of one, to go on with.
    pub(super) fn look<R>(
        &mut self,
        window: &mut Window<R>,
        found: &mut Option<Record>,
    ) -> Result<Look, CaptureErrorKind> {
        loop {
            if let Some(passing) = self.passing.take()
                && let Some(want) = self.pass_over(window, passing)?
            {
                return Ok(Look::Short(want));
            }
            self.block_at = window.offset();
            let Some(present) = window.have(BLOCK_OVERHEAD) else {
                return Ok(Look::Short(BLOCK_OVERHEAD));
            };
            if present == 0 {
                return Ok(Look::End);
            }
            let (kind, length) = self.block_header(window.ahead())?;
            let known = matches!(
                kind,
                SECTION_HEADER
                    | INTERFACE_DESCRIPTION
                    | OBSOLETE_PACKET
                    | SIMPLE_PACKET
                    | ENHANCED_PACKET
            );
            if !known {
                self.passing = Some(Passing { length, left: length as usize - 4 });
                continue;
            }
            if length > MAX_BLOCK {
                return Err(CaptureErrorKind::BlockTooLarge(length));
            }
            let Some(present) = window.have(length as usize) else {
                return Ok(Look::Short(length as usize));
            };
            let block = self.whole_block(&window.ahead()[..present], length)?;
            let record = match kind {
                SECTION_HEADER => {
                    let described = self.interfaces.len() as u32;
                    check_version(block)?;
                    self.interfaces_before = self.interfaces_before.wrapping_add(described);
                    self.interfaces.clear();
                    None
                }
                INTERFACE_DESCRIPTION => {
                    if self.interfaces.len() == MAX_INTERFACES {
                        return Err(CaptureErrorKind::TooManyInterfaces);
                    }
                    self.interfaces.push(interface(self.order, block)?);
                    None
                }
                SIMPLE_PACKET => Some(self.simple_packet(block)?),
                ENHANCED_PACKET => Some(self.enhanced_packet(block)?),
                _ => Some(self.obsolete_packet(block)?),
            };
            if record.is_some() {
                *found = record;
                return Ok(Look::Record);
            }
            window.consume(length as usize);
        }
    }

    /// Type and length of the block that begins with `header`, or is cut off in it.
    fn block_header(&mut self, header: &[u8]) -> Result<(u32, u32), CaptureErrorKind> {
        if header.len() < BLOCK_OVERHEAD {
            return Err(CaptureErrorKind::Truncated {
                what: "block",
                needed: BLOCK_OVERHEAD as u64,
                present: header.len() as u64,
            });
        }
        // The type of a section header reads the same in both byte orders.
        if self.order.u32(header, 0) == SECTION_HEADER {
            self.order = match ByteOrder::Little.u32(header, 8) {
                BYTE_ORDER_MAGIC => ByteOrder::Little,
                magic if magic.swap_bytes() == BYTE_ORDER_MAGIC => ByteOrder::Big,
                magic => return Err(CaptureErrorKind::ByteOrder(magic)),
            };
        }
        let length = self.order.u32(header, 4);
        if length < BLOCK_OVERHEAD as u32 || length % 4 != 0 {
            return Err(CaptureErrorKind::BlockLength(length));
        }
        Ok((self.order.u32(header, 0), length))
    }

    /// The block, if it is all there and as long at its end as at its beginning.
    fn whole_block<'w>(&self, block: &'w [u8], length: u32) -> Result<&'w [u8], CaptureErrorKind> {
        if block.len() < length as usize {
            return Err(cut_block(length, block.len() as u64));
        }
        check_tail(length, self.order.u32(block, length as usize - 4))?;
        Ok(block)
    }

    /// Passes over what is ahead of a block; answers how many bytes it takes to go on, none if that was
    /// all of it.
    fn pass_over<R>(
        &mut self,
        window: &mut Window<R>,
        Passing { length, left }: Passing,
    ) -> Result<Option<usize>, CaptureErrorKind> {
        let step = left.min(window.ahead().len());
        window.consume(step);
        let left = left - step;
        let want = if left == 0 { 4 } else { left.min(INITIAL_BYTES) };
        let Some(present) = window.have(want) else {
            self.passing = Some(Passing { length, left });
            return Ok(Some(want));
        };
        if present < want {
            return Err(cut_block(length, (length as usize - 4 - left + present) as u64));
        }
        check_tail(length, self.order.u32(window.ahead(), 0))?;
        window.consume(4);
        Ok(None)
    }

    fn enhanced_packet(&mut self, block: &[u8]) -> Result<Record, CaptureErrorKind> {
        let packet = parsed(
            "packet block",
            match self.order {
                ByteOrder::Little => parse_enhancedpacketblock_le(block),
                ByteOrder::Big => parse_enhancedpacketblock_be(block),
            },
        )?;
        let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
        let (interface, captured, original) = (packet.if_id, packet.caplen, packet.origlen);
        self.record(block, interface, Some(ticks), 28, captured, original)
    }

    fn simple_packet(&mut self, block: &[u8]) -> Result<Record, CaptureErrorKind> {
        let packet = parsed(
            "simple packet block",
            match self.order {
                ByteOrder::Little => parse_simplepacketblock_le(block),
                ByteOrder::Big => parse_simplepacketblock_be(block),
            },
        )?;
        let (original, room) = (packet.orig_len(), packet.raw_packet_data().len());
        let Interface { snap_length, .. } = self.interface(0)?;
        // What was captured is not told: it is the original length, cut at the snap length.
        let captured = if snap_length == 0 { original } else { original.min(snap_length) };
        if captured <= MAX_FRAME_BYTES && captured as usize > room {
            return Err(CaptureErrorKind::MalformedBlock("simple packet block"));
        }
        self.record(block, 0, None, 12, captured, original)
    }

    /// The Packet Block of early drafts, which pcap-parser leaves alone.
    fn obsolete_packet(&mut self, block: &[u8]) -> Result<Record, CaptureErrorKind> {
        if block.len() < 32 {
            return Err(CaptureErrorKind::MalformedBlock("obsolete packet block"));
        }
        let order = self.order;
        let interface = u32::from(order.u16(block, 8));
        let ticks = u64::from(order.u32(block, 12)) << 32 | u64::from(order.u32(block, 16));
        let (captured, original) = (order.u32(block, 20), order.u32(block, 24));
        if captured <= MAX_FRAME_BYTES && captured as usize > block.len() - 32 {
            return Err(CaptureErrorKind::MalformedBlock("obsolete packet block"));
        }
        self.record(block, interface, Some(ticks), 28, captured, original)
    }

    fn interface(&self, interface: u32) -> Result<Interface, CaptureErrorKind> {
        self.interfaces.get(interface as usize).copied().ok_or(CaptureErrorKind::UnknownInterface {
            interface,
            described: self.interfaces.len(),
        })
    }

    fn record(
        &mut self,
        block: &[u8],
        interface: u32,
        ticks: Option<u64>,
        data_at: usize,
        captured: u32,
        original_length: u32,
    ) -> Result<Record, CaptureErrorKind> {
        let Interface { link_type, time, .. } = self.interface(interface)?;
        if captured > MAX_FRAME_BYTES {
            return Err(CaptureErrorKind::FrameTooLarge(captured));
        }
        let (timestamp_ns, clamped) = ticks.map_or((0, false), |ticks| time.nanoseconds(ticks));
        self.clamped_times += u64::from(clamped);
        Ok(Record {
            timestamp_ns,
            original_length,
            link_type,
            interface: self.interfaces_before.wrapping_add(interface),
            data_at,
            data_len: captured as usize,
            total: block.len(),
        })
    }
}

fn check_version(block: &[u8]) -> Result<(), CaptureErrorKind> {
    let section = parsed("section header", parse_sectionheaderblock(block))?;
    let (major, minor) = (section.major_version, section.minor_version);
    // Minor version 2 was written by some and is the same format (draft, section 4.1).
    if major != 1 || (minor != 0 && minor != 2) {
        return Err(CaptureErrorKind::UnsupportedVersion { major, minor });
    }
    Ok(())
}

fn interface(order: ByteOrder, block: &[u8]) -> Result<Interface, CaptureErrorKind> {
    let described = parsed(
        "interface description",
        match order {
            ByteOrder::Little => parse_interfacedescriptionblock_le(block),
            ByteOrder::Big => parse_interfacedescriptionblock_be(block),
        },
    )?;
    let end = described.options.iter().position(|option| option.code == OptionCode::EndOfOpt);
    let options = &described.options[..end.unwrap_or(described.options.len())];
    Ok(Interface {
        link_type: described.linktype.0 as u16,
        snap_length: described.snaplen,
        time: interface_time(order, options),
    })
}

/// Read here, since pcap-parser takes the offset for little-endian in any section and knows no
/// resolution that is a power of two. Options of a wrong length are as good as absent.
fn interface_time(order: ByteOrder, options: &[PcapNGOption<'_>]) -> InterfaceTime {
    let mut time = InterfaceTime::default();
    for option in options {
        let Ok(value) = option.as_bytes() else {
            continue;
        };
        match (option.code, value) {
            (OptionCode::IfTsresol, [resolution]) => time.resolution = *resolution,
            (OptionCode::IfTsoffset, value) => {
                let Ok(value) = <[u8; 8]>::try_from(value) else {
                    continue;
                };
                time.offset_seconds = match order {
                    ByteOrder::Little => i64::from_le_bytes(value),
                    ByteOrder::Big => i64::from_be_bytes(value),
                };
            }
            _ => {}
        }
    }
    time
}

/// What pcap-parser made of a block that is whole: any complaint means that its fields do not fit.
fn parsed<'b, T>(
    what: &'static str,
    result: IResult<&'b [u8], T, PcapError<&'b [u8]>>,
) -> Result<T, CaptureErrorKind> {
    result.map(|(_, block)| block).map_err(|_| CaptureErrorKind::MalformedBlock(what))
}

fn check_tail(head: u32, tail: u32) -> Result<(), CaptureErrorKind> {
    if head == tail { Ok(()) } else { Err(CaptureErrorKind::BlockLengthsDiffer { head, tail }) }
}

fn cut_block(length: u32, present: u64) -> CaptureErrorKind {
    CaptureErrorKind::Truncated { what: "block", needed: u64::from(length), present }
}
