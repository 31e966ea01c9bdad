//! S4: for every received buffer a replacement first, or its frames are dropped, counted, and the
//! buffer goes back on the ring, which never runs dry.

mod common;

use common::rig::{Rig, check_all_home, count, pool, stamped};
use proptest::prelude::*;
use skbpool_deliver::{DriverPort, Hub};
use skbpool_nic::{CloseWhen, EmulatedNic, NicConfig, Rate, RxLoop, StampedTraffic};
use skbpool_pool::{DropReason, Skb};
use std::collections::VecDeque;

const DESCRIPTORS: u32 = 8;

/// One frame a buffer, so that every view pins one.
fn one_frame_a_buffer() -> NicConfig {
    NicConfig { descriptors: DESCRIPTORS, close: CloseWhen::Burst, ..NicConfig::default() }
}

/// One frame from the line to the consumer's ring, or to nowhere.
fn receive(rig: &mut Rig<StampedTraffic>) {
    rig.now_ns += 1000;
    assert_eq!(rig.hardware.step(rig.now_ns, 1).unwrap().frames, 1, "the line has a buffer");
    assert_eq!(rig.rx.poll(8).buffers, 1);
    rig.check_ring();
}

#[test]
fn a_pool_that_is_used_up_costs_frames_and_never_descriptors() {
    let pool = pool(32);
    let mut rig = Rig::new(&pool, one_frame_a_buffer(), stamped(64), 32);
    let fits = 32 - DESCRIPTORS;
    let mut held: Vec<Skb> = Vec::new();
    for _ in 0..fits {
        receive(&mut rig);
        held.extend(rig.take(1));
    }
    assert_eq!(held.len() as u32, fits, "the consumer holds whatever is not on the ring");
    assert_eq!(pool.stats().in_flight, 32);

    for dropped in 1..=100 {
        receive(&mut rig);
        assert_eq!(rig.dropped(DropReason::PoolEmpty), (dropped, dropped * 60));
        assert_eq!(rig.take(1).len(), 0);
    }
    assert_eq!(rig.hardware.stats().missed, 0, "the ring had a buffer for every frame");
    assert_eq!(pool.stats().in_flight, 32);

    // Each view that goes lets one more frame in.
    for _ in 0..fits {
        held.pop();
        receive(&mut rig);
        held.extend(rig.take(1));
        assert_eq!(held.len() as u32, fits);
    }
    assert_eq!(rig.dropped(DropReason::PoolEmpty).0, 100, "none of these was dropped");
    drop((rig, held));
    check_all_home(&pool);
}

#[test]
fn a_closed_pool_drops_under_its_own_name() {
    let pool = pool(32);
    let mut rig = Rig::new(&pool, one_frame_a_buffer(), stamped(64), 16);
    receive(&mut rig);
    pool.close();
    receive(&mut rig);
    assert_eq!(rig.dropped(DropReason::Closed), (1, 60));
    assert_eq!(rig.dropped(DropReason::PoolEmpty), (0, 0));
    assert_eq!(rig.take(16).len(), 1);
    drop(rig);
    check_all_home(&pool);
}

#[test]
fn posted_buffers_are_the_drivers_in_the_accounts() {
    let pool = pool(32);
    let mut rig = Rig::new(&pool, one_frame_a_buffer(), stamped(64), 16);
    let driver = rig.rx.sink().holder();
    let ring = (u64::from(DESCRIPTORS), u64::from(DESCRIPTORS) * 4096);
    assert_eq!(pool.accounts().held(driver), ring);
    for _ in 0..20 {
        receive(&mut rig);
        assert_eq!(pool.accounts().held(driver), ring);
    }
    drop(rig);
    assert_eq!(pool.accounts().held(driver), (0, 0));
}

