//! Damaged captures: cut at every byte, and with random bytes changed.
//!
//! No panic, no endless reading, one error with a place, and every frame before the damage.

mod common;

use std::sync::OnceLock;

use common::{Frame, capture_files, read_all};
use proptest::prelude::*;
use skbpool_nic::{CaptureErrorKind, CaptureFrame, PcapWriter, PcapngWriter};

/// Files up to this size are cut at every byte.
const SMALL: usize = 1200;

/// Files made here, so that something is damaged even without a folder of captures.
fn made() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..90).collect();
    let frame = |len: usize, interface| CaptureFrame {
        timestamp_ns: 1_700_000_000_123_456_789 + len as u64,
        original_length: len as u32 + 3,
        link_type: 1,
        interface,
        data: &data[..len],
    };
    let mut pcap = PcapWriter::new(Vec::new(), 1).unwrap();
    let mut pcapng = PcapngWriter::new(Vec::new()).unwrap();
    for len in [60, 0, 1, 90, 63] {
        pcap.write_frame(&frame(len, 0)).unwrap();
        pcapng.write_frame(&frame(len, len as u32 % 2), len as u64 % 3).unwrap();
    }
    vec![pcap.into_inner(), pcapng.into_inner()]
}

fn small_files() -> &'static [Vec<u8>] {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let read = capture_files().into_iter().map(|path| std::fs::read(path).unwrap());
        made().into_iter().chain(read.filter(|file| file.len() <= SMALL)).collect()
    })
}

/// Where each frame's record ends, by growing the file until the frame appears.
fn frames_within(file: &[u8], all: &[Frame], cut: usize) -> usize {
    let (frames, _) = read_all(&file[..cut]);
    assert_eq!(frames[..], all[..frames.len()], "frames before the cut are changed");
    frames.len()
}

#[test]
fn cut_at_every_byte() {
    let mut cuts = 0;
    for file in small_files() {
        let (all, error) = read_all(file);
        assert!(error.is_none(), "{error:?}");
        let mut whole_ends = 0;
        let mut before = 0;
        for cut in 0..=file.len() {
            let frames = frames_within(file, &all, cut);
            assert!(frames == before || frames == before + 1, "a cut loses whole frames");
            before = frames;
            let (_, error) = read_all(&file[..cut]);
            match error.map(|error| (error.offset, error.kind)) {
                None => whole_ends += 1,
                Some((0, CaptureErrorKind::Empty)) => assert_eq!(cut, 0),
                Some((0, CaptureErrorKind::UnknownFormat(_))) => assert!(cut < 4),
                Some((offset, CaptureErrorKind::Truncated { needed, present, .. })) => {
                    assert_eq!(offset + present, cut as u64, "the rest is told wrong");
                    assert!(present < needed);
                }
                Some((_, kind)) => panic!("cut at {cut}: {kind}"),
            }
            cuts += 1;
        }
        assert_eq!(before, all.len(), "the last frame needs more than the file");
        assert!(whole_ends > all.len(), "a cut between records is a whole file");
    }
    println!("{cuts} cuts of {} files", small_files().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Bytes changed from a place on: the frames that end before it are as they were.
    #[test]
    fn changed_bytes_spare_what_is_before(
        pick: prop::sample::Index,
        place: prop::sample::Index,
        changes in prop::collection::vec((0usize..64, any::<u8>()), 1..12),
    ) {
        let file = pick.get(small_files());
        let place = place.index(file.len());
        let (before, _) = read_all(&file[..place]);
        let mut damaged = file.clone();
        for (step, byte) in changes {
            if let Some(target) = damaged.get_mut(place + step) {
                *target = byte;
            }
        }
        let (frames, _) = read_all(&damaged);
        prop_assert!(frames.len() >= before.len());
        prop_assert_eq!(&frames[..before.len()], &before[..]);
    }

    /// Any bytes at all behind a valid beginning.
    #[test]
    fn noise_is_answered(beginning in 0usize..6, noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let beginnings: [&[u8]; 6] = [
            b"",
            b"\xd4\xc3\xb2\xa1\x02\0\x04\0",
            b"\xa1\xb2\x3c\x4d\0\x02\0\x04",
            b"\x34\xcd\xb2\xa1\x02\0\x04\0",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c",
        ];
        let file = [beginnings[beginning], &noise].concat();
        read_all(&file);
    }

    /// Blocks with right lengths and any content, which is where noise does not get.
    #[test]
    fn blocks_of_noise_are_answered(
        big_endian: bool,
        blocks in prop::collection::vec((0u32..8, prop::collection::vec(any::<u8>(), 0..16)), 0..20),
    ) {
        let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut file = Vec::new();
        let section: [&[u8]; 2] = [&word(0x1a2b_3c4d), &if big_endian { [0, 1, 0, 0] } else { [1, 0, 0, 0] }];
        let section = [&section.concat()[..], &[0xff; 8]].concat();
        let interface: [&[u8]; 2] = [&if big_endian { [0, 1, 0, 0] } else { [1, 0, 0, 0] }, &word(64)];
        let interface = interface.concat();
        let all = [(0x0a0d_0d0a, section), (1, interface)].into_iter().chain(blocks);
        for (kind, mut body) in all {
            // Small numbers, so that lengths and interfaces are often nearly right.
            if kind > 1 && kind < 8 {
                body = body.iter().flat_map(|byte| word(u32::from(byte % 40))).collect();
            }
            body.resize(body.len().next_multiple_of(4), 0);
            file.extend(word(kind));
            file.extend(word(body.len() as u32 + 12));
            file.extend(&body);
            file.extend(word(body.len() as u32 + 12));
        }
        read_all(&file);
    }
}
