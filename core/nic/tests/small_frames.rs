//! Below the low watermark, small frames are copied into small buffers, so that large ones go straight
//! back on the ring while views of their frames are out.

mod common;

use common::rig::{Listed, Rig, check_all_home, count, frame, pattern, stamped};
use skbpool_nic::{CloseWhen, NicConfig, NicError, Rate, SmallFrameLimits};
use skbpool_pool::{Accounts, CopyStage, DropReason, Pool, Skb};

const DESCRIPTORS: u32 = 4;
const LARGE: u32 = 16;
const LIMITS: SmallFrameLimits = SmallFrameLimits { frame_bytes: 256, buffer_bytes: 2048 };

/// Large buffers of 64 KiB, low below 8 free, recovered at 12, and small ones of 4 KiB.
fn pools(small: u32) -> (Pool, Pool) {
    let accounts = Accounts::new();
    let large = Pool::builder(LARGE).order(4).watermarks(8, 12).accounts(accounts.clone());
    let small = Pool::builder(small).accounts(accounts);
    (large.build().unwrap(), small.build().unwrap())
}

fn config(close: CloseWhen) -> NicConfig {
    NicConfig { descriptors: DESCRIPTORS, close, ..NicConfig::default() }
}

/// Frames and bytes copied out of large buffers.
fn copied(pool: &Pool) -> (u64, u64) {
    let count = pool.accounts().copies()[CopyStage::SmallFrame as usize];
    (count.frames, count.bytes)
}

/// `frames` frames of the line, in a burst of their own.
fn receive(rig: &mut Rig<impl skbpool_nic::FrameSource>, frames: u32) -> Vec<Skb> {
    rig.now_ns += 1000;
    assert_eq!(rig.hardware.step(rig.now_ns, frames).unwrap().frames, frames);
    assert_eq!(rig.rx.poll(8).frames, u64::from(frames));
    rig.check_ring();
    rig.take(usize::MAX)
}

#[test]
fn while_the_pool_is_low_small_frames_leave_the_large_buffers() {
    let (pool, small) = pools(8);
    let mut rig = Rig::new(&pool, config(CloseWhen::Burst), stamped(64), 16);
    rig.rx.copy_small_frames(&small, Some(LIMITS)).unwrap();
    let mut held = Vec::new();
    while !pool.is_low() {
        held.extend(receive(&mut rig, 1));
        assert_eq!(copied(&pool), (0, 0), "there are buffers enough");
    }
    let in_flight = pool.stats().in_flight;
    assert_eq!(in_flight, LARGE - 8 + 1);
    // Every view pinned a large buffer so far; from here on none does.
    for _ in 0..5 {
        held.extend(receive(&mut rig, 1));
        assert_eq!(pool.stats().in_flight, in_flight, "the buffer is on the ring again");
    }
    assert_eq!(copied(&pool), (5, 300));
    assert!(small.stats().in_flight > 0);

    // What is held goes home, and with it the watermark is passed again.
    let recent = held.split_off(in_flight as usize - DESCRIPTORS as usize);
    drop(held);
    assert_eq!((pool.stats().in_flight, pool.is_low()), (DESCRIPTORS, false));
    assert_eq!(recent.len(), 5, "views of small buffers are still out");
    assert!(recent.iter().all(|skb| skb.truesize() == 64 && skb.len() == 60));
    let more = receive(&mut rig, 1);
    assert_eq!((copied(&pool), pool.stats().in_flight), ((5, 300), DESCRIPTORS + 1));
    drop((rig, recent, more));
    check_all_home(&pool);
    check_all_home(&small);
}

/// The frames of one poll share small buffers, and arrive as they would have otherwise: bytes, time,
/// lengths, headroom.
#[test]
fn copies_are_packed_and_equal_to_what_was_received() {
    for headroom in [0, 32] {
        let (pool, small) = pools(8);
        let config = NicConfig { headroom, ..config(CloseWhen::Burst) };
        let lengths = [0usize, 1, 60, 64, 65, 200, 256];
        let frames: Vec<_> = (0..16).map(|at| pattern(at, lengths[at % 7])).collect();
        let mut rig = Rig::new(&pool, config, Listed::new(frames.clone()), 16);
        rig.rx.copy_small_frames(&small, Some(LIMITS)).unwrap();
        let scarce: Vec<_> = (0..6).map(|_| pool.alloc().unwrap()).collect();
        assert!(pool.is_low());
        let skbs: Vec<Skb> = (0..4).flat_map(|_| receive(&mut rig, 4)).collect();
        let bytes: usize = frames.iter().map(Vec::len).sum();
        assert_eq!(copied(&pool), (16, bytes as u64));
        assert_eq!(pool.stats().in_flight, DESCRIPTORS + 6);
        for (skb, sent) in skbs.iter().zip(&frames) {
            let got = frame(skb);
            assert_eq!(&got.data, sent);
            assert_eq!((got.timestamp_ns, got.link_type, got.interface), (5, 101, 3));
            assert_eq!(got.original_length, sent.len() as u32 + 4);
            assert_eq!(skb.headroom(), headroom);
            assert_eq!(skb.data().as_ptr().addr() % 64, headroom as usize);
            let pushed = skb.clone_skb().unwrap().push(headroom + 1).map(|_| ());
            assert!(pushed.is_err(), "headroom does not reach into another frame");
        }
        assert_eq!(small.stats().in_flight, 4, "a small buffer a poll");
        drop((rig, skbs, scarce));
        check_all_home(&pool);
        check_all_home(&small);
    }
}

