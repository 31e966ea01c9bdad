//! Frames of every length through the card: chains, empty ones, captures whole and damaged.

mod common;

use common::rig::{Listed, Rig, check_all_home, count, pattern, pool, stamped};
use common::{Frame, capture_files, read_all};
use proptest::prelude::*;
use skbpool_nic::{
    CaptureErrorKind, CaptureReplay, CloseWhen, NicConfig, Passes, PcapWriter, Rate, SourceError,
    memory_len,
};
use skbpool_pool::DropReason;

const BUFFER: usize = 4096;

/// A line of the given frames, at any speed.
fn line(
    lengths: &[usize],
    config: NicConfig,
    buffers: u32,
) -> (Rig<Listed>, impl Iterator<Item = Vec<u8>>) {
    let frames: Vec<_> =
        lengths.iter().enumerate().map(|(number, &len)| pattern(number, len)).collect();
    let pool = pool(buffers);
    (Rig::new(&pool, config, Listed::new(frames.clone()), buffers), frames.into_iter())
}

#[test]
fn frames_larger_than_a_buffer_come_as_chains() {
    let lengths = [BUFFER, BUFFER + 1, 2 * BUFFER, 1, 3 * BUFFER + 7, 60, 60];
    for headroom in [0, 16, 4095] {
        let config = NicConfig { descriptors: 8, headroom, ..NicConfig::default() };
        let (mut rig, expected) = line(&lengths, config, 64);
        rig.hardware.step(0, 100).unwrap();
        rig.rx.poll(100);
        rig.hardware.step(200_000, 100).unwrap();
        rig.rx.poll(100);
        for (skb, expected) in rig.take(usize::MAX).into_iter().zip(expected) {
            assert_eq!(skb.parts().collect::<Vec<_>>().concat(), expected);
            assert_eq!(skb.len() as usize, expected.len());
            assert_eq!(skb.original_length() as usize, expected.len() + 4);
            assert_eq!((skb.link_type, skb.port, skb.timestamp_ns), (101, 3, 5));
            assert_eq!(skb.headroom(), headroom);
            let in_first = BUFFER - headroom as usize;
            let parts = 1 + expected.len().saturating_sub(in_first).div_ceil(BUFFER);
            assert_eq!(skb.parts().count(), parts);
            assert_eq!(skb.is_chain(), parts > 1);
        }
        let pool = rig.pool.clone();
        drop(rig);
        check_all_home(&pool);
    }
}

#[test]
fn the_length_that_a_capture_tells_is_kept_whatever_it_is() {
    let lengths = [60, BUFFER, 5000];
    for original in [1, 60, BUFFER as u32, 5000, u32::MAX] {
        let mut source = Listed::new(lengths.map(|len| pattern(0, len)));
        source.original_length = Some(original);
        let mut rig =
            Rig::new(&pool(64), NicConfig { descriptors: 8, ..NicConfig::default() }, source, 64);
        let (frames, _) = rig.run(1000);
        assert_eq!(frames.len(), 3);
        for frame in frames {
            assert_eq!(frame.original_length, original, "{} bytes", frame.data.len());
        }
    }
}

#[test]
fn a_frame_that_the_ring_cannot_hold_is_dropped_and_the_line_goes_on() {
    for rate in [Rate::Max, Rate::bits_per_second(1_000_000_000).unwrap()] {
        let lengths = [60, 3 * BUFFER + 1, 60, 2 * BUFFER, 262_144, 60];
        let config = NicConfig { descriptors: 3, rate, ..NicConfig::default() };
        let (mut rig, expected) = line(&lengths, config, 64);
        let (frames, _) = rig.run(1000);
        let too_large = 3 * BUFFER as u64 + 1 + 262_144;
        assert_eq!(rig.dropped(DropReason::TooLarge), (2, too_large), "{rate}");
        let stats = rig.hardware.stats();
        assert_eq!((stats.offered, stats.too_large), (6, 2));
        let held: Vec<_> = expected.filter(|frame| frame.len() <= 3 * BUFFER).collect();
        assert!(frames.iter().map(|frame| &frame.data).eq(&held));
    }
}

/// Three buffers of one frame are handled one by one, and there is no replacement for the `dry`-th.
fn pool_runs_dry_within_a_chain(dry: usize) {
    let lengths = [60, 3 * BUFFER, 61];
    let config = NicConfig { descriptors: 8, close: CloseWhen::Burst, ..NicConfig::default() };
    let (mut rig, mut expected) = line(&lengths, config, 32);
    for _ in lengths {
        rig.hardware.step(0, 1).unwrap();
    }
    let buffers = rig.rx.queue_mut().level().completed;
    assert_eq!(buffers, 5, "one, three, one");
    for buffer in 0..buffers as usize {
        let mut ballast = Vec::new();
        if buffer == 1 + dry {
            rig.rx.cache().flush();
            ballast.extend(std::iter::from_fn(|| rig.pool.alloc().ok()));
        }
        rig.rx.poll(1);
        rig.check_ring();
    }
    assert_eq!(rig.dropped(DropReason::PoolEmpty), (1, 3 * BUFFER as u64), "part {dry}");
    let arrived = rig.take(usize::MAX);
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].data(), expected.next().unwrap());
    assert_eq!(arrived[1].data(), expected.nth(1).unwrap());
    let pool = rig.pool.clone();
    drop((rig, arrived));
    check_all_home(&pool);
}

