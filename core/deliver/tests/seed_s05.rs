//! S5: a suspended reader does not lock the driver by sitting on its buffers. Prints what was seen.

mod common;

use common::{check_edges, check_home, dropped, hub, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, ConsumerStats, DriverConfig};
use skbpool_pool::{DropReason, SkbBatch};

const FRAMES: u64 = 100_000;
const BATCH: u64 = 32;

fn print(stats: &ConsumerStats) {
    println!(
        "S5: consumer {:<10} offered {:>6}  read {:>6}  in its ring {:>2}  held {:>2} of quota {:>2}",
        stats.name, stats.offered, stats.frames, stats.queued, stats.held, stats.quota
    );
    for drop in &stats.dropped {
        println!(
            "S5:   missed {} frames ({} bytes): {}",
            drop.frames,
            drop.bytes,
            drop.reason.name()
        );
    }
}

#[test]
fn s05_a_suspended_reader_does_not_lock_the_driver() {
    let hub = hub(128);
    let mut cache = hub.pool().local_cache();
    let mut reader = hub.attach_consumer("reader", ConsumerConfig::with_quota(32)).unwrap();
    let mut suspended = hub.attach_consumer("suspended", ConsumerConfig::with_quota(20)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::with_buffers(16)).unwrap();

    let (mut batch, mut kept) = (SkbBatch::new(), SkbBatch::new());
    let (mut next, mut most_in_flight, mut most_held) = (0, 0, 0);
    while next < FRAMES {
        driver.deliver(&mut numbered(&mut cache, next..next + BATCH), &mut cache);
        if next == 0 {
            // It reads a little, and is suspended with these views in its hands.
            suspended.poll(&mut kept, 5);
        }
        reader.poll(&mut batch, usize::MAX);
        assert!(numbers(&batch).into_iter().eq(next..next + BATCH), "the reader lost frames");
        batch.release(&mut cache);
        next += BATCH;
        most_in_flight = most_in_flight.max(hub.pool().stats().in_flight);
        most_held = most_held.max(suspended.stats().held);
    }

    let driver_stats = driver.stats();
    println!("S5: the driver delivered {} frames, none waited for anybody", driver_stats.frames);
    print(&reader.stats());
    print(&suspended.stats());
    println!(
        "S5: at most {most_held} views held by the suspended, {most_in_flight} buffers in flight"
    );
    assert_eq!(driver_stats.frames, FRAMES);
    assert!(driver_stats.dropped.is_empty() && reader.stats().dropped.is_empty());
    assert_eq!((reader.stats().frames, most_held), (FRAMES, 20));
    assert!(most_in_flight <= 20);
    assert_eq!(dropped(&suspended.stats(), DropReason::Quota), FRAMES - 20);
    check_edges(&hub);

    drop(suspended);
    print(&hub.stats().detached_consumers);
    assert_eq!(numbers(&kept), [0, 1, 2, 3, 4], "what it holds stays readable after it has left");
    kept.release(&mut cache);
    let stats = hub.pool().stats();
    println!(
        "S5: after it left: {} in flight, {} free or cached",
        stats.in_flight,
        stats.free + stats.cached
    );
    check_edges(&hub);
    check_home(hub.pool());
}
