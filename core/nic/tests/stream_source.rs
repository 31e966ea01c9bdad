//! Captures that come through a pipe, which may be silent for as long as it likes.

mod common;

use common::Frame;
use common::rig::{Rig, check_all_home, frame as received, pattern, pool};
use skbpool_nic::{
    CaptureErrorKind, CaptureReplay, CloseWhen, FrameSource, NicConfig, Passes, PcapWriter,
    PcapngWriter, Rate, SourceError,
};
use std::fs::File;
use std::io::Write;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

/// Far beyond the deadline: whoever waits that long was not called.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

/// Runs `body`, which may wait for ever where the code is wrong.
fn in_time(body: impl FnOnce() + Send + 'static) {
    let (told, done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        // The other end is gone after the deadline only.
        let _ = told.send(());
    });
    if done.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it waits for a pipe that is silent");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Pcap,
    Pcapng,
}

const FORMATS: [Format; 2] = [Format::Pcap, Format::Pcapng];

/// The parts of a file: what comes before the first record, then the record or block of each frame.
fn parts(format: Format, frames: &[Frame]) -> Vec<Vec<u8>> {
    let file = |frames: &[Frame]| match format {
        Format::Pcap => {
            let mut writer = PcapWriter::new(Vec::new(), 1).unwrap();
            frames.iter().for_each(|frame| writer.write_frame(&frame.borrow()).unwrap());
            writer.into_inner()
        }
        Format::Pcapng => {
            let mut writer = PcapngWriter::new(Vec::new()).unwrap();
            frames.iter().for_each(|frame| writer.write_frame(&frame.borrow(), 0).unwrap());
            writer.into_inner()
        }
    };
    let mut parts = vec![file(&[])];
    for count in 1..=frames.len() {
        let (before, after) = (file(&frames[..count - 1]).len(), file(&frames[..count]));
        parts.push(after[before..].to_vec());
    }
    parts
}

fn frames(lengths: &[usize]) -> Vec<Frame> {
    let frame = |(number, &len): (usize, &usize)| Frame {
        timestamp_ns: number as u64 * 1000,
        original_length: len as u32,
        link_type: 1,
        interface: 0,
        data: pattern(number, len),
    };
    lengths.iter().enumerate().map(frame).collect()
}

/// A pipe with `written` in it, and a replay of what comes out.
fn piped(written: &[u8], passes: Passes) -> (File, CaptureReplay) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut writer = File::from(writer);
    writer.write_all(written).unwrap();
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    (writer, CaptureReplay::open(path, passes).unwrap())
}

fn rig(replay: CaptureReplay, close: CloseWhen) -> Rig<CaptureReplay> {
    Rig::new(&pool(1024), NicConfig { close, ..NicConfig::default() }, replay, 512)
}

/// One step and one poll: how many frames came, and those that arrived.
fn step(rig: &mut Rig<CaptureReplay>) -> (u32, Vec<Frame>) {
    let step = rig.hardware.step(rig.now_ns, 256).unwrap();
    assert!(step.waits_for_source && !step.ended, "{step:?}");
    rig.rx.poll(64);
    (step.frames, rig.take(usize::MAX).iter().map(received).collect())
}

#[test]
fn what_came_is_delivered_while_the_pipe_is_silent() {
    in_time(|| {
        for format in FORMATS {
            for close in [CloseWhen::Full, CloseWhen::Burst, CloseWhen::After(1_000_000)] {
                let frames = frames(&[60, 0, 1514]);
                let parts = parts(format, &frames);
                let (mut writer, replay) = piped(&parts[..2].concat(), Passes::ONCE);
                let mut rig = rig(replay, close);
                assert_eq!(step(&mut rig), (1, vec![frames[0].clone()]), "{format:?}");
                assert_eq!(step(&mut rig), (0, vec![]));
                writer.write_all(&parts[2..].concat()).unwrap();
                assert_eq!(step(&mut rig), (2, frames[1..].to_vec()));
                assert_eq!(step(&mut rig), (0, vec![]));
                drop(writer);
                assert!(rig.hardware.step(rig.now_ns, 256).unwrap().ended);
                let pool = rig.pool.clone();
                drop(rig);
                check_all_home(&pool);
            }
        }
    });
}

#[test]
fn a_record_cut_anywhere_is_awaited() {
    in_time(|| {
        for format in FORMATS {
            let frames = frames(&[40, 41]);
            let parts = parts(format, &frames);
            for cut in 1..parts[2].len() {
                let (arrived, missing) = parts[2].split_at(cut);
                let written = [&parts[0][..], &parts[1], arrived].concat();
                let (mut writer, replay) = piped(&written, Passes::ONCE);
                let mut rig = rig(replay, CloseWhen::Full);
                assert_eq!(step(&mut rig), (1, vec![frames[0].clone()]), "{format:?} at {cut}");
                assert_eq!(step(&mut rig), (0, vec![]));
                writer.write_all(missing).unwrap();
                assert_eq!(step(&mut rig), (1, vec![frames[1].clone()]), "{format:?} at {cut}");
            }
        }
    });
}

/// A block that nobody knows, in little-endian.
fn unknown_block(len: u32) -> Vec<u8> {
    let mut block = [0x0bad_u32.to_le_bytes(), len.to_le_bytes()].concat();
    block.resize(len as usize - 4, 0x77);
    block.extend(len.to_le_bytes());
    block
}

