//! What the stamps of arriving frames tell.

use hdrhistogram::Histogram;

use crate::sequence::SequenceTracker;
use crate::stamp::Stamp;

/// Longest latency that is told apart, in nanoseconds: one hour; longer ones count as this.
const MAX_LATENCY_NS: u64 = 3_600_000_000_000;

/// Reads the stamps of one stream: lost, duplicated, reordered, latency.
///
/// A frame without a stamp, or of another stream, is *foreign*: counted, and not looked at further.
/// Latency is arrival minus send time, so both must be of one clock; a frame that arrives before it
/// was sent shows that they are not, is counted, and gives no latency. Memory: about 270 KiB.
#[derive(Clone, Debug)]
pub struct StampReader {
    stream: u32,
    sequence: SequenceTracker,
    latency: Histogram<u64>,
    received: u64,
    bytes: u64,
    foreign: u64,
    before_sent: u64,
    first_arrival_ns: Option<u64>,
    last_arrival_ns: u64,
}

/// What a [`StampReader`] has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StampReport {
    /// Frames of the stream, copies included.
    pub received: u64,
    /// Bytes of those frames in memory.
    pub bytes: u64,
    /// Frames of the stream, each once.
    pub unique: u64,
    /// Frames that are missing between the first and the newest.
    pub lost: u64,
    /// Further copies of frames already seen.
    pub duplicated: u64,
    /// Frames that came after a later one.
    pub reordered: u64,
    /// Frames too far behind to judge.
    pub stale: u64,
    /// Frames without a stamp or of another stream.
    pub foreign: u64,
    /// Frames that came before they were sent: the clocks differ.
    pub before_sent: u64,
    /// When the first frame of the stream came.
    pub first_arrival_ns: Option<u64>,
    /// When the last frame of the stream came.
    pub last_arrival_ns: Option<u64>,
    /// Time from sending to arrival; none if no frame gave one.
    pub latency: Option<LatencySummary>,
}

