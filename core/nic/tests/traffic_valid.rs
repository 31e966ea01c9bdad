//! Generated frames as etherparse sees them.

mod common;

use common::valid::check_stamped;
use proptest::prelude::*;
use skbpool_nic::{FrameSource, Stamp, StampedTraffic, TrafficConfig, TrafficError, memory_len};

fn traffic(frame_size: u32, first_sequence: u32) -> StampedTraffic {
    StampedTraffic::new(TrafficConfig { frame_size, stream: 0xfeed_f00d, first_sequence }).unwrap()
}

fn check(frame: &[u8], sequence: u32, send_time_ns: u64) {
    check_stamped(frame, Stamp { stream: 0xfeed_f00d, sequence, send_time_ns });
}

#[test]
fn every_common_size_is_valid() {
    for size in [64, 65, 66, 67, 128, 1518, 9000, 9216, 65_552, 65_553, 65_554, 100_001, 262_148] {
        let mut traffic = traffic(size, u32::MAX - 3);
        let mut buffer = vec![0; 262_144];
        for step in 0..8u32 {
            let time = u64::MAX / 7 * u64::from(step);
            let len = traffic.write_frame(&mut buffer, time);
            assert_eq!(len, memory_len(size) as usize);
            check(&buffer[..len], (u32::MAX - 3).wrapping_add(step), time);
        }
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    for frame_size in [0, 63, 262_149, u32::MAX] {
        let config = TrafficConfig { frame_size, ..TrafficConfig::default() };
        let error = StampedTraffic::new(config).unwrap_err();
        assert_eq!(error, TrafficError::SizeOutOfRange(frame_size));
        assert!(error.to_string().contains("64 to 262148"), "{error}");
    }
}

/// A checksum that comes out as zero is sent as 0xffff: found by trying all 65,536 values of a word.
#[test]
fn the_checksum_that_would_be_zero() {
    let mut traffic = traffic(64, 0);
    let mut frame = [0; 60];
    let mut ones = 0;
    for time in 0..=0xffff {
        traffic.skip(u64::from(u32::MAX)).unwrap();
        traffic.write_frame(&mut frame, time);
        ones += u32::from(frame[40..42] == [0xff, 0xff]);
        assert_ne!(frame[40..42], [0, 0]);
        check(&frame, u32::MAX, time);
        traffic.skip(0).unwrap();
    }
    assert!(ones > 0);
}

proptest! {
    #[test]
    fn any_frame_is_valid(size in 64u32..12_000, sequence: u32, time: u64) {
        let mut buffer = vec![0xff; 12_000];
        let len = traffic(size, sequence).write_frame(&mut buffer, time);
        check(&buffer[..len], sequence, time);
        prop_assert!(buffer[len..].iter().all(|byte| *byte == 0xff), "bytes beyond the frame are written");
    }

    /// However a frame is spread over buffers, the same bytes come out.
    #[test]
    fn spreading_changes_nothing(
        size in 64u32..9216,
        parts in prop::collection::vec(0usize..3000, 1..8),
        time: u64,
    ) {
        let mut whole = vec![0; 9216];
        let len = traffic(size, 5).write_frame(&mut whole, time);
        let mut source = traffic(size, 5);
        let mut spread = vec![0; parts[0]];
        let meta = source.write_next(&mut spread, time).unwrap().unwrap();
        prop_assert_eq!(meta.len as usize, len);
        let mut written = parts[0].min(len);
        spread.truncate(written);
        for part in parts[1..].iter().chain(&[9216]) {
            let mut buffer = vec![0; *part];
            let count = source.write_rest(&mut buffer);
            prop_assert_eq!(count, (len - written).min(*part));
            spread.extend(&buffer[..count]);
            written += count;
        }
        prop_assert_eq!(source.write_rest(&mut [0; 64]), 0);
        prop_assert_eq!(&spread[..], &whole[..len]);
        prop_assert_eq!(source.next_sequence(), 6);
    }
}

#[test]
fn skipped_frames_take_their_numbers_along() {
    let mut traffic = traffic(64, u32::MAX);
    let mut frame = [0; 60];
    assert_eq!(traffic.skip((1 << 32) + 3).unwrap(), (1 << 32) + 3);
    traffic.write_frame(&mut frame, 0);
    assert_eq!(Stamp::of_frame(&frame).unwrap().sequence, 2);
}
