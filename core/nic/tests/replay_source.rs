//! Replaying captures: passes, memory, damage.

use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::PathBuf;

use skbpool_nic::{
    CaptureErrorKind, CaptureFrame, CaptureReader, CaptureReplay, FrameSource, Passes, PcapWriter,
    REPLAY_MEMORY_LIMIT, SourceError, TemplateSource,
};

fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), 1).unwrap();
    for (index, data) in frames.iter().enumerate() {
        let frame = CaptureFrame {
            timestamp_ns: index as u64,
            original_length: data.len() as u32 + 4,
            link_type: 1,
            interface: 0,
            data,
        };
        writer.write_frame(&frame).unwrap();
    }
    writer.into_inner()
}

fn replay(file: Vec<u8>, passes: Passes) -> CaptureReplay {
    let reader: Box<dyn Read + Send> = Box::new(io::Cursor::new(file));
    CaptureReplay::from_reader(CaptureReader::new(reader, "stream").unwrap(), passes)
}

fn times(count: u32) -> Passes {
    Passes::Times(NonZeroU32::new(count).unwrap())
}

fn next(source: &mut impl FrameSource) -> Option<Vec<u8>> {
    let mut out = [0; 64];
    let meta = source.write_next(&mut out, 0).unwrap()?;
    Some(out[..meta.len as usize].to_vec())
}

#[test]
fn a_stream_that_fits_into_memory_can_be_repeated() {
    let mut source = replay(pcap(&[b"one", b"", b"three"]), times(3));
    for _ in 0..3 {
        for expected in [&b"one"[..], b"", b"three"] {
            assert_eq!(source.peek_len().unwrap(), Some(expected.len() as u32));
            assert_eq!(next(&mut source).unwrap(), expected);
        }
    }
    assert_eq!(next(&mut source), None);
    assert_eq!(source.peek_len().unwrap(), None);
    assert_eq!(source.write_rest(&mut [0; 8]), 0);
}

#[test]
fn frames_are_skipped_and_left_unfinished() {
    let mut source = replay(pcap(&[b"one", b"two", b"three", b"four"]), Passes::Endless);
    let mut out = [0; 2];
    source.write_next(&mut out, 0).unwrap();
    assert_eq!(&out, b"on");
    assert_eq!(source.peek_len().unwrap(), Some(3));
    assert_eq!(source.write_rest(&mut out), 0, "the next frame was looked at");
    assert_eq!(source.skip(1).unwrap(), 1);
    assert_eq!(source.write_rest(&mut out), 0, "a skipped frame has no rest");
    assert_eq!(next(&mut source).unwrap(), b"three");
    assert_eq!(source.skip(4_000_002).unwrap(), 4_000_002);
    let meta = source.write_next(&mut out, 0).unwrap().unwrap();
    assert_eq!((&out, meta.len, meta.original_length, meta.timestamp_ns), (b"tw", 3, 7, 1));
    assert_eq!(source.write_rest(&mut out), 1);
    assert_eq!(source.write_rest(&mut out), 0);

    let mut once = replay(pcap(&[b"one", b"two"]), Passes::ONCE);
    assert_eq!(once.skip(5).unwrap(), 2);
}

#[test]
fn a_capture_without_frames_ends() {
    let mut source = replay(pcap(&[]), Passes::Endless);
    assert_eq!(source.peek_len().unwrap(), None);
    assert_eq!(source.skip(1).unwrap(), 0);
}

#[test]
fn a_damaged_capture_gives_its_frames_then_the_error_then_nothing() {
    let mut file = pcap(&[b"one", b"two"]);
    file.pop();
    let mut source = replay(file, Passes::Endless);
    assert_eq!(next(&mut source).unwrap(), b"one");
    let Err(SourceError::Capture(error)) = source.peek_len() else { panic!("no error") };
    assert!(matches!(error.kind, CaptureErrorKind::Truncated { needed: 19, present: 18, .. }));
    assert_eq!((error.offset, error.file.as_str()), (24 + 19, "stream"));
    assert_eq!(next(&mut source), None);
}

