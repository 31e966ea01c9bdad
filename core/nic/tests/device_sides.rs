//! The two sides of the card on threads of their own, and what becomes of one when the other leaves.

mod common;

use common::rig::{Listed, Rig, check_all_home, pattern, pool, stamped};
use skbpool_deliver::{Consumer, DriverPort};
use skbpool_nic::{
    CloseWhen, FrameMeta, FrameSource, Hardware, NicConfig, Polled, Rate, RxLoop, SourceError,
    StampReader, StampReport, StampedTraffic,
};
use skbpool_pool::clock::monotonic_ns;
use skbpool_pool::{DropReason, Pool, SkbBatch};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Polls until the line is dead and everything was read; `enough` is told how many frames arrived
/// and sets the line's stop flag.
fn drive(
    rx: &mut RxLoop<DriverPort>,
    consumer: &mut Consumer,
    mut enough: impl FnMut(u64),
) -> StampReport {
    let mut reader = StampReader::starting_at(7, 0);
    let mut batch = SkbBatch::new();
    loop {
        let finished = rx.is_finished();
        let polled = rx.poll(4);
        consumer.poll(&mut batch, usize::MAX);
        let now_ns = monotonic_ns();
        for skb in &batch {
            assert!(reader.observe(skb.data(), now_ns));
        }
        batch.release(rx.cache());
        let report = reader.report();
        if finished {
            return report;
        }
        if polled.buffers == 0 {
            std::thread::yield_now();
        }
        enough(report.received);
    }
}

/// Runs the hardware on a thread of its own until the line is dead; returns its figures and the
/// reader's.
fn run_apart(pool: &Pool, config: NicConfig, stop_after: u64) -> (u64, StampReport) {
    let rig = Rig::starting_at(monotonic_ns(), pool, config, stamped(64), 4096);
    let Rig { mut hardware, mut rx, mut consumer, hub, .. } = rig;
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let thread = scope.spawn(|| hardware.run(&stop));
        let report = drive(&mut rx, &mut consumer, |received| {
            // Relaxed: a wish.
            stop.store(received >= stop_after, Ordering::Relaxed);
        });
        thread.join().expect("no panic").expect("stamped traffic does not fail");
        report
    });
    let stats = hardware.stats();
    let driver = rx.sink().stats();
    let dropped: u64 = driver.dropped.iter().map(|drop| drop.frames).sum();
    let missed: u64 = consumer.stats().dropped.iter().map(|drop| drop.frames).sum();
    assert_eq!(stats.offered, driver.frames + dropped, "every frame of the line is accounted for");
    assert_eq!(driver.frames, report.unique + missed);
    assert_eq!((report.duplicated, report.reordered, report.foreign), (0, 0, 0));
    assert_eq!(report.before_sent, 0, "both sides read one clock");
    drop((hardware, rx, consumer, hub));
    check_all_home(pool);
    (stats.offered, report)
}

#[test]
fn two_threads_until_told_to_stop() {
    let pool = pool(8192);
    for close in [CloseWhen::Full, CloseWhen::Burst, CloseWhen::After(50_000)] {
        let config = NicConfig { descriptors: 64, close, ..NicConfig::default() };
        let (offered, report) = run_apart(&pool, config, 100_000);
        assert!(report.received >= 100_000);
        assert_eq!((offered, report.lost), (report.received, 0), "without a rate nothing is lost");
    }
}

#[test]
fn two_threads_until_the_last_frame() {
    let pool = pool(8192);
    let rate = Rate::frames_per_second(1_000_000).unwrap();
    for (rate, frames) in [(Rate::Max, 100_000), (rate, 20_000)] {
        let config = NicConfig { rate, frames: Some(frames), ..NicConfig::default() };
        let (offered, _) = run_apart(&pool, config, u64::MAX);
        assert_eq!(offered, frames);
    }
}

/// Frames that tell when they are looked at: by a step, and once more before the hardware sleeps.
struct Watched<'a>(StampedTraffic, &'a AtomicU32);

impl FrameSource for Watched<'_> {
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        // Relaxed: a count.
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.peek_len()
    }

    fn write_next(&mut self, out: &mut [u8], now: u64) -> Result<Option<FrameMeta>, SourceError> {
        self.0.write_next(out, now)
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        self.0.write_rest(out)
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        self.0.skip(frames)
    }
}

