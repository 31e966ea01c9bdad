//! Stamps of arriving frames: read as the layout says, and counted as a set of numbers counts them.

use std::collections::HashSet;

use skbpool_nic::{SEQUENCE_WINDOW, STAMP_OFFSET, Stamp, StampReader};

use crate::numbers::Numbers;

/// Frames of one or more streams, whole and cut, stamped or not.
pub(crate) fn stamp(data: &[u8]) {
    assert_eq!(Stamp::of_frame(data), naive(data));
    if let Some(stamp) = Stamp::decode(data) {
        assert_eq!(stamp.encode(), data[..18]);
    }
    let mut input = Numbers::new(data);
    let stream = u32::from(input.u8() & 3);
    let (mut reader, mut expected) = if input.u8() & 1 == 0 {
        (StampReader::new(stream), Sequences::default())
    } else {
        let first = input.u32();
        (StampReader::starting_at(stream, first), Sequences::starting_at(first))
    };
    let (mut foreign, mut before_sent, mut bytes) = (0, 0, 0);
    let mut sequence = 0u32;
    while !input.is_empty() {
        let (frame, arrival) = frame(&mut input, &mut sequence);
        let ours = naive(&frame).filter(|stamp| stamp.stream == stream);
        assert_eq!(reader.observe(&frame, arrival), ours.is_some());
        let Some(stamp) = ours else {
            foreign += 1;
            continue;
        };
        bytes += frame.len() as u64;
        before_sent += u64::from(arrival < stamp.send_time_ns);
        expected.observe(stamp.sequence);
    }
    let report = reader.report();
    assert_eq!((report.foreign, report.before_sent, report.bytes), (foreign, before_sent, bytes));
    assert_eq!(
        [report.unique, report.lost, report.duplicated, report.reordered, report.stale],
        [expected.unique, expected.lost(), expected.duplicated, expected.reordered, expected.stale]
    );
    assert_eq!(report.received, report.unique + report.duplicated + report.stale);
    assert_eq!(report.first_arrival_ns.is_some(), report.received > 0);
    let latencies = report.latency.map_or(0, |latency| latency.count);
    assert_eq!(latencies, report.received - before_sent);
    if let Some(latency) = report.latency {
        let steps =
            [latency.min_ns, latency.p50_ns, latency.p99_ns, latency.p999_ns, latency.max_ns];
        assert!(steps.is_sorted(), "{steps:?}");
    }
}

/// The next frame and its arrival: stamped and perhaps damaged, or any bytes.
fn frame(input: &mut Numbers<'_>, sequence: &mut u32) -> (Vec<u8>, u64) {
    let kind = input.u8();
    if kind & 7 == 7 {
        return (input.bytes(usize::from(kind >> 3) * 3).to_vec(), 1);
    }
    let step = match kind & 7 {
        0..=3 => 1,
        4 => u32::from(input.u8()).wrapping_sub(128),
        5 => u32::from(input.u16()).wrapping_mul(3),
        _ => input.u32(),
    };
    *sequence = sequence.wrapping_add(step);
    let send_time_ns = if kind & 8 == 0 { 1000 } else { input.u64() };
    let stamp = Stamp { stream: u32::from(kind >> 6), sequence: *sequence, send_time_ns };
    let mut frame = vec![0; STAMP_OFFSET];
    frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
    frame[23] = 17;
    frame[37] = 9;
    frame.extend(stamp.encode());
    if kind & 16 != 0 {
        frame.truncate(usize::from(input.u8()));
    }
    if kind & 32 != 0 {
        let place = usize::from(input.u8());
        frame.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 0x10);
    }
    (frame, if kind & 24 == 24 { input.u64() } else { 1000 + u64::from(kind) })
}

/// The stamp of a frame, field by field.
fn naive(frame: &[u8]) -> Option<Stamp> {
    let fields = frame.get(..STAMP_OFFSET + 18)?;
    let number = |at: usize, bytes: usize| {
        fields[at..at + bytes].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let stamped = number(12, 2) == 0x0800
        && fields[14] == 0x45
        && fields[23] == 17
        && number(36, 2) == 9
        && number(42, 2) == 0x5342;
    stamped.then(|| Stamp {
        stream: number(44, 4) as u32,
        sequence: number(48, 4) as u32,
        send_time_ns: number(52, 8),
    })
}

/// Sequence numbers as a set of whole numbers that do not wrap.
#[derive(Default)]
struct Sequences {
    /// First and newest number expected.
    range: Option<(i64, i64)>,
    anchored: bool,
    seen: HashSet<i64>,
    unique: u64,
    duplicated: u64,
    reordered: u64,
    stale: u64,
}

impl Sequences {
    fn starting_at(first: u32) -> Self {
        let first = i64::from(first);
        Self { range: Some((first, first - 1)), anchored: true, ..Self::default() }
    }

    fn observe(&mut self, sequence: u32) {
        let number = i64::from(sequence);
        let (first, newest) = self.range.unwrap_or((number, number - 1));
        let ahead = sequence.wrapping_sub(newest as u32) as i32;
        let number = newest + i64::from(ahead);
        self.range = Some((first, newest));
        if ahead > 0 {
            self.range = Some((first, number));
            self.unique += 1;
        } else if newest - number >= i64::from(SEQUENCE_WINDOW) || self.anchored && number < first {
            self.stale += 1;
            return;
        } else if self.seen.contains(&number) {
            self.duplicated += 1;
        } else {
            self.range = Some((first.min(number), newest));
            self.unique += 1;
            self.reordered += 1;
        }
        self.seen.insert(number);
    }

    fn lost(&self) -> u64 {
        self.range.map_or(0, |(first, newest)| (newest + 1 - first) as u64 - self.unique)
    }
}
