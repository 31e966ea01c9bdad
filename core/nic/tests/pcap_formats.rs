//! Variants of the pcap format, made by hand.

mod common;

use std::io::{self, Read};

use common::read_all;
use skbpool_nic::{CaptureErrorKind, CaptureFrame, CaptureReader, CaptureWriteError, PcapWriter};

/// A pcap file of one record with the data `abc`.
struct File {
    magic: u32,
    big_endian: bool,
    version: (u16, u16),
    network: u32,
    /// Seconds, fraction, and the two lengths in the order of the file.
    record: [u32; 4],
}

const PLAIN: File = File {
    magic: 0xa1b2_c3d4,
    big_endian: false,
    version: (2, 4),
    network: 1,
    record: [10, 20, 3, 99],
};

impl File {
    fn bytes(&self) -> Vec<u8> {
        let word = |value: u32| {
            if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
        };
        let half = |value: u16| {
            if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
        };
        let mut file = word(self.magic).to_vec();
        file.extend(half(self.version.0));
        file.extend(half(self.version.1));
        file.extend([0xee; 8]);
        // A snap length below the captured length, as hostile files have.
        file.extend(word(2));
        file.extend(word(self.network));
        file.extend(self.record.map(word).concat());
        if self.magic == 0xa1b2_cd34 {
            file.extend([0xdd; 8]);
        }
        file.extend(b"abc");
        file
    }

    fn frame(&self) -> (u64, u32, u16, Vec<u8>) {
        let (mut frames, error) = read_all(&self.bytes());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(frames.len(), 1);
        let frame = frames.remove(0);
        assert_eq!(frame.interface, 0);
        (frame.timestamp_ns, frame.original_length, frame.link_type, frame.data)
    }

    fn error(&self) -> (u64, CaptureErrorKind) {
        let (frames, error) = read_all(&self.bytes());
        assert!(frames.is_empty());
        let error = error.expect("an error");
        (error.offset, error.kind)
    }
}

#[test]
fn magic_numbers_and_byte_orders() {
    for big_endian in [false, true] {
        for (magic, fraction_ns) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1), (0xa1b2_cd34, 1000)] {
            let file = File { magic, big_endian, ..PLAIN };
            let time = 10_000_000_000 + 20 * fraction_ns;
            assert_eq!(file.frame(), (time, 99, 1, b"abc".to_vec()), "{magic:#x} {big_endian}");
        }
    }
}

#[test]
fn a_fraction_of_a_second_or_more_is_carried_over() {
    let time = |magic, seconds, fraction| {
        File { magic, record: [seconds, fraction, 3, 3], ..PLAIN }.frame().0
    };
    assert_eq!(time(0xa1b2_c3d4, 1, 1_000_000), 2_000_000_000);
    assert_eq!(
        time(0xa1b2_c3d4, u32::MAX, u32::MAX),
        4_294_967_295_000_000_000 + 4_294_967_295_000
    );
    assert_eq!(time(0xa1b2_3c4d, 0, u32::MAX), 4_294_967_295);
}

#[test]
fn the_upper_half_of_the_network_field_is_no_link_type() {
    for network in [0x3000_0001, 0x4000_0001, 0x0400_0001, 0xf7ff_0001] {
        assert_eq!(File { network, ..PLAIN }.frame().2, 1);
    }
    assert_eq!(File { network: 0x3000_011a, ..PLAIN }.frame().2, 282);
}

#[test]
fn old_versions_have_their_lengths_swapped() {
    for (version, record) in
        [((2, 2), [0, 0, 99, 3]), ((2, 3), [0, 0, 99, 3]), ((2, 3), [0, 0, 3, 99])]
    {
        let frame = File { version, record, ..PLAIN }.frame();
        assert_eq!((frame.1, frame.3), (99, b"abc".to_vec()), "{version:?}");
    }
    let (offset, kind) = File { version: (3, 0), ..PLAIN }.error();
    assert!(matches!(
        (offset, kind),
        (0, CaptureErrorKind::UnsupportedVersion { major: 3, minor: 0 })
    ));
}

