//! S4: the receive loop finds a replacement before it hands a buffer's frames on, or drops them.

mod common;

use std::collections::HashSet;

use common::rig::{Rig, check_all_home, pool, stamped};
use skbpool_nic::{CloseWhen, NicConfig};
use skbpool_pool::{DropReason, Skb};

const BUFFERS: u32 = 64;
const DESCRIPTORS: u32 = 16;
const FRAMES: u32 = 1000;

/// Where a frame lies.
fn address(skb: &Skb) -> usize {
    skb.data().as_ptr().addr()
}

#[test]
fn without_a_replacement_frames_are_dropped_and_the_ring_stays_full() {
    let pool = pool(BUFFERS);
    // One frame a buffer: whatever the consumer holds is a whole buffer.
    let config = NicConfig {
        descriptors: DESCRIPTORS,
        close: CloseWhen::Burst,
        frames: Some(u64::from(2 * FRAMES)),
        ..NicConfig::default()
    };
    let mut rig = Rig::new(&pool, config, stamped(64), BUFFERS);
    let mut held = Vec::new();
    let mut lowest = DESCRIPTORS;
    for _ in 0..FRAMES {
        rig.hardware.step(0, 1).unwrap();
        rig.rx.poll(1);
        rig.check_ring();
        lowest = lowest.min(rig.rx.queue_mut().level().posted);
        held.extend(rig.take(1));
    }
    let (dropped, bytes) = rig.dropped(DropReason::PoolEmpty);
    assert_eq!(held.len() as u32, BUFFERS - DESCRIPTORS);
    assert_eq!(dropped, u64::from(FRAMES) - held.len() as u64);
    assert_eq!(bytes, dropped * 60);
    assert_eq!((rig.hardware.stats().missed, lowest), (0, DESCRIPTORS));
    println!(
        "S4: {FRAMES} frames for a consumer that releases nothing, pool of {BUFFERS}, ring of \
         {DESCRIPTORS}: {} delivered, {dropped} dropped as {}, 0 missed by the card; after every poll \
         {lowest} buffers were posted",
        held.len(),
        DropReason::PoolEmpty.name(),
    );
    let views = held.len();
    let delivered: HashSet<usize> = held.iter().map(address).collect();
    assert_eq!(delivered.len(), views, "one frame a buffer");
    println!(
        "S4: the delivered frames lie in {views} different buffers, the first at {:#x}, the last at \
         {:#x}",
        address(&held[0]),
        address(&held[views - 1]),
    );
    drop(held);
    let (mut arrived, mut addresses) = (0, HashSet::new());
    for _ in 0..FRAMES {
        rig.hardware.step(0, 1).unwrap();
        rig.rx.poll(1);
        for skb in rig.take(1) {
            arrived += 1;
            addresses.insert(address(&skb));
        }
    }
    assert_eq!((arrived, rig.dropped(DropReason::PoolEmpty).0), (FRAMES, dropped));
    println!("S4: {views} views released: {arrived} of the next {FRAMES} frames delivered");
    let again = addresses.intersection(&delivered).count();
    println!(
        "S4: they lie in {} buffers, {again} of which held a view before, the lowest at {:#x}",
        addresses.len(),
        addresses.iter().min().expect("some arrived"),
    );
    assert!(addresses.len() as u32 <= BUFFERS && again > 0);
    drop(rig);
    check_all_home(&pool);
    println!("S4: driver detached, every one of {BUFFERS} buffers home");
}
