//! When the next frame is due on a line of a given rate.
//!
//! ```text
//!                       │◄────────── catch-up ────────►│
//!   ───┼─────────┼──────│──┼─────────┼─────────┼───────│──► time
//!   missed    missed      due       due       due     now      (┼: the last bit of a frame)
//! ```
//!
//! The line earns credit with every nanosecond and a frame costs credit. Credit is counted in units
//! of which one nanosecond earns exactly `rate` and one second exactly `rate * 10^9`, so nothing is
//! rounded and nothing drifts, at any rate and for any mix of sizes.

use crate::line_rate::wire_bits;
use crate::rate::Rate;

/// How far behind the line a late caller may be and still catch up, in nanoseconds: 100 ms.
///
/// Longer than a general-purpose scheduler keeps a runnable thread waiting on a busy machine.
pub const DEFAULT_CATCH_UP_NS: u64 = 100_000_000;

const NS_PER_SECOND: u128 = 1_000_000_000;

/// What has become due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Frames whose last bit has passed and that were not taken yet; `u64::MAX` if unpaced.
    pub frames: u64,
    /// Frames that passed so long ago that they are over; reported once.
    pub missed: u64,
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Its last bit has passed: deliver it.
    Deliver,
    /// It passed longer ago than the catch-up allows: skip it and count it as missed.
    Missed,
    /// It is still on the wire: come back at [`Pacer::next_due`].
    NotYet,
}

/// Paces frames at a line's rate; holds no clock, every time is the caller's.
///
/// A frame is due when its last bit has passed. A line does not wait for a late caller: it keeps
/// its rate, frames wait in the card for the catch-up time, and what is older is missed, except that
/// the newest frame always waits. Taken, waiting and missed frames always add up to what the rate
/// gives for the time since the start.
///
/// Times are nanoseconds of any monotonic clock; a time before the last one seen earns nothing.
///
/// ```
/// use skbpool_nic::{Pacer, Rate};
/// let mut pacer = Pacer::new(Rate::bits_per_second(1_000_000_000)?, 0);
/// let due = pacer.due(1_000_000, 64); // one millisecond of 64-byte frames, 672 ns each
/// assert_eq!((due.frames, due.missed), (1488, 0));
/// pacer.sent(1488, 64);
/// assert_eq!(pacer.next_due(1_000_000, 64), 1489 * 672);
/// # Ok::<(), skbpool_nic::RateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pacer {
    rate: Rate,
    /// Credit that a nanosecond earns; a second of it pays for `rate` bits or frames.
    credit_per_ns: u64,
    /// Earned and not yet spent.
    credit: u128,
    catch_up_ns: u64,
    last_ns: u64,
}

impl Pacer {
    /// A line that begins its first frame at `start_ns`.
    pub fn new(rate: Rate, start_ns: u64) -> Self {
        let credit_per_ns = match rate {
            Rate::BitsPerSecond(rate) | Rate::FramesPerSecond(rate) => rate.get(),
            Rate::Max => 0,
        };
        Self { rate, credit_per_ns, credit: 0, catch_up_ns: DEFAULT_CATCH_UP_NS, last_ns: start_ns }
    }

    /// Sets how far behind a late caller may be and still catch up.
    pub fn with_catch_up(mut self, catch_up_ns: u64) -> Self {
        self.catch_up_ns = catch_up_ns;
        self
    }

    /// The rate that is kept.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Frames of `frame_size` bytes that are due at `now_ns`, and those that are over.
    ///
    /// The frames stay due until [`sent`](Self::sent) takes them. Two divisions of 128 bits a call:
    /// meant for a burst, not for every frame.
    pub fn due(&mut self, now_ns: u64, frame_size: u32) -> Due {
        let Some(cost) = self.cost(frame_size) else {
            return Due { frames: u64::MAX, missed: 0 };
        };
        self.earn(now_ns);
        let waiting = self.credit / cost;
        let age = self.credit.saturating_sub(cost);
        let overdue = age.saturating_sub(self.patience()).div_ceil(cost);
        let missed = overdue.min(waiting.saturating_sub(1));
        self.credit -= missed * cost;
        Due { frames: saturate(waiting - missed), missed: saturate(missed) }
    }

