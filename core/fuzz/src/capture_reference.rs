//! A reader of pcap and pcapng over the whole file at once, which shares no code with the product:
//! after draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

use skbpool_nic::{MAX_FRAME_BYTES, MAX_INTERFACES};

use crate::wire::Described;

const SECTION: u32 = 0x0a0d_0d0a;
const MOST_OF_A_BLOCK: usize = 16 << 20;

/// What a file holds.
#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) frames: Vec<Described>,
    /// Something is wrong after those frames.
    pub(crate) is_damaged: bool,
    pub(crate) clamped_times: u64,
}

/// Reads a whole file.
pub(crate) fn read(data: &[u8]) -> Expected {
    let mut expected = Expected::default();
    let whole = if data.starts_with(&SECTION.to_be_bytes()) {
        Sections::default().read(data, &mut expected)
    } else {
        pcap(data, &mut expected.frames)
    };
    expected.is_damaged = whole.is_none();
    expected
}

/// Fields of one byte order; `None` beyond the end.
#[derive(Clone, Copy, Default)]
struct Fields<'a> {
    data: &'a [u8],
    big: bool,
}

impl Fields<'_> {
    fn number(self, at: usize, bytes: usize) -> Option<u64> {
        let field = self.data.get(at..at.checked_add(bytes)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big { field.iter().fold(0, add) } else { field.iter().rev().fold(0, add) })
    }

    fn u16(self, at: usize) -> Option<u16> {
        Some(self.number(at, 2)? as u16)
    }

    fn u32(self, at: usize) -> Option<u32> {
        Some(self.number(at, 4)? as u32)
    }
}

/// Reads a pcap file; `None` if something is wrong.
fn pcap(data: &[u8], frames: &mut Vec<Described>) -> Option<()> {
    let (big, unit, header) = match *data.first_chunk::<4>()? {
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000, 16),
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000, 16),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1, 16),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1, 16),
        [0x34, 0xcd, 0xb2, 0xa1] => (false, 1000, 24),
        [0xa1, 0xb2, 0xcd, 0x34] => (true, 1000, 24),
        _ => return None,
    };
    let fields = Fields { data, big };
    let link_type = fields.u32(20)? as u16;
    let minor = fields.u16(6)?;
    if fields.u16(4)? != 2 {
        return None;
    }
    let mut at = 24;
    while at < data.len() {
        let (first, second) = (fields.u32(at + 8)?, fields.u32(at + 12)?);
        let (captured, original) = match minor {
            0..=2 => (second, first),
            3 => (first.min(second), first.max(second)),
            _ => (first, second),
        };
        if captured > MAX_FRAME_BYTES {
            return None;
        }
        let begin = at + header;
        let bytes = data.get(begin..begin + captured as usize)?.to_vec();
        frames.push(Described {
            bytes,
            original_length: original,
            timestamp_ns: fields.number(at, 4)? * 1_000_000_000 + fields.number(at + 4, 4)? * unit,
            link_type,
            interface: 0,
        });
        at = begin + captured as usize;
    }
    Some(())
}

struct Interface {
    link_type: u16,
    snap_length: u32,
    resolution: u8,
    offset: i64,
}

/// The section that is read.
#[derive(Default)]
struct Sections {
    big: bool,
    interfaces: Vec<Interface>,
    interfaces_before: u32,
}

impl Sections {
    fn read(&mut self, data: &[u8], expected: &mut Expected) -> Option<()> {
        let mut at = 0;
        while at < data.len() {
            if data[at..].starts_with(&SECTION.to_be_bytes()) {
                self.big = match *data.get(at + 8..at + 12)? {
                    [0x4d, 0x3c, 0x2b, 0x1a] => false,
                    [0x1a, 0x2b, 0x3c, 0x4d] => true,
                    _ => return None,
                };
            }
            let file = Fields { data, big: self.big };
            let (kind, length) = (file.u32(at)?, file.u32(at + 4)? as usize);
            if length < 12 || length % 4 != 0 {
                return None;
            }
            let known = matches!(kind, SECTION | 1 | 2 | 3 | 6);
            if known && length > MOST_OF_A_BLOCK {
                return None;
            }
            if file.u32(at + length - 4)? as usize != length {
                return None;
            }
            self.block(
                kind,
                Fields { data: &data[at + 8..at + length - 4], big: self.big },
                expected,
            )?;
            at += length;
        }
        Some(())
    }