#[test]
fn records_and_blocks_larger_than_a_pipe_arrive_whole() {
    in_time(|| {
        for format in FORMATS {
            let frames = frames(&[262_144, 60, 262_143]);
            let mut parts = parts(format, &frames);
            if matches!(format, Format::Pcapng) {
                parts.insert(2, unknown_block(1 << 20));
            }
            let (mut writer, replay) = piped(&parts.remove(0), Passes::ONCE);
            let mut rig = rig(replay, CloseWhen::Full);
            // Silent again after the last of them, until the test has them all.
            let (done, awaited) = mpsc::channel::<()>();
            let feeder = std::thread::spawn(move || {
                parts.concat().chunks(10_007).for_each(|piece| writer.write_all(piece).unwrap());
                assert!(awaited.recv().is_err());
            });
            let mut arrived = Vec::new();
            while arrived.len() < frames.len() {
                rig.hardware.wait_for_source(FOR_EVER);
                arrived.extend(step(&mut rig).1);
            }
            assert!(arrived == frames, "{format:?}");
            drop(done);
            feeder.join().unwrap();
        }
    });
}

#[test]
fn an_unknown_block_that_trickles_in_is_passed_over() {
    in_time(|| {
        let frames = frames(&[60]);
        let parts = parts(Format::Pcapng, &frames);
        let (mut writer, replay) = piped(&parts[0], Passes::ONCE);
        let mut rig = rig(replay, CloseWhen::Full);
        for byte in unknown_block(64) {
            writer.write_all(&[byte]).unwrap();
            assert_eq!(step(&mut rig), (0, vec![]));
        }
        writer.write_all(&parts[1]).unwrap();
        assert_eq!(step(&mut rig), (1, frames));
    });
}

#[test]
fn the_end_inside_a_record_is_told_after_the_frames_before_it() {
    in_time(|| {
        for format in FORMATS {
            let mut written = parts(format, &frames(&[60, 60])).concat();
            written.pop();
            let (writer, replay) = piped(&written, Passes::ONCE);
            let mut rig = rig(replay, CloseWhen::Full);
            assert_eq!(step(&mut rig).0, 1);
            drop(writer);
            let Err(SourceError::Capture(error)) = rig.hardware.step(0, 256) else {
                panic!("no error")
            };
            assert!(matches!(error.kind, CaptureErrorKind::Truncated { .. }), "{error}");
            assert!(rig.rx.is_finished());
        }
    });
}

#[test]
fn a_pipe_is_repeated_from_memory() {
    in_time(|| {
        let frames = frames(&[60, 61]);
        let twice = Passes::Times(NonZeroU32::new(2).unwrap());
        let (writer, replay) = piped(&parts(Format::Pcap, &frames).concat(), twice);
        let mut rig = rig(replay, CloseWhen::Full);
        assert_eq!(step(&mut rig), (2, frames.clone()));
        drop(writer);
        let (repeated, error) = rig.run(1);
        assert!(error.is_none());
        assert_eq!(repeated, frames);
    });
}

#[test]
fn waiting_ends_when_something_is_written_and_when_the_pipe_ends() {
    in_time(|| {
        let parts = parts(Format::Pcap, &frames(&[60]));
        let (mut writer, replay) = piped(&parts[0], Passes::ONCE);
        let mut replay: Box<dyn FrameSource + Send> = Box::new(replay);
        assert!(!replay.is_ready());
        let (told, begins) = mpsc::channel();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                for expected in [Some(60), None] {
                    told.send(()).unwrap();
                    replay.wait(FOR_EVER);
                    assert!(replay.is_ready());
                    assert_eq!(replay.peek_len().unwrap(), expected);
                    assert!(replay.is_ready(), "it was looked at");
                    assert_eq!(replay.skip(1).unwrap(), u64::from(expected.is_some()));
                    assert_eq!(replay.is_ready(), expected.is_none());
                }
            });
            begins.recv().unwrap();
            writer.write_all(&parts[1]).unwrap();
            begins.recv().unwrap();
            drop(writer);
            waiting.join().unwrap();
        });
    });
}

#[test]
fn a_silent_pipe_does_not_outlast_the_stop_or_the_time_of_the_line() {
    in_time(|| {
        let written = parts(Format::Pcap, &frames(&[60])).concat();
        let (_writer, replay) = piped(&written, Passes::ONCE);
        let Rig { mut hardware, mut rx, .. } = rig(replay, CloseWhen::Full);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let line = scope.spawn(|| hardware.run(&stop));
            while rx.poll(64).frames == 0 {
                std::thread::yield_now();
            }
            // Relaxed: a wish.
            stop.store(true, Ordering::Relaxed);
            line.join().unwrap().unwrap();
        });
        assert!(rx.is_finished());

        for rate in [Rate::Max, Rate::frames_per_second(1_000_000).unwrap()] {
            let (_writer, replay) = piped(&written, Passes::ONCE);
            let config = NicConfig { rate, duration_ns: Some(1_000_000), ..NicConfig::default() };
            let mut rig = Rig::new(&pool(1024), config, replay, 512);
            rig.now_ns = 999_999;
            assert_eq!(step(&mut rig).0, 1);
            assert!(rig.hardware.step(1_000_000, 256).unwrap().ended, "{rate:?}");
        }
    });
}

#[test]
fn what_is_left_of_a_frame_is_gone_once_the_next_is_asked_for() {
    in_time(|| {
        let written = parts(Format::Pcap, &frames(&[60])).concat();
        let (_writer, mut replay) = piped(&written, Passes::ONCE);
        let mut out = [0; 8];
        assert!(replay.write_next(&mut out, 0).unwrap().is_some());
        assert_eq!(out[..], pattern(0, 8));
        assert_eq!(replay.write_rest(&mut out[..1]), 1);
        assert!(!replay.is_ready());
        assert_eq!(replay.write_rest(&mut out), 0);
    });
}
