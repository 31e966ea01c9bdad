//! The card whose frames leave in messages.

use std::num::NonZeroU32;
use std::time::Duration;

use skbpool_engine::{
    Ingest, IngestConfig, NicRun, NicRunConfig, NicRunError, PlannedRequest, StampConsumer, Traffic,
};
use skbpool_nic::{PcapngWriter, Rate, wire_bits};
use skbpool_pool::DropReason;
use skbpool_wire::{EncodeError, IngestRequestView};

use crate::support::*;

const LINGER: Duration = Duration::from_millis(1);

fn config(traffic: Traffic, frames: Option<u64>) -> NicRunConfig {
    NicRunConfig {
        traffic,
        rate: Rate::Max,
        frames,
        duration: None,
        descriptors: 64,
        buffers: 1024,
        order: 0,
        driver: "card".to_owned(),
    }
}

fn next_request(run: &mut NicRun, max_bytes: usize, sequence: u64) -> Option<Vec<u8>> {
    let patience = Duration::from_secs(60);
    let size = match run.plan_request(max_bytes, LINGER, sequence, patience).unwrap() {
        PlannedRequest::Ready(size) => size,
        PlannedRequest::Ended => return None,
        PlannedRequest::Nothing => panic!("no frame within a minute"),
    };
    let mut message = Vec::with_capacity(size);
    let written = run.write_request(&mut message.spare_capacity_mut()[..size]).unwrap().len();
    // SAFETY: `write_request` initialised that many bytes, within the capacity.
    unsafe { message.set_len(written) };
    Some(message)
}

/// All messages of a run.
fn run_to_end(run: &mut NicRun, max_bytes: usize) -> Vec<Vec<u8>> {
    run.start().unwrap();
    let mut sent = Vec::new();
    while let Some(message) = next_request(run, max_bytes, sent.len() as u64 + 1) {
        assert!(message.len() <= max_bytes);
        sent.push(message);
    }
    sent
}

#[test]
fn every_frame_of_the_line_reaches_the_reader_of_its_stamps() {
    let mut run =
        NicRun::new(config(Traffic::Stamped { size: 64, stream: 3 }, Some(100_000))).unwrap();
    let (pool, hub) = hub(16_384);
    let reader = StampConsumer::attach(&hub, "stamps", 3, 8192).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    run.start().unwrap();
    let mut sequence = 0;
    while let Some(message) = next_request(&mut run, 1 << 18, sequence + 1) {
        sequence += 1;
        let view = IngestRequestView::parse(&message).unwrap();
        assert_eq!(view.driver, if sequence == 1 { "card" } else { "" });
        assert_eq!(view.batch.unwrap().sequence(), sequence);
        ingest.submit(&message).unwrap();
        // The reader's quota is smaller than the run.
        while reader.report().unwrap().consumer.held > 4096 {
            std::thread::yield_now();
        }
    }
    let report = run.observer().report();
    assert_eq!((report.offered, report.accepted), (100_000, 100_000));
    assert_eq!(report.accepted_bytes, 6_000_000);
    assert_eq!((report.dropped, report.late), (vec![], 0));
    assert_eq!(report.wire_bits, 100_000 * wire_bits(64));
    assert!(report.ended && report.seconds > 0.0 && report.source_error.is_none());
    let stamps = reader.close().unwrap().stamps;
    assert_eq!((stamps.received, stamps.lost), (100_000, 0));
    assert_eq!((stamps.duplicated, stamps.reordered), (0, 0));
    assert_eq!(stamps.before_sent, 0, "both read the same clock");
    drop(ingest);
    assert_all_home(&pool);
}

#[test]
fn a_paced_line_goes_dead_after_its_time() {
    let paced = NicRunConfig {
        rate: Rate::frames_per_second(20_000).unwrap(),
        duration: Some(Duration::from_millis(50)),
        ..config(Traffic::Stamped { size: 64, stream: 1 }, None)
    };
    let mut run = NicRun::new(paced).unwrap();
    let sent = run_to_end(&mut run, 1 << 20);
    let frames: usize = sent
        .iter()
        .map(|message| IngestRequestView::parse(message).unwrap().batch.unwrap().len())
        .sum();
    let report = run.observer().report();
    assert_eq!(report.offered + report.late, 1000, "50 ms of 20,000 frames a second");
    assert_eq!(report.accepted, frames as u64);
}

