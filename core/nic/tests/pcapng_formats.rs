//! Blocks of the pcapng format, made by hand in both byte orders.

mod common;

use common::{Frame, read_all};
use pcap_parser::{Block, OptionCode, parse_block_le};
use skbpool_nic::{
    CaptureErrorKind, CaptureFrame, CaptureWriteError, MAX_INTERFACES, PcapngWriter,
};

/// Builds a file in one byte order.
struct File {
    big_endian: bool,
    bytes: Vec<u8>,
}

impl File {
    fn new(big_endian: bool) -> Self {
        let mut file = Self { big_endian, bytes: Vec::new() };
        file.section(big_endian, 1, 0);
        file
    }

    fn word(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn half(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn words(&self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.word(*value)).collect()
    }

    fn block(&mut self, kind: u32, mut body: Vec<u8>) -> &mut Self {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.word(body.len() as u32 + 12);
        self.bytes.extend(self.word(kind));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(length);
        self
    }

    fn section(&mut self, big_endian: bool, major: u16, minor: u16) -> &mut Self {
        self.big_endian = big_endian;
        let mut body = self.words(&[0x1a2b_3c4d]);
        body.extend(self.half(major));
        body.extend(self.half(minor));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, body)
    }

    fn option(&self, body: &mut Vec<u8>, code: u16, value: &[u8]) {
        body.extend(self.half(code));
        body.extend(self.half(value.len() as u16));
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }

    fn interface(
        &mut self,
        link_type: u16,
        snap: u32,
        resolution: Option<u8>,
        offset: Option<i64>,
    ) -> &mut Self {
        let mut body = [self.half(link_type), [0; 2]].concat();
        body.extend(self.word(snap));
        self.option(&mut body, 2, b"eth0");
        if let Some(resolution) = resolution {
            self.option(&mut body, 9, &[resolution]);
        }
        if let Some(offset) = offset {
            let bytes = if self.big_endian { offset.to_be_bytes() } else { offset.to_le_bytes() };
            self.option(&mut body, 14, &bytes);
        }
        self.option(&mut body, 0, &[]);
        // Nothing after the end of options counts.
        self.option(&mut body, 9, &[0]);
        self.block(1, body)
    }

    fn packet(&mut self, interface: u32, ticks: u64, original: u32, data: &[u8]) -> &mut Self {
        let ticks = [(ticks >> 32) as u32, ticks as u32];
        let mut body = self.words(&[interface, ticks[0], ticks[1], data.len() as u32, original]);
        body.extend(data);
        self.block(6, body)
    }

    fn error(&self) -> (usize, u64, CaptureErrorKind) {
        let (frames, error) = read_all(&self.bytes);
        let error = error.expect("an error");
        (frames.len(), error.offset, error.kind)
    }
}

fn frame(
    timestamp_ns: u64,
    original_length: u32,
    link_type: u16,
    interface: u32,
    data: &[u8],
) -> Frame {
    Frame { timestamp_ns, original_length, link_type, interface, data: data.to_vec() }
}

#[test]
fn sections_interfaces_and_packets() {
    for big_endian in [false, true] {
        let mut file = File::new(big_endian);
        file.interface(1, 0, None, None)
            .packet(0, 1_000_001, 5, b"micro")
            .block(5, vec![1; 20])
            .interface(101, 4, Some(9), Some(-1))
            .packet(1, 5_000_000_007, 1500, b"nanoseconds over the snap length");
        let obsolete = [file.half(1), file.half(7)].concat();
        let obsolete = [obsolete, file.words(&[0, 2_000_000_000, 2, 9]), b"ob".to_vec()].concat();
        file.block(2, obsolete);
        let simple = [file.word(5).to_vec(), b"short".to_vec()].concat();
        file.block(3, simple);
        // The other byte order, and interfaces that begin anew.
        file.section(!big_endian, 1, 2).interface(1, 3, Some(0x80 | 1), Some(2));
        file.block(0x0bad, (0..100_000u32).flat_map(u32::to_le_bytes).collect());
        file.packet(0, 3, 0, b"");
        let simple = [file.word(9).to_vec(), b"cut".to_vec()].concat();
        file.block(3, simple);
        let (frames, error) = read_all(&file.bytes);
        assert!(error.is_none(), "{error:?}");
        let expected = [
            frame(1_000_001_000, 5, 1, 0, b"micro"),
            frame(4_000_000_007, 1500, 101, 1, b"nanoseconds over the snap length"),
            frame(1_000_000_000, 9, 101, 1, b"ob"),
            frame(0, 5, 1, 0, b"short"),
            frame(3_500_000_000, 0, 1, 2, b""),
            frame(0, 9, 1, 2, b"cut"),
        ];
        assert_eq!(frames, expected);
    }
}