/// Latencies in nanoseconds, to three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencySummary {
    /// Frames that gave a latency.
    pub count: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// 99 of 100 are not longer.
    pub p99_ns: u64,
    /// 999 of 1000 are not longer.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl StampReader {
    /// A reader of `stream` that takes whatever comes first as the start.
    pub fn new(stream: u32) -> Self {
        Self::with_tracker(stream, SequenceTracker::new())
    }

    /// A reader of `stream` that knows the first sequence number, so losses at the head count.
    pub fn starting_at(stream: u32, first_sequence: u32) -> Self {
        Self::with_tracker(stream, SequenceTracker::starting_at(first_sequence))
    }

    fn with_tracker(stream: u32, sequence: SequenceTracker) -> Self {
        let latency = Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)
            .expect("bounds of 1 and 3.6e12 at three digits are valid for any histogram");
        Self {
            stream,
            sequence,
            latency,
            received: 0,
            bytes: 0,
            foreign: 0,
            before_sent: 0,
            first_arrival_ns: None,
            last_arrival_ns: 0,
        }
    }

    /// The stream that is read.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Reads one frame that arrived at `now_ns`; returns whether it was of the stream.
    ///
    /// Only the first 60 bytes are looked at; a frame in fragments may be given by its first one,
    /// with [`observe_part`](Self::observe_part).
    #[inline]
    pub fn observe(&mut self, frame: &[u8], now_ns: u64) -> bool {
        self.observe_part(frame, frame.len() as u64, now_ns)
    }

    /// As [`observe`](Self::observe), for a frame of `len` bytes of which `head` is the beginning.
    #[inline]
    pub fn observe_part(&mut self, head: &[u8], len: u64, now_ns: u64) -> bool {
        let Some(stamp) = Stamp::of_frame(head).filter(|stamp| stamp.stream == self.stream) else {
            self.foreign += 1;
            return false;
        };
        self.received += 1;
        self.bytes += len;
        self.sequence.observe(stamp.sequence);
        self.first_arrival_ns.get_or_insert(now_ns);
        self.last_arrival_ns = now_ns;
        match now_ns.checked_sub(stamp.send_time_ns) {
            Some(latency) => self.latency.saturating_record(latency),
            None => self.before_sent += 1,
        }
        true
    }

    /// Sums so far.
    pub fn report(&self) -> StampReport {
        StampReport {
            received: self.received,
            bytes: self.bytes,
            unique: self.sequence.unique(),
            lost: self.sequence.lost(),
            duplicated: self.sequence.duplicated(),
            reordered: self.sequence.reordered(),
            stale: self.sequence.stale(),
            foreign: self.foreign,
            before_sent: self.before_sent,
            first_arrival_ns: self.first_arrival_ns,
            last_arrival_ns: self.first_arrival_ns.map(|_| self.last_arrival_ns),
            latency: self.latency_summary(),
        }
    }

    fn latency_summary(&self) -> Option<LatencySummary> {
        let histogram = &self.latency;
        (!histogram.is_empty()).then(|| LatencySummary {
            count: histogram.len(),
            min_ns: histogram.min(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{StampedTraffic, TrafficConfig};

    fn traffic(stream: u32) -> StampedTraffic {
        StampedTraffic::new(TrafficConfig { stream, ..TrafficConfig::default() }).unwrap()
    }

    #[test]
    fn measures_what_was_done_to_the_frames() {
        let mut traffic = traffic(7);
        let frames: Vec<[u8; 60]> = (0..10)
            .map(|time| {
                let mut frame = [0; 60];
                assert_eq!(traffic.write_frame(&mut frame, time * 1000), 60);
                frame
            })
            .collect();
        let mut reader = StampReader::starting_at(7, 0);
        // 0 and 4 lost, 3 late, 6 twice; 500 ns of latency, the last 900.
        for (index, latency) in [
            (1, 500),
            (2, 500),
            (5, 500),
            (3, 500),
            (6, 500),
            (6, 500),
            (7, 500),
            (8, 500),
            (9, 900),
        ] {
            assert!(reader.observe(&frames[index], index as u64 * 1000 + latency));
        }
        let report = reader.report();
        let expected = StampReport {
            received: 9,
            bytes: 540,
            unique: 8,
            lost: 2,
            duplicated: 1,
            reordered: 1,
            first_arrival_ns: Some(1500),
            last_arrival_ns: Some(9900),
            latency: Some(LatencySummary {
                count: 9,
                min_ns: 500,
                p50_ns: 500,
                p99_ns: 900,
                p999_ns: 900,
                max_ns: 900,
            }),
            ..StampReport::default()
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn foreign_frames_are_counted_and_left_alone() {
        let mut frame = [0; 60];
        traffic(1).write_frame(&mut frame, 0);
        let mut reader = StampReader::new(2);
        assert!(!reader.observe(&frame, 10));
        assert!(!reader.observe(&frame[..59], 10));
        assert!(!reader.observe(&[], 10));
        assert_eq!(reader.report(), StampReport { foreign: 3, ..StampReport::default() });
    }

    #[test]
    fn clocks_that_differ_show() {
        let mut frame = [0; 60];
        traffic(1).write_frame(&mut frame, 100);
        let mut reader = StampReader::new(1);
        assert!(reader.observe(&frame, 99));
        let report = reader.report();
        assert_eq!((report.received, report.before_sent, report.latency), (1, 1, None));
    }

    #[test]
    fn extreme_latencies_saturate() {
        let mut frame = [0; 60];
        traffic(1).write_frame(&mut frame, 0);
        let mut reader = StampReader::new(1);
        reader.observe(&frame, u64::MAX);
        let max = reader.report().latency.unwrap().max_ns;
        assert!((MAX_LATENCY_NS..MAX_LATENCY_NS * 1001 / 1000).contains(&max), "{max}");
    }
}