#[test]
fn a_capture_comes_out_as_it_is_and_as_often_as_asked() {
    let mut frames = numbered(&[60, 0, 1514, 9000, 1]);
    frames[2].original_length = 20_000;
    frames[3].interface = 1;
    frames[4].interface = 1;
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    for frame in &frames {
        let frame = skbpool_nic::CaptureFrame {
            timestamp_ns: frame.timestamp_ns,
            original_length: frame.original_length,
            link_type: frame.link_type,
            interface: frame.interface,
            data: &frame.bytes,
        };
        writer.write_frame(&frame, 0).unwrap();
    }
    let name = format!("skbpool-engine-{}.pcapng", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, writer.into_inner()).unwrap();
    let capture = Traffic::Capture { path: path.clone(), loops: NonZeroU32::new(3) };
    let mut run = NicRun::new(config(capture, None)).unwrap();
    let sent = run_to_end(&mut run, 1 << 20);
    std::fs::remove_file(&path).unwrap();
    let mut got = Vec::new();
    for message in &sent {
        let batch = IngestRequestView::parse(message).unwrap().batch.unwrap();
        got.extend(batch.frames().map(|frame| Given {
            bytes: frame.bytes.to_vec(),
            original_length: frame.original_length,
            timestamp_ns: frame.timestamp_ns,
            link_type: frame.link_type,
            interface: frame.interface,
        }));
    }
    assert_eq!(got, [&frames[..]; 3].concat());
}

#[test]
fn a_damaged_capture_gives_its_frames_and_then_says_why() {
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    for frame in numbered(&[60; 5]) {
        let frame = skbpool_nic::CaptureFrame {
            timestamp_ns: frame.timestamp_ns,
            original_length: 60,
            link_type: 1,
            interface: 0,
            data: &frame.bytes,
        };
        writer.write_frame(&frame, 0).unwrap();
    }
    let mut bytes = writer.into_inner();
    bytes.truncate(bytes.len() - 10);
    let name = format!("skbpool-engine-cut-{}.pcapng", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    let capture = Traffic::Capture { path: path.clone(), loops: None };
    let mut run = NicRun::new(config(capture, None)).unwrap();
    let sent = run_to_end(&mut run, 1 << 20);
    std::fs::remove_file(&path).unwrap();
    let frames: usize = sent
        .iter()
        .map(|message| IngestRequestView::parse(message).unwrap().batch.unwrap().len())
        .sum();
    assert_eq!(frames, 4);
    let error = run.observer().report().source_error.unwrap();
    assert!(error.contains("cut off") && error.contains("pcapng: byte"), "{error}");
}

#[test]
fn stopping_ends_the_line_and_keeps_what_was_received() {
    let mut run = NicRun::new(config(Traffic::Stamped { size: 64, stream: 1 }, None)).unwrap();
    run.start().unwrap();
    let first = next_request(&mut run, 1 << 16, 1).unwrap();
    run.stop();
    let mut frames = IngestRequestView::parse(&first).unwrap().batch.unwrap().len() as u64;
    let mut sequence = 1;
    while let Some(message) = next_request(&mut run, 1 << 16, sequence + 1) {
        sequence += 1;
        frames += IngestRequestView::parse(&message).unwrap().batch.unwrap().len() as u64;
    }
    let report = run.observer().report();
    assert_eq!((report.accepted, report.offered), (frames, frames));
    assert!(report.dropped.is_empty(), "{report:?}");
}

/// The line waits for room in the pool, and the sender for a message that the pool cannot fill.
#[test]
fn a_message_larger_than_the_pool_does_not_stop_a_line_that_waits() {
    const FOR_EVER: Duration = Duration::from_secs(1 << 40);
    let (told, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let traffic = Traffic::Stamped { size: 1518, stream: 1 };
        let mut run = NicRun::new(config(traffic, Some(10_000))).unwrap();
        run.start().unwrap();
        let (mut sequence, mut frames) = (0, 0);
        while let PlannedRequest::Ready(size) =
            run.plan_request(1 << 30, FOR_EVER, sequence + 1, FOR_EVER).unwrap()
        {
            let mut message = vec![std::mem::MaybeUninit::uninit(); size];
            let message = run.write_request(&mut message).unwrap();
            frames += IngestRequestView::parse(message).unwrap().batch.unwrap().len();
            sequence += 1;
        }
        told.send((frames, run.observer().report().dropped)).unwrap();
    });
    let (frames, dropped) =
        done.recv_timeout(Duration::from_secs(60)).expect("both sides wait for each other");
    assert_eq!((frames, dropped), (10_000, vec![]));
}

