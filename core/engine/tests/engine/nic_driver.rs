//! The card whose frames go straight to the hub.

use std::fs::File;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use skbpool_deliver::{Consumer, ConsumerConfig, Policy, RunToCompletion};
use skbpool_engine::{
    DriverTraffic, NicDriver, NicDriverConfig, NicDriverError, NicDriverObserver, NicDriverReport,
};
use skbpool_nic::{PcapngWriter, Rate, wire_bits};
use skbpool_pool::{DropReason, LocalCache, MarkedOut, Pool, SkbBatch};

use crate::child::Child;
use crate::support::*;

/// For whoever waits for something that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(frames: Option<u64>) -> NicDriverConfig {
    NicDriverConfig {
        rate: Rate::Max,
        frames,
        duration: None,
        descriptors: 64,
        may_block: Duration::ZERO,
    }
}

fn stamped() -> DriverTraffic {
    DriverTraffic::Stamped { size: 64, stream: 1 }
}

fn capture(frames: &[Given], loops: u32, original_timing: bool) -> DriverTraffic {
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    for frame in frames {
        let frame = skbpool_nic::CaptureFrame {
            timestamp_ns: frame.timestamp_ns,
            original_length: frame.original_length,
            link_type: frame.link_type,
            interface: frame.interface,
            data: &frame.bytes,
        };
        writer.write_frame(&frame, 0).unwrap();
    }
    capture_of(&writer.into_inner(), loops, original_timing)
}

fn capture_of(bytes: &[u8], loops: u32, original_timing: bool) -> DriverTraffic {
    let mut file = tempfile();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    let name = "trace.pcapng".to_owned();
    DriverTraffic::Capture { file, name, loops: NonZeroU32::new(loops), original_timing }
}

