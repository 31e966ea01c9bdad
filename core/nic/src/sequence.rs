//! Loss, duplication and reordering, from sequence numbers alone.

/// How far behind the newest frame a late one is still recognised, in frames.
pub const SEQUENCE_WINDOW: u32 = 65_536;

const WORDS: usize = SEQUENCE_WINDOW as usize / 64;
/// Extended sequence numbers start here, so that frames from before the first can be numbered too.
const EPOCH: u64 = 1 << 32;

/// What one arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The newest so far; a gap before it counts as lost until it is filled.
    InOrder,
    /// New, but a later one came first.
    Reordered,
    /// Already seen.
    Duplicate,
    /// So far behind that it cannot be told whether it was seen.
    Stale,
}

/// Follows the 32-bit sequence numbers of one stream; they may wrap any number of times.
///
/// ```text
///        first                      newest
///          │◄──────── expected ───────►│
///   ───────┼───────────┬───────────────┼──────► sequence
///                      │◄─── window ──►│        one bit a number: seen or not
/// ```
///
/// - **expected**: numbers from the first to the newest, both included.
/// - **unique**: expected numbers that arrived, each once.
/// - **lost** = expected − unique. A gap is lost until a late frame fills it.
/// - **duplicated**: arrivals of a number already seen (RFC 5560: the first copy is the frame, the
///   others are duplicates).
/// - **reordered**: first copies smaller than the newest before them (RFC 4737, section 3.3,
///   Type-P-Reordered: `s < NextExp`).
/// - **stale**: arrivals 65,536 or more behind the newest, or before a start that was given. Not
///   counted as anything else; their numbers stay lost if nothing else filled them.
///
/// Numbers are compared by serial arithmetic: of two numbers, the one less than 2^31 ahead is later.
/// Memory: 8 KiB. An arrival in order costs a few instructions.
#[derive(Clone, Debug)]
pub struct SequenceTracker {
    /// Bit `n % 65,536` is set if extended number `n`, within the window, has arrived.
    seen: Box<[u64; WORDS]>,
    /// Extended number of the first expected frame; below `newest + 1` once anything was expected.
    first: u64,
    /// Extended number of the newest arrival; `first - 1` before one.
    newest: u64,
    /// The stream's start was given, so nothing before it is expected.
    anchored: bool,
    started: bool,
    unique: u64,
    duplicated: u64,
    reordered: u64,
    stale: u64,
}

impl Default for SequenceTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl SequenceTracker {
    /// A tracker that takes whatever comes first as the start; losses before it cannot be known.
    pub fn new() -> Self {
        Self {
            seen: Box::new([0; WORDS]),
            first: EPOCH,
            newest: EPOCH - 1,
            anchored: false,
            started: false,
            unique: 0,
            duplicated: 0,
            reordered: 0,
            stale: 0,
        }
    }

    /// A tracker of a stream that starts with `first`, so that losses at its head count.
    pub fn starting_at(first: u32) -> Self {
        let first = EPOCH + u64::from(first);
        Self { first, newest: first - 1, anchored: true, started: true, ..Self::new() }
    }

    /// Takes note of one arrival.
    #[inline]
    pub fn observe(&mut self, sequence: u32) -> Arrival {
        if !self.started {
            self.started = true;
            self.first = EPOCH + u64::from(sequence);
            self.newest = self.first - 1;
        }
        let ahead = sequence.wrapping_sub(self.newest as u32) as i32;
        if ahead > 0 {
            self.advance(ahead.unsigned_abs());
            self.unique += 1;
            return Arrival::InOrder;
        }
        let number = self.newest - u64::from(ahead.unsigned_abs());
        let before_start = self.anchored && number < self.first;
        if ahead.unsigned_abs() >= SEQUENCE_WINDOW || before_start {
            self.stale += 1;
            return Arrival::Stale;
        }
        let (word, bit) = place(number);
        if self.seen[word] & bit != 0 {
            self.duplicated += 1;
            return Arrival::Duplicate;
        }
        self.seen[word] |= bit;
        self.first = self.first.min(number);
        self.unique += 1;
        self.reordered += 1;
        Arrival::Reordered
    }

    /// Moves the window `by` numbers on and marks its new end as seen.
    #[inline]
    fn advance(&mut self, by: u32) {
        if by > 1 {
            self.forget_skipped(by - 1);
        }
        self.newest += u64::from(by);
        let (word, bit) = place(self.newest);
        self.seen[word] |= bit;
    }

    /// Clears the bits of the `count` numbers after the newest: they are expected and not seen.
    #[cold]
    fn forget_skipped(&mut self, count: u32) {
        if count >= SEQUENCE_WINDOW {
            self.seen.fill(0);
            return;
        }
        for number in self.newest + 1..=self.newest + u64::from(count) {
            let (word, bit) = place(number);
            self.seen[word] &= !bit;
        }
    }

    /// Numbers from the first to the newest.
    pub fn expected(&self) -> u64 {
        self.newest + 1 - self.first
    }

    /// Expected numbers that arrived.
    pub fn unique(&self) -> u64 {
        self.unique
    }

    /// Expected numbers that did not arrive (yet).
    pub fn lost(&self) -> u64 {
        self.expected() - self.unique
    }

    /// Numbers that did not arrive of the `sent` that were sent, losses at the tail included.
    pub fn lost_of(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.unique)
    }

    /// Further copies of numbers already seen.
    pub fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// Numbers that arrived after a later one.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Arrivals too far behind to judge.
    pub fn stale(&self) -> u64 {
        self.stale
    }

    /// The newest number, if one arrived.
    pub fn newest(&self) -> Option<u32> {
        (self.newest >= self.first).then_some(self.newest as u32)
    }
}