#[test]
fn nobody_waits_longer_than_he_likes() {
    let mut run = NicRun::new(config(Traffic::Stamped { size: 64, stream: 1 }, None)).unwrap();
    let planned = run.plan_request(1 << 16, LINGER, 1, Duration::ZERO).unwrap();
    assert_eq!(planned, PlannedRequest::Nothing);
    assert!(run.write_request(&mut []).is_err(), "nothing is planned");
}

/// Frames come faster than they can be refused.
#[test]
fn frames_that_fit_no_message_are_dropped_and_keep_nobody() {
    const LEAST: usize = "card".len() + 8;
    let (told, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut run = NicRun::new(config(Traffic::Stamped { size: 64, stream: 1 }, None)).unwrap();
        let error = run.plan_request(LEAST - 1, LINGER, 1, LINGER).unwrap_err();
        let expected = EncodeError::MessageTooLarge { encoded: LEAST, limit: LEAST - 1 };
        assert_eq!(error, expected);
        run.start().unwrap();
        let observer = run.observer();
        let mut plan = || run.plan_request(LEAST, LINGER, 1, LINGER).unwrap();
        while observer.report().dropped.is_empty() {
            assert_eq!(plan(), PlannedRequest::Nothing);
        }
        observer.stop();
        while plan() != PlannedRequest::Ended {}
        told.send(observer.report()).unwrap();
    });
    let report =
        done.recv_timeout(Duration::from_secs(60)).expect("refusing frames takes for ever");
    assert_eq!(report.dropped.len(), 1, "{report:?}");
    let dropped = &report.dropped[0];
    assert_eq!((dropped.reason, dropped.frames), (DropReason::TooLarge, report.accepted));
}

#[test]
fn a_run_that_was_never_started_ends_when_stopped() {
    let mut run = NicRun::new(config(Traffic::Stamped { size: 64, stream: 1 }, None)).unwrap();
    run.stop();
    assert_eq!(next_request(&mut run, 1 << 16, 1), None);
}

#[test]
fn what_cannot_be_is_told() {
    let traffic = || Traffic::Stamped { size: 64, stream: 1 };
    let size = NicRun::new(config(Traffic::Stamped { size: 63, stream: 1 }, None)).err().unwrap();
    assert!(matches!(size, NicRunError::Traffic(_)), "{size}");
    let missing = Traffic::Capture { path: "/nonexistent.pcap".into(), loops: None };
    let missing = NicRun::new(config(missing, None)).err().unwrap();
    assert!(missing.to_string().contains("/nonexistent.pcap"), "{missing}");
    let pool = NicRun::new(NicRunConfig { buffers: 0, ..config(traffic(), None) }).err().unwrap();
    assert!(matches!(pool, NicRunError::Pool(_)), "{pool}");
    for descriptors in [0, 70_000, 2000] {
        let config = NicRunConfig { descriptors, ..config(traffic(), None) };
        let mut run = NicRun::new(config).unwrap();
        let error = run.start().unwrap_err();
        assert!(matches!(error, NicRunError::Nic(_)), "{error}");
        assert_eq!(next_request(&mut run, 1 << 16, 1), None, "the line is dead");
    }
}