    /// Takes `frames` frames of `frame_size` bytes that [`due`](Self::due) reported.
    ///
    /// Frames beyond those are taken from what is due later.
    pub fn sent(&mut self, frames: u64, frame_size: u32) {
        if let Some(cost) = self.cost(frame_size) {
            self.credit = self.credit.saturating_sub(u128::from(frames) * cost);
        }
    }

    /// Decides on the next frame, for sources whose sizes vary; takes it unless it is `NotYet`.
    ///
    /// No division: meant for every frame.
    pub fn admit(&mut self, now_ns: u64, frame_size: u32) -> Admission {
        let Some(cost) = self.cost(frame_size) else {
            return Admission::Deliver;
        };
        self.earn(now_ns);
        if self.credit < cost {
            return Admission::NotYet;
        }
        self.credit -= cost;
        // What is left is the age of this frame's last bit, in credit.
        let missed = self.credit > self.patience() && self.credit >= cost;
        if missed { Admission::Missed } else { Admission::Deliver }
    }

    /// When the next frame of `frame_size` bytes will be due; `now_ns` if it already is.
    pub fn next_due(&self, now_ns: u64, frame_size: u32) -> u64 {
        let Some(cost) = self.cost(frame_size) else {
            return now_ns;
        };
        let wait = cost.saturating_sub(self.credit).div_ceil(u128::from(self.credit_per_ns));
        self.last_ns.saturating_add(saturate(wait)).max(now_ns)
    }

    /// Credit that a frame costs; `None` if the line is not paced.
    #[inline]
    fn cost(&self, frame_size: u32) -> Option<u128> {
        match self.rate {
            Rate::BitsPerSecond(_) => Some(u128::from(wire_bits(frame_size)) * NS_PER_SECOND),
            Rate::FramesPerSecond(_) => Some(NS_PER_SECOND),
            Rate::Max => None,
        }
    }

    /// The catch-up time in credit.
    #[inline]
    fn patience(&self) -> u128 {
        u128::from(self.credit_per_ns) * u128::from(self.catch_up_ns)
    }