#[inline]
fn place(number: u64) -> (usize, u64) {
    ((number / 64) as usize % WORDS, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn counts(tracker: &SequenceTracker) -> [u64; 4] {
        [tracker.lost(), tracker.duplicated(), tracker.reordered(), tracker.stale()]
    }

    #[test]
    fn order_loss_reordering_duplication() {
        let mut tracker = SequenceTracker::new();
        assert_eq!((tracker.newest(), tracker.expected()), (None, 0));
        use Arrival::*;
        for (sequence, arrival) in [
            (10, InOrder),
            (11, InOrder),
            (14, InOrder),
            (12, Reordered),
            (12, Duplicate),
            (14, Duplicate),
            (9, Reordered),
            (15, InOrder),
        ] {
            assert_eq!(tracker.observe(sequence), arrival, "{sequence}");
        }
        // 9 to 15 expected, 13 missing.
        assert_eq!((tracker.expected(), tracker.unique()), (7, 6));
        assert_eq!(counts(&tracker), [1, 2, 2, 0]);
        assert_eq!(tracker.newest(), Some(15));
        assert_eq!(tracker.lost_of(10), 4);
    }

    #[test]
    fn a_given_start_counts_losses_before_the_first() {
        let mut tracker = SequenceTracker::starting_at(0);
        assert_eq!(counts(&tracker), [0; 4]);
        assert_eq!(tracker.observe(3), Arrival::InOrder);
        assert_eq!(tracker.observe(u32::MAX), Arrival::Stale);
        assert_eq!(tracker.observe(0), Arrival::Reordered);
        assert_eq!(counts(&tracker), [2, 0, 1, 1]);
    }

    #[test]
    fn wraps_like_any_other_step() {
        for start in [u32::MAX - 3, u32::MAX - 70_000, 0x7fff_fffd] {
            let mut tracker = SequenceTracker::starting_at(start);
            for step in 0..140_000u32 {
                if step % 7 == 3 {
                    continue;
                }
                assert_eq!(tracker.observe(start.wrapping_add(step)), Arrival::InOrder);
                assert_eq!(tracker.observe(start.wrapping_add(step)), Arrival::Duplicate);
            }
            assert_eq!(counts(&tracker), [20_000, 120_000, 0, 0]);
            assert_eq!(tracker.expected(), 140_000);
        }
    }

    #[test]
    fn the_window_has_an_end() {
        let mut tracker = SequenceTracker::new();
        tracker.observe(0);
        tracker.observe(SEQUENCE_WINDOW);
        assert_eq!(tracker.observe(0), Arrival::Stale);
        assert_eq!(tracker.observe(1), Arrival::Reordered);
        assert_eq!(tracker.observe(1), Arrival::Duplicate);
        // A jump over the whole window leaves no old bit behind.
        tracker.observe(SEQUENCE_WINDOW + 3 * SEQUENCE_WINDOW);
        assert_eq!(tracker.observe(SEQUENCE_WINDOW + 2 * SEQUENCE_WINDOW + 1), Arrival::Reordered);
        assert_eq!(tracker.lost(), 4 * u64::from(SEQUENCE_WINDOW) + 1 - 5);
    }

    #[test]
    fn a_number_skipped_is_forgotten_whatever_stood_there_before() {
        for gap in 1..4 {
            let mut tracker = SequenceTracker::new();
            (0..SEQUENCE_WINDOW)
                .for_each(|sequence| assert_eq!(tracker.observe(sequence), Arrival::InOrder));
            tracker.observe(SEQUENCE_WINDOW + gap);
            for skipped in SEQUENCE_WINDOW..SEQUENCE_WINDOW + gap {
                assert_eq!(tracker.observe(skipped), Arrival::Reordered);
            }
            assert_eq!(tracker.lost(), 0);
        }
    }

    #[test]
    fn half_way_round_is_behind() {
        let mut tracker = SequenceTracker::new();
        tracker.observe(0);
        assert_eq!(tracker.observe(1 << 31), Arrival::Stale);
        assert_eq!(tracker.observe((1 << 31) - 1), Arrival::InOrder);
        assert_eq!(tracker.lost(), (1 << 31) - 2);
    }

    proptest! {
        /// Against sets and 64-bit numbers, for arrivals that stay within the window.
        #[test]
        fn agrees_with_a_model(start: u32, steps in prop::collection::vec(-3000i64..3200, 1..400)) {
            let mut tracker = SequenceTracker::new();
            let (mut position, mut newest) = (0i64, i64::MIN);
            let mut seen = HashSet::new();
            let (mut duplicated, mut reordered) = (0, 0);
            for step in steps {
                position = (position + step).max(newest.saturating_sub(60_000));
                match (seen.insert(position), position < newest) {
                    (false, _) => duplicated += 1,
                    (true, true) => reordered += 1,
                    (true, false) => {}
                }
                newest = newest.max(position);
                tracker.observe(start.wrapping_add(position as u32));
            }
            let first = seen.iter().min().unwrap();
            prop_assert_eq!(tracker.expected(), (newest - first + 1) as u64);
            prop_assert_eq!(tracker.unique(), seen.len() as u64);
            prop_assert_eq!(counts(&tracker), [(newest - first + 1) as u64 - seen.len() as u64, duplicated, reordered, 0]);
        }
    }
}