#[test]
fn a_frame_of_which_a_part_is_dropped_is_dropped_whole_and_counted_once() {
    (0..3).for_each(pool_runs_dry_within_a_chain);
}

#[test]
fn empty_frames_arrive_and_a_buffer_holds_a_bounded_number_of_them() {
    let config = NicConfig { descriptors: 4, close: CloseWhen::Full, ..NicConfig::default() };
    let (mut rig, _) = line(&[0; 1000], config, 1024);
    rig.hardware.step(0, 1000).unwrap();
    // A cache line each, and the line waits.
    assert_eq!(rig.hardware.stats().offered, 4 * BUFFER as u64 / 64);
    let (frames, _) = rig.run(1000);
    assert_eq!(frames.len(), 1000);
    assert!(frames.iter().all(|frame| frame.data.is_empty() && frame.original_length == 4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_the_lengths_every_byte_arrives_in_order(
        lengths in prop::collection::vec(
            prop_oneof![3 => 0usize..200, 1 => 0usize..3 * BUFFER, 1 => BUFFER - 70..BUFFER + 70],
            1..60,
        ),
        headroom in prop_oneof![Just(0u32), 0u32..300],
        descriptors in 4u32..20,
        budget in 1u32..40,
        close in prop_oneof![
            Just(CloseWhen::Full), Just(CloseWhen::Burst), (0u64..5).prop_map(CloseWhen::After)
        ],
    ) {
        let config = NicConfig { descriptors, headroom, close, ..NicConfig::default() };
        let (mut rig, expected) = line(&lengths, config, 512);
        let mut arrived: Vec<Frame> = Vec::new();
        while !rig.rx.is_finished() {
            rig.hardware.step(rig.now_ns, budget).unwrap();
            rig.rx.poll(3);
            arrived.extend(rig.take(usize::MAX).iter().map(common::rig::frame));
            rig.check_ring();
            rig.now_ns += 1;
        }
        prop_assert!(arrived.iter().map(|frame| &frame.data).eq(&expected.collect::<Vec<_>>()));
        let pool = rig.pool.clone();
        drop(rig);
        check_all_home(&pool);
    }
}

#[test]
fn captures_come_through_byte_for_byte() {
    let (mut files, mut total) = (0, 0);
    for path in capture_files() {
        let (expected, _) = read_all(&std::fs::read(&path).unwrap());
        let pool = pool(1024);
        let config = NicConfig { descriptors: 128, ..NicConfig::default() };
        let source = CaptureReplay::open(&path, Passes::ONCE).unwrap();
        let mut rig = Rig::new(&pool, config, source, 1024);
        let (frames, error) = rig.run(1000);
        assert!(error.is_none(), "{}: {error:?}", path.display());
        assert_eq!(frames, expected, "{}", path.display());
        drop(rig);
        check_all_home(&pool);
        (files, total) = (files + 1, total + frames.len());
    }
    println!("{total} frames of {files} files through card and hub, byte for byte");
}

#[test]
fn a_damaged_capture_delivers_what_is_before_the_damage() {
    let lengths = [60, 0, 5000, 61];
    let mut writer = PcapWriter::new(Vec::new(), 1).unwrap();
    for (number, &len) in lengths.iter().enumerate() {
        let data = pattern(number, len);
        let frame = Frame {
            timestamp_ns: number as u64,
            original_length: len as u32,
            link_type: 1,
            interface: 0,
            data,
        };
        writer.write_frame(&frame.borrow()).unwrap();
    }
    let whole = writer.into_inner();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("damaged.pcap");
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let pool = pool(64);
    let config = NicConfig { descriptors: 8, close: CloseWhen::Full, ..NicConfig::default() };
    let source = CaptureReplay::open(&path, Passes::Endless).unwrap();
    let mut rig = Rig::new(&pool, config, source, 64);
    let (frames, error) = rig.run(1000);
    let Some(SourceError::Capture(error)) = error else { panic!("no error") };
    assert!(matches!(error.kind, CaptureErrorKind::Truncated { .. }), "{error}");
    assert!(error.to_string().contains("damaged.pcap"), "{error}");
    assert_eq!(frames.len(), 3);
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(frame.data, pattern(number, lengths[number]));
        assert_eq!(frame.timestamp_ns, number as u64);
    }
    assert!(
        rig.hardware.step(rig.now_ns + 1, 1).unwrap().ended,
        "the line is dead, and says so once"
    );
    assert_eq!(rig.hardware.stats().offered, 3);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_consumer_that_misses_frames_costs_the_card_nothing() {
    let pool = pool(64);
    let config = NicConfig { descriptors: 8, frames: Some(5000), ..NicConfig::default() };
    let mut rig = Rig::new(&pool, config, stamped(64), 10);
    while !rig.rx.is_finished() {
        rig.hardware.step(rig.now_ns, 256).unwrap();
        rig.rx.poll(8);
        rig.now_ns += 1000;
    }
    let missed = rig.consumer.stats().dropped;
    let (frames, bytes) = missed
        .iter()
        .map(|drop| count(&missed, drop.reason))
        .fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    assert_eq!((frames, bytes), (4990, 4990 * u64::from(memory_len(64))));
    assert_eq!(rig.rx.sink().stats().dropped, [], "nothing is the card's or the driver's loss");
    assert_eq!(rig.take(usize::MAX).len(), 10);
}