#[test]
fn a_frame_over_the_limit_ends_the_file() {
    let mut file = PLAIN.bytes();
    file.extend([0; 8]);
    file.extend(262_145u32.to_le_bytes());
    file.extend([0; 4 + 262_145]);
    let (frames, error) = read_all(&file);
    let error = error.unwrap();
    assert_eq!(frames.len(), 1);
    assert!(matches!(error.kind, CaptureErrorKind::FrameTooLarge(262_145)));
    assert_eq!(error.offset, 24 + 16 + 3);
    let line = error.to_string();
    assert!(line.starts_with("test.pcap: byte 43: a frame of 262145 bytes"), "{line}");
    assert!(!line.contains('\n'));
}

#[test]
fn the_largest_frame_is_read() {
    let data = vec![0x5a; 262_144];
    let frame = CaptureFrame {
        timestamp_ns: 1,
        original_length: 7,
        link_type: 1,
        interface: 0,
        data: &data,
    };
    let mut writer = PcapWriter::new(Vec::new(), 1).unwrap();
    writer.write_frame(&frame).unwrap();
    let (frames, error) = read_all(&writer.into_inner());
    assert!(error.is_none());
    assert_eq!(frames[0].borrow(), frame);
}

#[test]
fn what_is_no_capture_is_told() {
    let kind = |file: &[u8]| read_all(file).1.expect("an error").kind;
    assert!(matches!(kind(b""), CaptureErrorKind::Empty));
    assert!(matches!(kind(b"\xa1"), CaptureErrorKind::UnknownFormat(bytes) if bytes == [0xa1]));
    assert!(
        matches!(kind(b"\x1f\x8b\x08\0etc"), CaptureErrorKind::UnknownFormat(bytes) if bytes == [0x1f, 0x8b, 8, 0])
    );
    let error = CaptureReader::open("no such folder/no.pcap").unwrap_err();
    assert!(matches!(error.kind, CaptureErrorKind::Open(_)));
    assert!(error.to_string().starts_with("no such folder/no.pcap: "), "{error}");
}

/// Fails after its bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("the disk is on fire")),
            count => Ok(count),
        }
    }
}

#[test]
fn an_error_of_the_input_comes_after_the_frames_before_it() {
    let file = PLAIN.bytes();
    let mut reader = CaptureReader::new(Broken(&file), "disk").unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap().data, b"abc");
    let error = reader.next_frame().unwrap_err();
    assert_eq!(error.offset, file.len() as u64);
    assert!(
        matches!(&error.kind, CaptureErrorKind::Read(cause) if cause.to_string().contains("fire"))
    );
    assert_eq!(reader.next_frame().unwrap(), None);
}

#[test]
fn what_pcap_cannot_hold_is_refused_and_the_writer_goes_on() {
    let frame = CaptureFrame {
        timestamp_ns: 5_999_999_999,
        original_length: 1500,
        link_type: 1,
        interface: 4,
        data: b"abc",
    };
    let mut writer = PcapWriter::new(Vec::new(), 1).unwrap();
    let link_type = writer.write_frame(&CaptureFrame { link_type: 101, ..frame });
    assert!(matches!(link_type, Err(CaptureWriteError::LinkTypeChanged { file: 1, found: 101 })));
    let late = 4_294_967_296_000_000_000;
    let time = writer.write_frame(&CaptureFrame { timestamp_ns: late, ..frame });
    assert!(matches!(time, Err(CaptureWriteError::TimeOutOfRange(time)) if time == late));
    let size = writer.write_frame(&CaptureFrame { data: &[0; 262_145], ..frame });
    assert!(matches!(size, Err(CaptureWriteError::FrameTooLarge(262_145))));
    writer.write_frame(&CaptureFrame { timestamp_ns: late - 1, ..frame }).unwrap();
    writer.write_frame(&frame).unwrap();
    let (frames, error) = read_all(&writer.into_inner());
    assert!(error.is_none());
    let times: Vec<u64> = frames.iter().map(|frame| frame.timestamp_ns).collect();
    assert_eq!(times, [late - 1, 5_999_999_999]);
    assert_eq!((frames[1].original_length, &frames[1].data[..]), (1500, &b"abc"[..]));
}