    fn block(&mut self, kind: u32, body: Fields<'_>, expected: &mut Expected) -> Option<()> {
        match kind {
            SECTION => {
                let (major, minor) = (body.u16(4)?, body.u16(6)?);
                body.number(8, 8)?;
                if major != 1 || !matches!(minor, 0 | 2) {
                    return None;
                }
                self.interfaces_before += self.interfaces.len() as u32;
                self.interfaces.clear();
            }
            1 => {
                if self.interfaces.len() == MAX_INTERFACES {
                    return None;
                }
                self.interfaces.push(interface(body)?);
            }
            2 => {
                let number = body.u16(0)?.into();
                self.packet(body, number, Some(4), 20, body.u32(12)?, body.u32(16)?, expected)?;
            }
            3 => {
                let original = body.u32(0)?;
                let snap = self.interfaces.first()?.snap_length;
                let captured = if snap == 0 { original } else { original.min(snap) };
                self.packet(body, 0, None, 4, captured, original, expected)?;
            }
            6 => {
                let number = body.u32(0)?;
                self.packet(body, number, Some(4), 20, body.u32(12)?, body.u32(16)?, expected)?;
            }
            _ => {}
        }
        Some(())
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a packet block")]
    fn packet(
        &self,
        body: Fields<'_>,
        number: u32,
        time_at: Option<usize>,
        data_at: usize,
        captured: u32,
        original_length: u32,
        expected: &mut Expected,
    ) -> Option<()> {
        let interface = self.interfaces.get(number as usize)?;
        if captured > MAX_FRAME_BYTES {
            return None;
        }
        let bytes = body.data.get(data_at..data_at + captured as usize)?.to_vec();
        let mut timestamp_ns = 0;
        if let Some(at) = time_at {
            let ticks = body.number(at, 4)? << 32 | body.number(at + 4, 4)?;
            let time = interface.nanoseconds(ticks);
            timestamp_ns = time.clamp(0, u64::MAX.into()) as u64;
            expected.clamped_times += u64::from(time != i128::from(timestamp_ns));
        }
        expected.frames.push(Described {
            bytes,
            original_length,
            timestamp_ns,
            link_type: interface.link_type,
            interface: self.interfaces_before + number,
        });
        Some(())
    }
}

fn interface(body: Fields<'_>) -> Option<Interface> {
    let mut interface =
        Interface { link_type: body.u16(0)?, snap_length: body.u32(4)?, resolution: 6, offset: 0 };
    let mut at = 8;
    while let (Some(code @ 1..), Some(length)) = (body.u16(at), body.u16(at + 2)) {
        let length = usize::from(length);
        match (code, length) {
            (9, 1) => interface.resolution = body.number(at + 4, 1)? as u8,
            (14, 8) => interface.offset = body.number(at + 4, 8)? as i64,
            _ => {}
        }
        at += 4 + length.next_multiple_of(4);
    }
    Some(interface)
}

impl Interface {
    fn nanoseconds(&self, ticks: u64) -> i128 {
        let exponent = u32::from(self.resolution & 0x7f);
        let base: u128 = if self.resolution & 0x80 != 0 { 2 } else { 10 };
        let nanoseconds = u128::from(ticks) * 1_000_000_000;
        // A divisor beyond 128 bits is larger than any number of nanoseconds.
        let whole = base.checked_pow(exponent).map_or(0, |divisor| nanoseconds / divisor);
        whole as i128 + i128::from(self.offset) * 1_000_000_000
    }
}