/// A pcap stream of `frames` frames of 262,144 bytes, made as it is read.
fn large(frames: usize) -> impl Read + Send {
    let header = pcap(&[]);
    let frame = pcap(&[&vec![0x77; 262_144]])[header.len()..].to_vec();
    let frames = (0..frames).map(move |_| io::Cursor::new(frame.clone()));
    let mut parts = frames.chain([io::Cursor::new(Vec::new())]);
    let mut part = io::Cursor::new(header);
    struct Parts<F>(F);
    impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Parts<F> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            (self.0)(out)
        }
    }
    Parts(move |out: &mut [u8]| {
        loop {
            match part.read(out)? {
                0 => match parts.next() {
                    Some(next) => part = next,
                    None => return Ok(0),
                },
                count => return Ok(count),
            }
        }
    })
}

const OVER_THE_LIMIT: usize = REPLAY_MEMORY_LIMIT / 262_144 + 1;

#[test]
fn a_large_stream_is_read_once_and_then_refused() {
    let reader: Box<dyn Read + Send> = Box::new(large(OVER_THE_LIMIT));
    let reader = CaptureReader::new(reader, "pipe").unwrap();
    let mut source = CaptureReplay::from_reader(reader, times(2));
    assert_eq!(source.skip(OVER_THE_LIMIT as u64).unwrap(), OVER_THE_LIMIT as u64);
    let error = source.peek_len().unwrap_err();
    assert!(matches!(&error, SourceError::CannotRepeat(name) if name == "pipe"), "{error}");
    assert_eq!(source.peek_len().unwrap(), None);
}

#[test]
fn a_large_file_is_opened_again() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("large.pcap");
    io::copy(&mut large(OVER_THE_LIMIT), &mut std::fs::File::create(&path).unwrap()).unwrap();
    let mut source = CaptureReplay::open(&path, times(2)).unwrap();
    assert_eq!(source.skip(u64::MAX).unwrap(), 2 * OVER_THE_LIMIT as u64);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_open_file_is_read_from_its_beginning_for_each_pass() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("open.pcap");
    std::fs::write(&path, pcap(&[b"first", b"second"])).unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
    let mut source = CaptureReplay::from_file(file, "open", times(3)).unwrap();
    for _ in 0..3 {
        let (frame, begins) = source.peek_frame().unwrap().unwrap();
        assert_eq!((frame.len, begins), (5, true));
        assert_eq!(next(&mut source).unwrap(), b"first");
        assert!(!source.peek_frame().unwrap().unwrap().1);
        assert_eq!(next(&mut source).unwrap(), b"second");
    }
    assert!(source.peek_frame().unwrap().is_none());
    std::fs::write(&path, b"no capture").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let error = CaptureReplay::from_file(file, "open", times(1)).unwrap_err();
    assert!(error.to_string().starts_with("open: byte 0: no pcap"), "{error}");
    let folder = std::fs::File::open(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let error = CaptureReplay::from_file(folder, "folder", times(1)).unwrap_err();
    assert!(matches!(error.kind, CaptureErrorKind::Open(_)), "{error}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_is_emptied_between_passes_is_an_error() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("emptied.pcap");
    for passes in [Passes::Endless, times(2)] {
        std::fs::write(&path, pcap(&[b"first"])).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut source = CaptureReplay::from_file(file, "emptied", passes).unwrap();
        assert_eq!(next(&mut source).unwrap(), b"first");
        let header = pcap(&[]).len() as u64;
        std::fs::File::options().write(true).open(&path).unwrap().set_len(header).unwrap();
        let error = source.peek_len().unwrap_err();
        assert!(matches!(&error, SourceError::Emptied(name) if name == "emptied"), "{error}");
        assert_eq!(source.peek_len().unwrap(), None);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_template_is_the_same_frame_for_ever() {
    let mut source: Box<dyn FrameSource> = Box::new(TemplateSource::new(*b"template", 101));
    for now in 0..3 {
        assert_eq!(source.peek_len().unwrap(), Some(8));
        let mut out = [0; 5];
        let meta = source.write_next(&mut out, now).unwrap().unwrap();
        assert_eq!((meta.len, meta.timestamp_ns, meta.link_type), (8, now, 101));
        assert_eq!(&out, b"templ");
        assert_eq!(source.write_rest(&mut out), 3);
        assert_eq!(&out[..3], b"ate");
        assert_eq!(source.write_rest(&mut out), 0);
    }
    assert_eq!(source.skip(7).unwrap(), 7);
}