/// A file that nobody else can name.
fn tempfile() -> File {
    let number = std::thread::current().id();
    let name = format!("skbpool-engine-{}-{number:?}.pcapng", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn ended(observer: &NicDriverObserver) -> NicDriverReport {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = observer.report().unwrap();
        let handled: u64 = report.dropped.iter().map(|drop| drop.frames).sum();
        assert!(report.offered >= report.accepted + handled, "{report:?}");
        if report.ended {
            assert_eq!(report.offered, report.accepted + handled);
            return report;
        }
        assert!(Instant::now() < deadline, "{report:?}");
        std::thread::yield_now();
    }
}

/// Takes and lets go until the driver has ended and nothing is left.
fn take_until_ended(consumer: &mut Consumer, driver: &NicDriver) -> Vec<Given> {
    let deadline = Instant::now() + PATIENCE;
    let (mut taken, mut batch) = (Vec::new(), SkbBatch::new());
    loop {
        let over = driver.observer().report().unwrap().ended;
        while consumer.poll(&mut batch, 64) != 0 {
            taken.extend(given(&batch));
            drop(std::mem::take(&mut batch));
        }
        if over {
            return taken;
        }
        assert!(Instant::now() < deadline);
        consumer.wait(Duration::from_millis(1));
    }
}

fn missed(consumer: &Consumer) -> u64 {
    consumer.stats().dropped.iter().map(|drop| drop.frames).sum()
}

#[test]
fn every_frame_of_the_line_is_handed_over_or_counted_as_dropped() {
    let (pool, hub) = hub(1024);
    let mut tap = consumer(&hub, 256);
    let mut driver =
        NicDriver::attach(&hub, &pool, "card", stamped(), config(Some(100_000))).unwrap();
    let taken = take_until_ended(&mut tap, &driver);
    let report = ended(&driver.observer());
    assert_eq!((report.offered, report.late, report.error.as_deref()), (100_000, 0, None));
    assert_eq!(report.wire_bits, 100_000 * wire_bits(64));
    assert_eq!(report.accepted_bytes, report.accepted * 60);
    assert_eq!(taken.len() as u64 + missed(&tap), report.accepted);
    // A line that is dead holds nothing of the pool, and the driver is there until it is detached.
    assert_eq!(pool.stats().in_flight, 0);
    assert_eq!(pool.stats().reserved, 256, "the consumer's");
    assert_eq!(hub.stats().drivers[0].name, "card");
    assert_eq!(driver.detach(), MarkedOut::default());
    assert!(hub.stats().drivers.is_empty());
    assert_eq!(driver.observer().report().unwrap(), report, "its figures stay");
    drop(tap);
    assert_eq!(pool.stats().reserved, 0);
    assert_all_home(&pool);
}

/// S6.
#[test]
fn views_outlive_the_driver_and_are_counted() {
    for cycle in 0..20 {
        let (pool, hub) = hub(1024);
        let mut tap = consumer(&hub, 100);
        let mut driver = NicDriver::attach(&hub, &pool, "card", stamped(), config(None)).unwrap();
        let mut held = SkbBatch::new();
        let deadline = Instant::now() + PATIENCE;
        while held.len() < 100 {
            tap.poll(&mut held, 100);
            assert!(Instant::now() < deadline);
        }
        let before: Vec<Given> = given(&held);
        let out = driver.detach();
        assert_eq!(out.references, 100, "cycle {cycle}");
        assert_eq!(out.buffers, pool.stats().in_flight);
        assert_eq!(driver.detach(), out, "detaching twice is once");
        let report = driver.observer().report().unwrap();
        assert_eq!(report.dropped, [], "what it received was delivered");
        assert_eq!(report.offered, report.accepted);
        assert_eq!(given(&held), before, "they can be read");
        let one = held.pop();
        drop(held);
        assert_eq!(driver.out(), MarkedOut { buffers: 1, references: 1 });
        drop(one);
        assert_eq!(driver.out(), MarkedOut::default());
        drop(tap);
        assert_all_home(&pool);
    }
}

#[test]
fn a_capture_arrives_byte_for_byte_as_often_as_asked() {
    let mut frames = numbered(&[60, 0, 1514, 9000, 1]);
    frames[2].original_length = 20_000;
    frames[3].interface = 1;
    let (pool, hub) = hub(1024);
    let mut tap = consumer(&hub, 256);
    let driver =
        NicDriver::attach(&hub, &pool, "replay", capture(&frames, 3, false), config(None)).unwrap();
    assert_eq!(take_until_ended(&mut tap, &driver), [&frames[..]; 3].concat());
    assert_eq!(ended(&driver.observer()).offered, 15);
    drop((driver, tap));
    assert_all_home(&pool);
}

#[test]
fn frames_keep_their_distances_in_each_pass() {
    const GAP: u64 = 2_000_000;
    let mut frames = numbered(&[60; 5]);
    for (place, frame) in frames.iter_mut().enumerate() {
        frame.timestamp_ns = 1_700_000_000_000_000_000 + place as u64 * GAP;
    }
    // One that is older than the first waits for nothing.
    frames[3].timestamp_ns -= 4 * GAP;
    let (pool, hub) = hub(1024);
    let mut tap = consumer(&hub, 256);
    let driver =
        NicDriver::attach(&hub, &pool, "replay", capture(&frames, 2, true), config(None)).unwrap();
    assert_eq!(take_until_ended(&mut tap, &driver), [&frames[..]; 2].concat());
    let report = ended(&driver.observer());
    assert_eq!((report.offered, report.late), (10, 0));
    assert!(report.seconds >= 2.0 * 4.0 * GAP as f64 / 1e9, "two passes of four gaps");
    drop((driver, tap));
    assert_all_home(&pool);
}

#[test]
fn a_damaged_capture_fails_after_its_frames() {
    for original_timing in [false, true] {
        let traffic = capture(&numbered(&[60; 5]), 1, original_timing);
        let DriverTraffic::Capture { file, .. } = &traffic else { unreachable!() };
        file.set_len(file.metadata().unwrap().len() - 10).unwrap();
        let (pool, hub) = hub(1024);
        let mut tap = consumer(&hub, 256);
        let driver = NicDriver::attach(&hub, &pool, "replay", traffic, config(None)).unwrap();
        assert_eq!(take_until_ended(&mut tap, &driver).len(), 4);
        let error = ended(&driver.observer()).error.expect("what is wrong with it");
        assert!(error.starts_with("trace.pcapng: byte") && error.contains("cut off"), "{error}");
    }
}

/// Paced by a consumer that asks for it, a line without a rate loses nothing.
#[test]
fn a_driver_that_may_be_blocked_waits_for_its_consumer() {
    let (pool, hub) = hub(1024);
    let policy = Policy::Block { at_most: PATIENCE };
    let patient = ConsumerConfig { policy, ..ConsumerConfig::with_quota(32) };
    let mut tap = hub.attach_consumer("tap", patient).unwrap();
    let blocked = NicDriverConfig { may_block: PATIENCE, ..config(Some(20_000)) };
    let driver = NicDriver::attach(&hub, &pool, "card", stamped(), blocked).unwrap();
    assert_eq!(take_until_ended(&mut tap, &driver).len(), 20_000);
    let report = ended(&driver.observer());
    assert_eq!((report.accepted, missed(&tap)), (20_000, 0));
    assert_ne!(tap.stats().waits, 0);
}

#[test]
fn a_pool_of_its_own_bounds_it_and_ends_it_when_it_is_closed() {
    let (shared, hub) = hub(256);
    let own = Pool::builder(512).name("own").build().unwrap();
    let mut tap = consumer(&hub, 100);
    let mut driver = NicDriver::attach(&hub, &own, "card", stamped(), config(None)).unwrap();
    assert_ne!(own.stats().reserved, 0);
    let mut held = SkbBatch::new();
    while held.is_empty() {
        tap.poll(&mut held, 1);
    }
    assert_eq!(shared.stats().in_flight, 0, "the frames lie in its own pool");
    own.close();
    let error = ended(&driver.observer()).error.unwrap();
    assert_eq!(error, "the pool \"own\" was closed");
    assert_eq!(own.stats().reserved, 0, "given back with the end of its line");
    assert_ne!(driver.detach().references, 0);
    drop((held, tap));
    assert_eq!(driver.out(), MarkedOut::default());
    assert_all_home(&own);
}

#[test]
fn what_cannot_be_attached_leaves_nothing() {
    let (pool, hub) = hub(128);
    let attach = |traffic, config| NicDriver::attach(&hub, &pool, "card", traffic, config);
    let huge = NicDriverConfig { descriptors: 1000, ..config(None) };
    assert!(matches!(attach(stamped(), huge), Err(NicDriverError::Reserve(_))));
    let none = NicDriverConfig { descriptors: 0, ..config(None) };
    assert!(matches!(attach(stamped(), none), Err(NicDriverError::Nic(_))));
    let small = DriverTraffic::Stamped { size: 63, stream: 1 };
    assert!(matches!(attach(small, config(None)), Err(NicDriverError::Traffic(_))));
    let garbage = capture_of(b"no capture", 1, false);
    assert!(matches!(attach(garbage, config(None)), Err(NicDriverError::Capture(_))));
    let own = Pool::builder(64).build().unwrap();
    let attached = NicDriver::attach(&hub, &own, "card", stamped(), config(None));
    assert!(matches!(attached, Err(NicDriverError::Reserve(_))));
    assert!(hub.stats().drivers.is_empty());
    assert_eq!((pool.stats().reserved, own.stats().reserved), (0, 0));
}

#[test]
fn a_closed_hub_drops_and_counts_what_still_comes() {
    let (pool, hub) = hub(1024);
    let mut driver = NicDriver::attach(&hub, &pool, "card", stamped(), config(None)).unwrap();
    hub.close();
    let deadline = Instant::now() + PATIENCE;
    while driver.observer().report().unwrap().dropped.is_empty() {
        assert!(Instant::now() < deadline);
    }
    driver.finish();
    let report = ended(&driver.observer());
    let [closed] = &report.dropped[..] else { panic!("{report:?}") };
    assert_eq!(closed.reason, DropReason::Closed);
    drop(driver);
    assert_all_home(&pool);
}

/// Looks at the driver's figures in the middle of its deliveries.
#[derive(Debug, Default)]
struct Looks {
    driver: OnceLock<NicDriverObserver>,
    looked: AtomicU64,
    wrong: AtomicU64,
}

impl RunToCompletion for Looks {
    fn run(&self, _: &mut LocalCache) {
        let Some(driver) = self.driver.get() else { return };
        let report = driver.report().unwrap();
        self.wrong.fetch_add(u64::from(report.accepted > report.offered), Ordering::Relaxed);
        self.looked.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn nobody_is_told_of_more_frames_handled_than_offered() {
    let (pool, hub) = hub(1024);
    let looks = Arc::new(Looks::default());
    let run: Arc<dyn RunToCompletion> = looks.clone();
    let inline = ConsumerConfig { run: Some(run), ..ConsumerConfig::with_quota(8) };
    let tap = hub.attach_consumer("inline", inline).unwrap();
    let driver = NicDriver::attach(&hub, &pool, "card", stamped(), config(None)).unwrap();
    looks.driver.set(driver.observer()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while looks.looked.load(Ordering::Relaxed) < 100 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    drop((driver, tap));
    assert_eq!(looks.wrong.load(Ordering::Relaxed), 0);
}

/// I12: its thread notes what the card offers, with the figures locked, while others fork.
#[test]
fn in_a_forked_child_it_tells_nothing_and_locks_nothing() {
    let (_pool, hub) = hub(1024);
    let mut driver =
        Some(NicDriver::attach(&hub, hub.pool(), "card", stamped(), config(None)).unwrap());
    for _ in 0..20 {
        Child::fork(|| {
            let mut driver = driver.take().unwrap();
            assert!(driver.observer().report().is_none());
            assert_eq!(driver.detach(), MarkedOut::default());
        })
        .join();
    }
    assert!(driver.unwrap().observer().report().is_some());
}
