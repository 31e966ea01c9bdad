//! S9: a gigabit Ethernet driver is written on this API, and keeps up far above a gigabit.

mod common;

use common::rig::{Rig, check_all_home, pool, stamped};
use skbpool_nic::{HardwareStats, NicConfig, Rate, StampReader, StampReport};
use skbpool_pool::SkbBatch;
use skbpool_pool::clock::monotonic_ns;
use std::sync::atomic::{AtomicBool, Ordering};

/// 64-byte frames a second on a wire of a gigabit a second: 10^9 / (8 * (64 + 20)).
const LINE_RATE: u64 = 1_488_095;

/// Runs the hardware on a thread of its own, the driver on another, the consumer on this one.
/// Returns what the line carried, what was dropped on the way and why, and what was read.
fn run(rate: Rate, duration_ns: u64) -> (HardwareStats, Vec<(&'static str, u64)>, StampReport) {
    let pool = pool(16_384);
    let config = NicConfig { rate, duration_ns: Some(duration_ns), ..NicConfig::default() };
    let rig = Rig::starting_at(monotonic_ns(), &pool, config, stamped(64), 15_000);
    let Rig { mut hardware, mut rx, mut consumer, hub, .. } = rig;
    let mut reader = StampReader::starting_at(7, 0);
    let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let driver = std::thread::scope(|scope| {
        scope.spawn(|| hardware.run(&stop).expect("stamped traffic does not fail"));
        let driver = scope.spawn(|| {
            while !rx.is_finished() {
                if rx.poll(16).buffers == 0 {
                    std::thread::yield_now();
                }
            }
            // SYNC: Release pairs with the Acquire below: the last frames are in the ring.
            over.store(true, Ordering::Release);
            rx
        });
        let mut cache = pool.local_cache();
        let mut batch = SkbBatch::new();
        loop {
            // SYNC: Acquire pairs with the Release above.
            let last = over.load(Ordering::Acquire);
            if consumer.poll(&mut batch, 4096) == 0 {
                if last {
                    break;
                }
                std::thread::yield_now();
            }
            let now_ns = monotonic_ns();
            for skb in &batch {
                assert!(reader.observe(skb.data(), now_ns));
            }
            cache.release_batch(&mut batch);
        }
        driver.join().expect("the driver does not panic")
    });
    let mut dropped = driver.sink().stats().dropped;
    dropped.extend(consumer.stats().dropped);
    let dropped = dropped.iter().map(|drop| (drop.reason.name(), drop.frames)).collect();
    let line = hardware.stats();
    drop((driver, hardware, consumer, hub));
    check_all_home(&pool);
    (line, dropped, reader.report())
}

fn check_and_print(what: &str, rate: Rate, duration_ns: u64, expected: u64) {
    let (line, dropped, report) = run(rate, duration_ns);
    assert_eq!(line.offered + line.late, expected, "the line has its rate");
    let gone: u64 = dropped.iter().map(|(_, frames)| frames).sum();
    assert_eq!(line.offered, report.unique + gone, "nothing is lost without a reason");
    assert_eq!((report.duplicated, report.reordered, report.foreign), (0, 0, 0));
    let latency = report.latency.expect("frames arrived");
    println!(
        "S9: {what}, 64-byte frames, hardware, driver and consumer on three threads, {} ms: {} on the \
         wire, {} read, dropped {dropped:?}, 0 lost; latency p50 {} us, p99 {} us",
        duration_ns / 1_000_000,
        line.offered,
        report.unique,
        latency.p50_ns / 1000,
        latency.p99_ns / 1000,
    );
}

#[test]
fn a_gigabit_in_simulated_time_loses_nothing() {
    let pool = pool(4096);
    let rate = Rate::bits_per_second(1_000_000_000).unwrap();
    let config = NicConfig { rate, duration_ns: Some(1_000_000_000), ..NicConfig::default() };
    let mut rig = Rig::new(&pool, config, stamped(64), 4096);
    let mut reader = StampReader::starting_at(7, 0);
    let mut batch = SkbBatch::new();
    while !rig.rx.is_finished() {
        rig.hardware.step(rig.now_ns, 256).unwrap();
        rig.rx.poll(8);
        rig.consumer.poll(&mut batch, usize::MAX);
        for skb in &batch {
            assert!(reader.observe(skb.data(), rig.now_ns));
        }
        batch.release(rig.rx.cache());
        rig.now_ns += 50_000;
    }
    let report = reader.report();
    assert_eq!((report.unique, report.lost), (LINE_RATE, 0));
    assert_eq!(rig.rx.sink().stats().dropped, []);
    assert_eq!(rig.consumer.stats().dropped, []);
    println!(
        "S9: one second at 1 Gbit/s under a simulated clock: {} frames on the wire, {} read, 0 dropped, \
         0 lost",
        rig.hardware.stats().offered,
        report.unique
    );
}

#[test]
fn a_gigabit_and_far_above_on_threads() {
    let gigabit = |rate: u64| Rate::bits_per_second(rate * 1_000_000_000).unwrap();
    check_and_print("1 Gbit/s", gigabit(1), 1_000_000_000, LINE_RATE);
    check_and_print("10 Gbit/s", gigabit(10), 200_000_000, 2_976_190);
}