#[test]
fn times_that_do_not_fit_are_clamped_and_counted() {
    let mut file = File::new(false);
    file.interface(1, 0, Some(0), Some(-5)).packet(0, 4, 1, b"a").packet(0, 6, 1, b"b").packet(
        0,
        u64::MAX,
        1,
        b"c",
    );
    let mut reader = skbpool_nic::CaptureReader::new(&file.bytes[..], "times").unwrap();
    let mut times = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        times.push(frame.timestamp_ns);
    }
    assert_eq!(times, [0, 1_000_000_000, u64::MAX]);
    assert_eq!(reader.clamped_times(), 2);
}

#[test]
fn damage_is_told_with_its_place() {
    for big_endian in [false, true] {
        // Every case has one good packet before the damage.
        let good = || {
            let mut file = File::new(big_endian);
            file.interface(1, 0, None, None).packet(0, 1, 1, b"x");
            file
        };
        let place = good().bytes.len() as u64;
        let check = |file: &File, matches: &dyn Fn(&CaptureErrorKind) -> bool| {
            let (frames, offset, kind) = file.error();
            assert_eq!((frames, offset), (1, place), "{kind}");
            assert!(matches(&kind), "{kind:?}");
        };
        use CaptureErrorKind::*;

        let mut file = good();
        file.packet(1, 0, 0, b"");
        check(&file, &|kind| matches!(kind, UnknownInterface { interface: 1, described: 1 }));

        for (kind, at) in [(6, 12), (2, 12)] {
            let mut file = good();
            let mut body = file.words(&[0, 0, 0, 0, 0]);
            body[at..at + 4].copy_from_slice(&file.word(5));
            body.extend([0; 4]);
            file.block(kind, body);
            check(&file, &|kind| matches!(kind, MalformedBlock(_)));
        }

        let mut file = good();
        let body = [file.word(5).to_vec(), vec![0; 4]].concat();
        file.block(3, body);
        check(&file, &|kind| matches!(kind, MalformedBlock("simple packet block")));

        for kind in [1, 2, 3, 6] {
            let mut file = good();
            file.block(kind, vec![]);
            check(&file, &|kind| matches!(kind, MalformedBlock(_)));
        }

        let mut file = good();
        file.packet(0, 0, 0, &vec![0; 262_145]);
        check(&file, &|kind| matches!(kind, FrameTooLarge(262_145)));

        for length in [0, 4, 11, 13, 33, u32::MAX] {
            let mut file = good();
            let header = file.words(&[6, length, 0, 0]);
            file.bytes.extend(header);
            check(&file, &|kind| matches!(kind, BlockLength(told) if *told == length));
        }

        let mut file = good();
        let header = file.words(&[6, 16 * 1024 * 1024 + 4, 0, 0]);
        file.bytes.extend(header);
        check(&file, &|kind| matches!(kind, BlockTooLarge(_)));

        // An unknown block may be as long as it likes, but not longer than the file.
        let mut file = good();
        let header = file.words(&[0xbad, u32::MAX - 3, 0, 0]);
        file.bytes.extend(header);
        let (frames, offset, kind) = file.error();
        assert_eq!((frames, offset), (1, place));
        assert!(matches!(kind, Truncated { needed: 0xffff_fffc, present: 16, .. }), "{kind:?}");

        for kind in [6, 0xbad] {
            let mut file = good();
            file.block(kind, vec![0; 20]);
            let end = file.bytes.len();
            let wrong = file.word(36);
            file.bytes[end - 4..].copy_from_slice(&wrong);
            let (frames, _, kind) = file.error();
            assert_eq!(frames, 1);
            assert!(matches!(kind, BlockLengthsDiffer { head: 32, tail: 36 }), "{kind:?}");
        }

        let mut file = good();
        file.section(big_endian, 2, 0);
        check(&file, &|kind| matches!(kind, UnsupportedVersion { major: 2, minor: 0 }));

        let mut file = good();
        let at = file.bytes.len() + 8;
        file.section(big_endian, 1, 0);
        file.bytes[at] ^= 1;
        check(&file, &|kind| matches!(kind, ByteOrder(_)));
    }
}