#[test]
fn a_line_on_which_nothing_happens_can_be_stopped() {
    let pool = pool(1024);
    // The next frame is due in 672 s.
    let rate = Rate::bits_per_second(1).unwrap();
    let config = NicConfig { rate, ..NicConfig::default() };
    let (looks, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let source = Watched(stamped(64), &looks);
    let mut rig = Rig::starting_at(monotonic_ns(), &pool, config, source, 1);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| rig.hardware.run(&stop));
        while looks.load(Ordering::Relaxed) < 2 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap().unwrap();
    });
    assert!(rig.rx.is_finished(), "a line that was stopped is dead");
    assert!(rig.hardware.step(u64::MAX, 1).unwrap().ended);
}

#[test]
fn without_hardware_the_driver_finishes_what_is_there() {
    let pool = pool(64);
    let config = NicConfig { descriptors: 4, close: CloseWhen::Full, ..NicConfig::default() };
    let mut rig = Rig::new(&pool, config, stamped(64), 64);
    rig.hardware.step(0, 10).unwrap();
    assert!(!rig.rx.is_finished());
    let Rig { hardware, mut rx, mut consumer, hub, .. } = rig;
    drop(hardware);
    assert!(!rx.is_finished(), "the buffer that was open is completed");
    assert_eq!(rx.poll(8).frames, 10);
    assert!(rx.is_finished());
    let mut batch = SkbBatch::new();
    assert_eq!(consumer.poll(&mut batch, 64), 10);
    drop((rx, consumer, hub, batch));
    check_all_home(&pool);
}

/// A card with frames posted, open and completed, whose driver leaves.
fn deserted<S: FrameSource>(config: NicConfig, source: S, pool: &Pool) -> Hardware<S> {
    let mut rig = Rig::new(pool, config, source, 64);
    rig.hardware.step(100_000, 70).unwrap();
    let Rig { mut hardware, mut rx, hub, .. } = rig;
    let level = rx.queue_mut().level();
    assert!(level.posted > 0 && level.completed > 0 && hardware.has_open_buffer());
    drop(rx);
    // Completed buffers were taken back by the driver, with the frames in them.
    let drops = hub.stats().detached_drivers.dropped;
    assert_eq!(common::rig::count(&drops, DropReason::Detached), (64, 64 * 60));
    assert!(pool.stats().in_flight > 0, "the hardware has posted buffers");
    hardware.step(200_000, 10).unwrap();
    check_all_home(pool);
    hardware
}

#[test]
fn without_a_driver_the_hardware_keeps_no_buffer() {
    let pool = pool(64);
    let config = NicConfig { descriptors: 4, close: CloseWhen::Full, ..NicConfig::default() };
    let mut hardware = deserted(config, stamped(64), &pool);
    assert!(
        hardware.step(300_000, 10).unwrap().ended,
        "without a rate there is nobody to wait for"
    );

    let rate = Rate::bits_per_second(1_000_000_000).unwrap();
    let duration_ns = Some(300_000);
    let config = NicConfig { rate, duration_ns, ..config };
    let mut hardware: Hardware<StampedTraffic> = deserted(config, stamped(64), &pool);
    while !hardware.step(300_000, 10).unwrap().ended {}
    let stats = hardware.stats();
    assert_eq!(stats.offered, 300_000 / 672, "a line with a rate carries frames for nobody");
    assert_eq!(stats.missed, stats.offered - 70);
}

/// What a driver that leaves after its first poll counts as detached, of frames of these lengths.
fn detached(close: CloseWhen, lengths: &[usize]) -> (u64, u64) {
    let pool = pool(64);
    let config = NicConfig { descriptors: 4, close, ..NicConfig::default() };
    let source = Listed::new(lengths.iter().map(|&len| pattern(0, len)));
    let mut rig = Rig::new(&pool, config, source, 64);
    rig.hardware.step(0, lengths.len() as u32).unwrap();
    assert_eq!(rig.rx.poll(1), Polled { buffers: 1, ..Polled::default() }, "a part, and no frame");
    let Rig { hardware, rx, consumer, hub, .. } = rig;
    drop(rx);
    let drops = hub.stats().detached_drivers.dropped;
    drop((hardware, consumer, hub));
    check_all_home(&pool);
    common::rig::count(&drops, DropReason::Detached)
}

#[test]
fn a_driver_that_leaves_in_the_middle_of_a_frame_counts_it() {
    assert_eq!(detached(CloseWhen::Burst, &[9000, 60]), (2, 9060));
    // The rest of it is still in the hardware's hands.
    assert_eq!(detached(CloseWhen::Full, &[5000]), (1, 4096));
}