    #[inline]
    fn earn(&mut self, now_ns: u64) {
        let elapsed = now_ns.saturating_sub(self.last_ns);
        if elapsed > 0 {
            let earned = u128::from(elapsed) * u128::from(self.credit_per_ns);
            self.credit = self.credit.saturating_add(earned);
            self.last_ns = now_ns;
        }
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(rate: u64) -> Rate {
        Rate::bits_per_second(rate).unwrap()
    }

    #[test]
    fn ten_seconds_of_line_rate_are_exact() {
        for (rate, frames) in [
            (bits(1_000_000_000), 14_880_952),
            (bits(10_000_000_000), 148_809_523),
            (bits(100_000_000_000), 1_488_095_238),
            (Rate::frames_per_second(148_800_000).unwrap(), 1_488_000_000),
            (Rate::frames_per_second(3).unwrap(), 30),
        ] {
            let mut pacer = Pacer::new(rate, 7);
            let (mut sent, mut now) = (0, 7);
            while now < 10_000_000_007 {
                now = (now + 333_331).min(10_000_000_007);
                let due = pacer.due(now, 64);
                assert_eq!(due.missed, 0);
                pacer.sent(due.frames, 64);
                sent += due.frames;
            }
            assert_eq!(sent, frames, "{rate}");
        }
    }

    #[test]
    fn a_frame_is_due_when_its_last_bit_has_passed() {
        let mut pacer = Pacer::new(bits(1_000_000_000), 1000);
        assert_eq!(pacer.next_due(1000, 64), 1672);
        assert_eq!(pacer.due(1671, 64).frames, 0);
        assert_eq!(pacer.next_due(1671, 64), 1672);
        assert_eq!(pacer.due(1672, 64).frames, 1);
        assert_eq!(pacer.next_due(1700, 64), 1700);
        assert_eq!(pacer.admit(1672, 64), Admission::Deliver);
        assert_eq!(pacer.admit(1672, 64), Admission::NotYet);
    }

    #[test]
    fn a_late_caller_catches_up_within_bounds() {
        let mut pacer = Pacer::new(bits(1_000_000_000), 0).with_catch_up(6_720);
        let due = pacer.due(672_000, 64);
        assert_eq!(due, Due { frames: 11, missed: 989 });
        assert_eq!(pacer.due(672_000, 64), Due { frames: 11, missed: 0 });
        pacer.sent(11, 64);
        assert_eq!(pacer.due(672_672, 64), Due { frames: 1, missed: 0 });
    }

    #[test]
    fn one_frame_may_always_wait() {
        let mut pacer = Pacer::new(Rate::frames_per_second(1).unwrap(), 0).with_catch_up(0);
        assert_eq!(pacer.due(1_000_000_000, 64), Due { frames: 1, missed: 0 });
        assert_eq!(pacer.due(1_999_999_999, 64), Due { frames: 1, missed: 0 });
        assert_eq!(pacer.due(3_000_000_000, 64), Due { frames: 1, missed: 2 });
    }

    #[test]
    fn unpaced_is_always_due() {
        let mut pacer = Pacer::new(Rate::Max, 0);
        assert_eq!(pacer.due(0, 64), Due { frames: u64::MAX, missed: 0 });
        assert_eq!(pacer.admit(0, 64), Admission::Deliver);
        assert_eq!(pacer.next_due(5, 64), 5);
    }

    #[test]
    fn time_may_stand_still_run_back_or_end() {
        let mut pacer = Pacer::new(bits(1_000_000_000), 10_000);
        assert_eq!(pacer.due(0, 64).frames, 0);
        assert_eq!(pacer.due(10_672, 64).frames, 1);
        assert_eq!(pacer.due(5_000, 64).frames, 1);
        let due = pacer.due(u64::MAX, 64);
        assert!(due.frames.abs_diff(DEFAULT_CATCH_UP_NS / 672) <= 1);
        assert_eq!(due.frames + due.missed, (u64::MAX - 10_000) / 672);
        let mut fastest = Pacer::new(Rate::FramesPerSecond(std::num::NonZeroU64::MAX), 0);
        let due = fastest.due(u64::MAX, 64);
        assert_eq!(due.missed, u64::MAX);
    }

    proptest! {
        #[test]
        fn nothing_is_gained_or_lost(
            rate in 1_000_000u64..=400_000_000_000,
            size in 64u32..=9216,
            steps in prop::collection::vec((0u64..2_000_000, 0u64..=100), 1..80),
        ) {
            let mut pacer = Pacer::new(bits(rate), 0).with_catch_up(1_000_000);
            let (mut now, mut sent, mut missed, mut waiting) = (0u64, 0u64, 0u64, 0u64);
            for (step, percent) in steps {
                now += step;
                let due = pacer.due(now, size);
                let take = due.frames * percent / 100;
                pacer.sent(take, size);
                sent += take;
                missed += due.missed;
                waiting = due.frames - take;
            }
            let whole = u128::from(now) * u128::from(rate) / (u128::from(wire_bits(size)) * NS_PER_SECOND);
            prop_assert_eq!(u128::from(sent + missed + waiting), whole);
        }

        #[test]
        fn both_ways_agree_on_what_is_missed(
            rate in 1_000_000u64..=400_000_000_000,
            size in 64u32..=9216,
            catch_up in 0u64..50_000,
            late in 0u64..100_000,
        ) {
            let mut burst = Pacer::new(bits(rate), 0).with_catch_up(catch_up);
            let mut single = burst.clone();
            let due = burst.due(late, size);
            for _ in 0..due.missed {
                prop_assert_eq!(single.admit(late, size), Admission::Missed);
            }
            for _ in 0..due.frames {
                prop_assert_eq!(single.admit(late, size), Admission::Deliver);
            }
            prop_assert_eq!(single.admit(late, size), Admission::NotYet);
        }

        #[test]
        fn sizes_may_vary(
            rate in 1_000_000u64..=400_000_000_000,
            sizes in prop::collection::vec(64u32..=9216, 1..60),
        ) {
            let mut pacer = Pacer::new(bits(rate), 0);
            let (mut now, mut wire) = (0, 0u128);
            for size in sizes {
                let next = pacer.next_due(now, size);
                if next > now {
                    prop_assert_eq!(pacer.admit(next - 1, size), Admission::NotYet);
                }
                prop_assert_eq!(pacer.admit(next, size), Admission::Deliver);
                now = next;
                wire += u128::from(wire_bits(size));
                // The last bit of this frame has passed, and not a whole nanosecond ago.
                let passed = u128::from(now) * u128::from(rate);
                prop_assert!(passed >= wire * NS_PER_SECOND);
                prop_assert!(passed < wire * NS_PER_SECOND + u128::from(rate));
            }
        }
    }
}
