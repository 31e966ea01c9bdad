//! Capture files: the frames that a naive reader finds, however the bytes come in, and the same again
//! after writing.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;

use skbpool_nic::{
    CaptureError, CaptureErrorKind, CaptureFrame, CaptureReader, CaptureReplay, FrameSource,
    MAX_FRAME_BYTES, Passes, PcapWriter, PcapngWriter, SourceError,
};

use crate::capture_reference as reference;
use crate::wire::Described;

/// What reading a file to its end gave.
pub(crate) struct Found {
    pub(crate) frames: Vec<Described>,
    pub(crate) error: Option<CaptureError>,
    pub(crate) clamped_times: u64,
}

/// A file, read at once and in small pieces, and written again.
pub(crate) fn capture(data: &[u8]) {
    let found = read(data);
    let dribbled = read(Dribble { left: data, turn: data.len() });
    assert_same(&found, &dribbled);
    let expected = reference::read(data);
    match &found.error {
        // What is wrong inside a block is told by a library, which is stricter with options.
        Some(CaptureError { kind: CaptureErrorKind::MalformedBlock(_), .. }) => {
            assert!(expected.frames.starts_with(&found.frames));
        }
        error => {
            assert!(found.frames == expected.frames, "other frames, and {error:?}");
            assert_eq!(error.is_some(), expected.is_damaged, "{error:?}");
            assert_eq!(found.clamped_times, expected.clamped_times);
        }
    }
    if let Some(error) = &found.error {
        assert!(error.offset <= data.len() as u64);
        assert!(error.to_string().starts_with("a file: "), "{error}");
    }
    assert_written_again(&found.frames);
}

/// A file that comes through a pipe, in pieces: never waited for while it says that it is ready.
pub(crate) fn capture_pipe(data: &[u8]) {
    let (receiver, sender) = rustix::pipe::pipe().expect("a pipe");
    let mut sender = Some(File::from(sender));
    let path = format!("/proc/self/fd/{}", receiver.as_raw_fd());
    // Opening waits for what tells the format.
    let (head, mut rest) = data.split_at(data.len().min(24));
    send(&mut sender, head);
    if rest.is_empty() {
        sender = None;
    }
    let expected = read(data);
    let mut looks = 0;
    let mut found = Found { frames: Vec::new(), error: None, clamped_times: 0 };
    match CaptureReader::open(&path) {
        Ok(mut reader) => loop {
            while reader.is_ready() {
                assert!(reader.is_ready(), "ready once, ready until it is read");
                match reader.next_frame() {
                    Ok(Some(frame)) => found.frames.push(described(&frame)),
                    ended => {
                        found.error = ended.err();
                        found.clamped_times = reader.clamped_times();
                        return assert_same(&expected, &found);
                    }
                }
            }
            // Each look reads once, and the last finds the end.
            looks += usize::from(sender.is_none());
            assert!(looks <= data.len() + 1, "everything is there and nothing is ready");
            let (piece, later) = rest.split_at(rest.len().min(1 + 7 * (rest.len() % 97)));
            rest = later;
            send(&mut sender, piece);
            if rest.is_empty() {
                sender = None;
            }
        },
        Err(error) => {
            found.error = Some(error);
            assert_same(&expected, &found);
        }
    }
}

/// A file replayed up to three times, in whatever way its frames are fetched.
pub(crate) fn capture_replay(data: &[u8]) {
    let once = read(data);
    let times = data.len() as u32 % 3 + 1;
    let bytes: Box<dyn Read + Send> = Box::new(Cursor::new(data.to_vec()));
    let Ok(reader) = CaptureReader::new(bytes, "a file") else {
        assert!(once.error.is_some() && once.frames.is_empty());
        return;
    };
    let passes = Passes::Times(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN));
    let mut replay = CaptureReplay::from_reader(reader, passes);
    // A damaged file is not repeated.
    let passes = if once.error.is_some() { 1 } else { times as usize };
    for (position, expected) in (0..passes).flat_map(|_| &once.frames).enumerate() {
        match (position + data.len()) % 5 {
            0 => assert_eq!(replay.skip(1).expect("before the damage"), 1),
            way => assert_eq!(fetch(&mut replay, way), *expected),
        }
    }
    let end = replay.peek_len();
    match &once.error {
        Some(error) => match end {
            Err(SourceError::Capture(found)) => assert_eq!(found.to_string(), error.to_string()),
            other => panic!("{other:?} instead of {error}"),
        },
        None => assert!(matches!(end, Ok(None)), "{end:?} at the end"),
    }
    assert!(matches!(replay.peek_len(), Ok(None)));
    assert!(matches!(replay.write_next(&mut [0], 0), Ok(None)));
    assert_eq!((replay.write_rest(&mut [0]), replay.skip(1).expect("the end")), (0, 0));
}

