//! Sources whose frames are alike write a run of them as they write them one by one.

use skbpool_nic::{FrameSource, SlotSize, StampedTraffic, TemplateSource, TrafficConfig};

/// Frames that the two copies of a source are compared in.
const FRAMES: usize = 5;

fn check(mut run: impl FnMut() -> Box<dyn FrameSource>, headroom: usize) {
    let (mut one_by_one, mut run) = (run(), run());
    let len = run.peek_len().unwrap().unwrap() as usize;
    let slots = SlotSize { bytes: (headroom + len).next_multiple_of(64), headroom };
    let (mut expected, mut memory) =
        (vec![0xaa; FRAMES * slots.bytes], vec![0xaa; FRAMES * slots.bytes]);
    // Twice, so that the second run goes on where the first ended.
    for now_ns in [7, 1 << 40] {
        let mut meta = None;
        for out in slots.frames(&mut expected) {
            meta = one_by_one.write_next(out, now_ns).unwrap();
        }
        assert_eq!(run.write_alike(&mut memory, slots, now_ns), meta);
        assert_eq!(memory, expected);
    }
    assert_eq!(run.write_rest(&mut [0; 64]), 0, "every frame was written whole");
}

#[test]
fn stamped_traffic() {
    for frame_size in [64, 65, 1518] {
        for headroom in [0, 16, 128] {
            let config = TrafficConfig { frame_size, ..TrafficConfig::default() };
            check(|| Box::new(StampedTraffic::new(config).unwrap()), headroom);
        }
    }
}

#[test]
fn a_template() {
    for len in [1, 60, 1514] {
        check(|| Box::new(TemplateSource::new(vec![0x55; len], 113)), 32);
    }
}