/// What happens next on a rig whose consumer is moody.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Time passes, and the hardware does at most so many frames.
    Line(u64, u32),
    /// The driver handles so many buffers.
    Poll(u32),
    /// The consumer takes so many views and keeps them.
    Take(usize),
    /// The consumer releases so many, oldest or newest first.
    Release(usize, bool),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        4 => (0u64..60_000, 1u32..300).prop_map(|(ns, frames)| Turn::Line(ns, frames)),
        4 => (1u32..20).prop_map(Turn::Poll),
        3 => (1usize..200).prop_map(Turn::Take),
        2 => (1usize..200, any::<bool>()).prop_map(|(views, oldest)| Turn::Release(views, oldest)),
    ];
    prop::collection::vec(turn, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whoever holds whatever for however long: every frame of the line is missed, dropped for want of
    /// a buffer, refused by the consumer's quota, or delivered, and every buffer comes home.
    #[test]
    fn every_frame_is_accounted_for(
        buffers in 8u32..80,
        share in 1u32..=100,
        quota in 1u32..400,
        rate in prop_oneof![
            Just(Rate::Max),
            (1_000_000u64..20_000_000).prop_map(|rate| Rate::frames_per_second(rate).unwrap())
        ],
        close in prop_oneof![
            Just(CloseWhen::Full),
            Just(CloseWhen::Burst),
            (0u64..50_000).prop_map(CloseWhen::After)
        ],
        turns in turns(),
    ) {
        let pool = pool(buffers);
        let descriptors = (buffers * share / 100).max(1);
        let config = NicConfig { descriptors, rate, close, ..NicConfig::default() };
        let mut rig = Rig::new(&pool, config, stamped(64), quota.min(buffers));
        let mut held: VecDeque<Skb> = VecDeque::new();
        let mut taken = 0u64;
        for turn in turns {
            match turn {
                Turn::Line(ns, frames) => {
                    rig.now_ns += ns;
                    rig.hardware.step(rig.now_ns, frames).unwrap();
                }
                Turn::Poll(buffers) => drop(rig.rx.poll(buffers)),
                Turn::Take(views) => {
                    let views = rig.take(views);
                    taken += views.len() as u64;
                    held.extend(views);
                }
                Turn::Release(views, oldest) => {
                    let keep = held.len() - views.min(held.len());
                    let gone = if oldest { held.drain(..held.len() - keep) } else { held.drain(keep..) };
                    drop(gone);
                }
            }
            rig.check_ring();
            prop_assert!(pool.stats().in_flight >= descriptors, "the ring keeps its buffers");
        }
        let Rig { hardware, mut rx, mut consumer, hub, .. } = rig;
        let stats = hardware.stats();
        drop(hardware);
        while !rx.is_finished() {
            rx.poll(7);
        }
        let mut rest = skbpool_pool::SkbBatch::new();
        taken += consumer.poll(&mut rest, usize::MAX) as u64;
        let driver = rx.sink().stats();
        let (missed, empty) = (
            count(&driver.dropped, DropReason::NoDescriptor),
            count(&driver.dropped, DropReason::PoolEmpty),
        );
        prop_assert_eq!(missed, (stats.missed, stats.missed_bytes));
        prop_assert_eq!(stats.offered, missed.0 + empty.0 + driver.frames);
        prop_assert_eq!(stats.offered * 60, missed.1 + empty.1 + driver.bytes);
        let refused: u64 = consumer.stats().dropped.iter().map(|drop| drop.frames).sum();
        prop_assert_eq!(driver.frames, taken + refused);
        drop((rx, consumer, hub, held, rest));
        check_all_home(&pool);
    }
}

#[test]
fn a_ring_of_the_whole_pool_drops_everything_and_stays_alive() {
    let pool = pool(8);
    let mut rig = Rig::new(&pool, one_frame_a_buffer(), stamped(64), 1);
    for dropped in 1..=50 {
        receive(&mut rig);
        assert_eq!(rig.dropped(DropReason::PoolEmpty).0, dropped);
    }
    drop(rig);
    check_all_home(&pool);
}

#[test]
fn the_worst_case_of_a_driver_is_admitted_or_refused() {
    let pool = pool(32);
    let hub = Hub::new(pool.clone());
    let buffers = DESCRIPTORS + pool.cache_capacity();
    let attach =
        |buffers| hub.attach_driver("card", skbpool_deliver::DriverConfig::with_buffers(buffers));
    let error = attach(33).unwrap_err().to_string();
    assert!(error.contains("card") && error.contains("33"), "{error}");
    let port: DriverPort = attach(buffers).unwrap();
    let (_hardware, queue) = EmulatedNic::new(one_frame_a_buffer(), stamped(64), 0).unwrap();
    let rx = RxLoop::new(queue, pool.local_cache(), port).unwrap();
    assert_eq!(pool.stats().reserved, buffers);
    drop(rx);
    assert_eq!(pool.stats().reserved, 0);
}