/// The next frame of a replay.
fn fetch(replay: &mut CaptureReplay, way: usize) -> Described {
    if way > 2 {
        assert!(replay.is_ready(), "memory is always ready");
    }
    let len = replay.peek_len().expect("before the damage").expect("before the end") as usize;
    assert_eq!(replay.write_rest(&mut [0; 4]), 0, "the frame was not begun");
    let mut bytes = vec![0; len + 3];
    // In one piece, or in two and what is left.
    let cut = if way % 2 == 0 { len + 3 } else { len / 2 };
    let meta = replay.write_next(&mut bytes[..cut], 0).expect("seen").expect("seen");
    assert_eq!(meta.len as usize, len);
    if cut < len {
        assert_eq!(replay.write_rest(&mut bytes[cut..]), len - cut);
    }
    assert_eq!(replay.write_rest(&mut [0; 4]), 0, "the frame is complete");
    bytes.truncate(len);
    Described {
        bytes,
        original_length: meta.original_length,
        timestamp_ns: meta.timestamp_ns,
        link_type: meta.link_type,
        interface: meta.interface,
    }
}

/// Reads to the end.
pub(crate) fn read(input: impl Read) -> Found {
    let mut found = Found { frames: Vec::new(), error: None, clamped_times: 0 };
    let mut reader = match CaptureReader::new(input, "a file") {
        Ok(reader) => reader,
        Err(error) => return Found { error: Some(error), ..found },
    };
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                assert!(frame.data.len() <= MAX_FRAME_BYTES as usize);
                found.frames.push(described(&frame));
            }
            ended => {
                found.error = ended.err();
                break;
            }
        }
    }
    assert!(matches!(reader.next_frame(), Ok(None)), "the end stays the end");
    assert!(reader.is_ready());
    found.clamped_times = reader.clamped_times();
    found
}

/// Asserts that what was read is what both writers write.
fn assert_written_again(frames: &[Described]) {
    let mut seen: Vec<(u16, u32)> = Vec::new();
    let mut expected = frames.to_vec();
    let mut pcapng = PcapngWriter::new(Vec::new()).expect("memory");
    for (frame, expected) in frames.iter().zip(&mut expected) {
        let pair = (frame.link_type, frame.interface);
        let number = seen.iter().position(|known| *known == pair).unwrap_or_else(|| {
            seen.push(pair);
            seen.len() - 1
        });
        expected.interface = number as u32;
        pcapng.write_frame(&capture_frame(frame), u64::from(number == 1)).expect("memory");
    }
    pcapng.finish().expect("memory");
    let again = read(&pcapng.into_inner()[..]);
    assert!(again.error.is_none() && again.frames == expected, "{:?}", again.error);

    let Some(first) = frames.first() else { return };
    let mut pcap = PcapWriter::new(Vec::new(), first.link_type).expect("memory");
    expected.clear();
    for frame in frames {
        let fits = frame.link_type == first.link_type
            && frame.timestamp_ns / 1_000_000_000 <= u64::from(u32::MAX);
        assert_eq!(pcap.write_frame(&capture_frame(frame)).is_ok(), fits);
        if fits {
            expected.push(Described { interface: 0, ..frame.clone() });
        }
    }
    let again = read(&pcap.into_inner()[..]);
    assert!(again.error.is_none() && again.frames == expected, "{:?}", again.error);
}

fn assert_same(first: &Found, second: &Found) {
    let tell =
        |found: &Found| found.error.as_ref().map(|error| (error.offset, error.kind.to_string()));
    assert_eq!(tell(first), tell(second));
    assert!(first.frames == second.frames, "other frames");
    assert_eq!(first.clamped_times, second.clamped_times);
}

fn described(frame: &CaptureFrame<'_>) -> Described {
    Described {
        bytes: frame.data.to_vec(),
        original_length: frame.original_length,
        timestamp_ns: frame.timestamp_ns,
        link_type: frame.link_type,
        interface: frame.interface,
    }
}

fn capture_frame(frame: &Described) -> CaptureFrame<'_> {
    CaptureFrame {
        timestamp_ns: frame.timestamp_ns,
        original_length: frame.original_length,
        link_type: frame.link_type,
        interface: frame.interface,
        data: &frame.bytes,
    }
}

/// Sends a piece that a pipe holds.
fn send(sender: &mut Option<File>, piece: &[u8]) {
    if let Some(sender) = sender {
        sender.write_all(piece).expect("a pipe with room");
    }
}

/// Gives 1 to 7 bytes at a time, and is interrupted now and then.
struct Dribble<'a> {
    left: &'a [u8],
    turn: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let dice = self.turn >> 33;
        if dice % 8 == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = out.len().min(dice % 8);
        self.left.read(&mut out[..count])
    }
}