#[test]
fn interfaces_are_bounded() {
    let mut file = File::new(false);
    for _ in 0..MAX_INTERFACES {
        let body = [[1, 0, 0, 0], [0; 4]].concat();
        file.block(1, body);
    }
    file.packet(MAX_INTERFACES as u32 - 1, 0, 0, b"last");
    assert_eq!(read_all(&file.bytes).0[0].interface, 65_535);
    file.interface(1, 0, None, None);
    let (frames, _, kind) = file.error();
    assert_eq!(frames, 1);
    assert!(matches!(kind, CaptureErrorKind::TooManyInterfaces));

    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    let frame =
        CaptureFrame { timestamp_ns: 0, original_length: 0, link_type: 1, interface: 0, data: b"" };
    for interface in 0..MAX_INTERFACES as u32 {
        writer.write_frame(&CaptureFrame { interface, ..frame }, 0).unwrap();
    }
    let refused = writer.write_frame(&CaptureFrame { link_type: 2, ..frame }, 0);
    assert!(matches!(refused, Err(CaptureWriteError::TooManyInterfaces)));
    writer.write_frame(&frame, 0).unwrap();
    assert_eq!(read_all(&writer.into_inner()).0.len(), MAX_INTERFACES + 1);
}

#[test]
fn writing_describes_each_interface_once_and_tells_drops() {
    let frames = [
        (frame(1_700_000_000_000_000_001, 60, 1, 0, b"first"), 0),
        (frame(5, 70, 1, 3, b"other interface"), 2),
        (frame(6, 70, 1, 3, b"other interface again"), 0),
        (frame(u64::MAX, 80, 101, 0, b"other link type"), u64::MAX),
        (frame(2, u32::MAX, 1, 0, b"back"), 1),
        (frame(3, 0, 1, 0, b""), 0),
    ];
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    for (frame, dropped) in &frames {
        writer.write_frame(&frame.borrow(), *dropped).unwrap();
    }
    let too_large = CaptureFrame { data: &[0; 262_145], ..frames[0].0.borrow() };
    assert!(matches!(writer.write_frame(&too_large, 0), Err(CaptureWriteError::FrameTooLarge(_))));
    writer.flush().unwrap();
    let file = writer.into_inner();

    let (back, error) = read_all(&file);
    assert!(error.is_none(), "{error:?}");
    let interfaces: Vec<u32> = back.iter().map(|frame| frame.interface).collect();
    assert_eq!(interfaces, [0, 1, 1, 2, 0, 0]);
    for (back, (frame, _)) in back.iter().zip(&frames) {
        assert_eq!(&Frame { interface: frame.interface, ..back.clone() }, frame);
    }

    // What this crate's reader does not look at.
    let (mut rest, mut drops, mut names) = (&file[..], Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (after, block) = parse_block_le(rest).expect("a valid block");
        rest = after;
        match block {
            Block::EnhancedPacket(packet) => drops.push(
                packet.options.iter().find(|option| option.code == OptionCode(4)).map_or(
                    0,
                    |option| {
                        assert_eq!(
                            packet.options.last().map(|last| last.code),
                            Some(OptionCode::EndOfOpt)
                        );
                        option.as_u64_le().expect("eight bytes")
                    },
                ),
            ),
            Block::InterfaceDescription(interface) => {
                assert_eq!(interface.snaplen, 262_144);
                names
                    .push((interface.if_name().unwrap().unwrap().to_owned(), interface.if_tsresol));
            }
            Block::SectionHeader(section) => assert_eq!(section.section_len, -1),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(drops, frames.each_ref().map(|(_, dropped)| *dropped));
    assert_eq!(names, [("if0".to_owned(), 9), ("if3".to_owned(), 9), ("if0".to_owned(), 9)]);
}
