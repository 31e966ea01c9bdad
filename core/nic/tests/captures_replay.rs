//! Real and hostile captures, whole: every frame of every file, and what a replay makes of them.

mod common;

use std::num::NonZeroU32;

use common::{Frame, capture_files, read_all};
use skbpool_nic::{
    CaptureReader, CaptureReplay, FrameMeta, FrameSource, Passes, PcapWriter, PcapngWriter,
};

#[test]
fn every_capture_is_read_whole() {
    let files = capture_files();
    let (mut frames, mut bytes) = (0, 0);
    for path in &files {
        let mut reader = CaptureReader::open(path).unwrap_or_else(|error| panic!("{error}"));
        while let Some(frame) = reader.next_frame().unwrap_or_else(|error| panic!("{error}")) {
            frames += 1;
            bytes += frame.data.len();
        }
        assert_eq!(reader.clamped_times(), 0, "{}", path.display());
    }
    println!("{} files, {frames} frames, {bytes} bytes", files.len());
    if files.len() == 204 {
        // As tcpdump -r counts them. capinfos counts 2,988: it refuses one file for its link type, 282.
        assert_eq!((frames, bytes), (3003, 1_611_055));
    }
}

#[test]
fn a_replay_gives_the_frames_of_the_file_in_every_pass() {
    for path in capture_files() {
        let (frames, _) = read_all(&std::fs::read(&path).unwrap());
        let twice = Passes::Times(NonZeroU32::new(2).unwrap());
        let mut replay = CaptureReplay::open(&path, twice).unwrap();
        for expected in frames.iter().chain(&frames) {
            // Two buffers, so that most frames have a rest.
            let mut bytes = vec![0; 48];
            assert_eq!(replay.peek_len().unwrap(), Some(expected.data.len() as u32));
            let meta = replay.write_next(&mut bytes, 0).unwrap().expect("a frame of the file");
            bytes.resize(bytes.len().max(meta.len as usize), 0);
            let rest = replay.write_rest(&mut bytes[48..]);
            assert_eq!(rest, (meta.len as usize).saturating_sub(48));
            bytes.truncate(meta.len as usize);
            assert_eq!(&given(meta, bytes), expected, "{}", path.display());
        }
        assert_eq!(replay.write_next(&mut [0; 48], 0).unwrap(), None);
    }
}

#[test]
fn what_is_written_is_read_back() {
    for path in capture_files() {
        let (frames, _) = read_all(&std::fs::read(&path).unwrap());
        let mut pcapng = PcapngWriter::new(Vec::new()).unwrap();
        for frame in &frames {
            pcapng.write_frame(&frame.borrow(), 0).unwrap();
        }
        let (back, error) = read_all(&pcapng.into_inner());
        assert!(error.is_none(), "{}: {error:?}", path.display());
        // Interfaces are numbered anew, by first sight; everything else stays.
        assert_eq!(without_interface(&back), without_interface(&frames), "{}", path.display());

        let Some(first) = frames.first() else { continue };
        if frames.iter().any(|frame| {
            frame.link_type != first.link_type || frame.timestamp_ns >> 32 >= 1_000_000_000
        }) {
            continue;
        }
        let mut pcap = PcapWriter::new(Vec::new(), first.link_type).unwrap();
        for frame in &frames {
            pcap.write_frame(&frame.borrow()).unwrap();
        }
        let (back, error) = read_all(&pcap.into_inner());
        assert!(error.is_none(), "{}: {error:?}", path.display());
        assert_eq!(without_interface(&back), without_interface(&frames), "{}", path.display());
    }
}

fn given(meta: FrameMeta, data: Vec<u8>) -> Frame {
    Frame {
        timestamp_ns: meta.timestamp_ns,
        original_length: meta.original_length,
        link_type: meta.link_type,
        interface: meta.interface,
        data,
    }
}

fn without_interface(frames: &[Frame]) -> Vec<Frame> {
    frames.iter().map(|frame| Frame { interface: 0, ..frame.clone() }).collect()
}