#[test]
fn what_is_large_or_much_stays_where_it_is() {
    let (pool, small) = pools(8);
    // The third is too large, the fourth burst too much, the fifth a frame in parts.
    let parts = 65_536 + 100;
    let mut sizes = vec![256, 257];
    sizes.extend([64; 33]);
    sizes.extend([64; 32]);
    sizes.push(parts);
    let frames: Vec<_> = sizes.iter().enumerate().map(|(at, &size)| pattern(at, size)).collect();
    let mut rig = Rig::new(&pool, config(CloseWhen::Burst), Listed::new(frames.clone()), 16);
    rig.rx.copy_small_frames(&small, Some(LIMITS)).unwrap();
    let scarce: Vec<_> = (0..5).map(|_| pool.alloc().unwrap()).collect();
    assert!(pool.is_low());
    let mut held = Vec::new();
    let expected = [(1, 256), (1, 256), (1, 256), (33, 256 + 2048), (33, 256 + 2048)];
    for (burst, copies) in [1, 1, 33, 32, 1].into_iter().zip(expected) {
        let arrived = receive(&mut rig, burst);
        assert_eq!(copied(&pool), copies, "after a burst of {burst}");
        // One view each is enough to keep a buffer.
        held.extend(arrived.into_iter().next());
    }
    assert_eq!(held.last().map(Skb::len), Some(parts as u32));
    drop((rig, held, scarce));
    check_all_home(&pool);
    check_all_home(&small);
}

/// An empty pool costs no frame that fits the small one; when that is used up as well, frames are
/// dropped as ever, and the ring never runs dry.
#[test]
fn the_small_pool_bounds_the_copies_and_an_empty_pool_uses_it_too() {
    let (pool, small) = pools(2);
    let config = NicConfig { rate: Rate::Max, ..config(CloseWhen::Burst) };
    let mut rig = Rig::new(&pool, config, stamped(64), 16);
    rig.rx.copy_small_frames(&small, Some(LIMITS)).unwrap();
    let hog: Vec<_> = std::iter::from_fn(|| pool.alloc().ok()).collect();
    let rest: Vec<_> = std::iter::from_fn(|| rig.rx.cache().alloc().ok()).collect();
    assert_eq!(pool.stats().in_flight, LARGE);
    let held: Vec<Skb> = (0..2).flat_map(|_| receive(&mut rig, 1)).collect();
    assert_eq!((held.len(), copied(&pool)), (2, (2, 120)));
    for dropped in 1..=10 {
        rig.now_ns += 1000;
        assert_eq!(rig.hardware.step(rig.now_ns, 1).unwrap().frames, 1);
        assert_eq!(rig.rx.poll(8).dropped, 1);
        assert_eq!(
            count(&rig.rx.sink().stats().dropped, DropReason::PoolEmpty),
            (dropped, dropped * 60)
        );
        rig.check_ring();
    }
    drop(held);
    assert_eq!(receive(&mut rig, 1).len(), 1, "a small buffer is home again");
    // A closed pool hands out nothing, copies neither.
    pool.close();
    rig.hardware.step(rig.now_ns + 1000, 1).unwrap();
    rig.rx.poll(8);
    assert_eq!(rig.dropped(DropReason::Closed), (1, 60));
    drop((rig, hog, rest));
    check_all_home(&pool);
    check_all_home(&small);
}

/// The very poll that finds the pool empty copies.
#[test]
fn the_first_frame_that_finds_no_replacement_is_copied() {
    let accounts = Accounts::new();
    let builder = Pool::builder(LARGE).order(4).watermarks(0, 0).accounts(accounts.clone());
    let (pool, small) = (builder.build().unwrap(), Pool::builder(2).accounts(accounts));
    let small = small.build().unwrap();
    let mut rig = Rig::new(&pool, config(CloseWhen::Burst), stamped(64), 16);
    rig.rx.copy_small_frames(&small, Some(LIMITS)).unwrap();
    let cached = rig.rx.cache().cached() as u32;
    let mut scarce: Vec<_> = (0..cached).map(|_| rig.rx.cache().alloc().unwrap()).collect();
    scarce.extend((0..LARGE - DESCRIPTORS - cached).map(|_| pool.alloc().unwrap()));
    assert!(!pool.is_low(), "nobody was refused yet");
    assert_eq!(receive(&mut rig, 1).len(), 1);
    assert_eq!((pool.is_low(), copied(&pool)), (true, (1, 60)));
}

#[test]
fn it_can_be_switched_off_and_needs_smaller_buffers() {
    let (pool, small) = pools(2);
    let mut rig = Rig::new(&pool, config(CloseWhen::Burst), stamped(64), 16);
    let error = rig.rx.copy_small_frames(&pool, Some(LIMITS)).unwrap_err();
    let expected = NicError::SmallBuffers { small_bytes: 65_536, large_bytes: 65_536 };
    assert_eq!(error, expected);
    let scarce: Vec<_> = (0..6).map(|_| pool.alloc().unwrap()).collect();
    receive(&mut rig, 1);
    rig.rx.copy_small_frames(&small, Some(LIMITS)).unwrap();
    receive(&mut rig, 1);
    assert_eq!(copied(&pool).0, 1);
    rig.rx.copy_small_frames(&small, None).unwrap();
    receive(&mut rig, 1);
    assert_eq!(copied(&pool).0, 1);
    drop((rig, scarce));
    check_all_home(&pool);
    check_all_home(&small);
}
