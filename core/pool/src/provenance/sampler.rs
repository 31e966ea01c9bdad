//! Which allocation is recorded next.
//!
//! Of each stretch of `every` allocations one is recorded, at a place that a hash of the stretch's
//! number chooses. A fixed step would always meet the same phase of a loop whose allocations alternate
//! between sites, if its period divides the step; here each phase is met with its own share, since the
//! place is uniform in the stretch and the phases are. Each allocation is recorded with probability
//! 1 ÷ `every`, so a count of records times `every` is an unbiased estimate; and there is exactly one a
//! stretch, so it varies less than with independent draws.

use super::mode::Mode;
use super::table::Log;

/// Chooses among the allocations of one counter, which only its owner advances.
#[derive(Debug)]
pub(crate) struct Sampler {
    mode: Mode,
    /// Value of the counter at which an allocation is recorded next; wraps with the counter.
    next: u64,
    /// Value of the counter at the beginning of the stretch that `next` is in.
    stretch: u64,
    /// Number of that stretch.
    number: u64,
    seed: u64,
}

impl Sampler {
    /// A sampler of a counter at `count`, in the mode of `log`.
    pub(crate) fn new(log: &Log, count: u64) -> Self {
        let mut this = Self::off(count, log.number_sampler());
        this.switch(log.mode_signalled(), count);
        this
    }

    /// A sampler that is off, of a counter at `count`.
    fn off(count: u64, seed: u64) -> Self {
        let mut this = Self { mode: Mode::OFF, next: 0, stretch: count, number: 0, seed };
        this.place();
        this
    }

    #[inline(always)]
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Takes another mode from `count` on.
    pub(crate) fn switch(&mut self, mode: Mode, count: u64) {
        *self = Self { mode, stretch: count, ..*self };
        self.place();
    }

    /// Whether one of the allocations up to `count` is to be recorded.
    #[inline(always)]
    pub(crate) fn is_due(&self, count: u64) -> bool {
        // As a difference, since the counter wraps.
        (count.wrapping_sub(self.next) as i64) > 0
    }

    /// Tells of an allocation that is not in the counter.
    pub(crate) fn count_one(&mut self) {
        self.next = self.next.wrapping_sub(1);
        self.stretch = self.stretch.wrapping_sub(1);
    }

    /// Takes the next allocation to be recorded up to `count`: how many allocations there were after it.
    pub(crate) fn take(&mut self, count: u64) -> Option<u64> {
        if !self.is_due(count) {
            return None;
        }
        let behind = count.wrapping_sub(self.next) - 1;
        if self.mode.is_off() {
            // The counter came near the far end of its range.
            self.stretch = count;
            self.place();
            return None;
        }
        self.stretch = self.stretch.wrapping_add(1 << self.mode.rate());
        self.number = self.number.wrapping_add(1);
        self.place();
        Some(behind)
    }

    fn place(&mut self) {
        let ahead = if self.mode.is_off() {
            1 << 62
        } else {
            place_in(self.number, self.seed, self.mode.rate())
        };
        self.next = self.stretch.wrapping_add(ahead);
    }
}

/// Whether the allocation that a shared counter gave the number `count` is to be recorded.
pub(crate) fn is_sampled(mode: Mode, count: u64) -> bool {
    if mode.is_off() {
        return false;
    }
    let rate = mode.rate();
    count & ((1 << rate) - 1) == place_in(count >> rate, 0, rate)
}

/// Place in a stretch, below `1 << rate`.
fn place_in(stretch: u64, seed: u64, rate: u32) -> u64 {
    // The finalizer of splitmix64 (Steele, Lea, Flood 2014).
    let mut z =
        stretch.wrapping_add(seed << 40).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) & ((1 << rate) - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::provenance::Provenance;

    fn sampled(every: u32) -> Mode {
        Mode::from(Provenance::Sampled { every })
    }

    /// Records of each phase of a loop over `period` sites.
    fn phases(sampler: &mut Sampler, start: u64, allocations: u64, period: u64) -> Vec<u64> {
        let mut met = vec![0; period as usize];
        for allocation in 0..allocations {
            let count = start.wrapping_add(allocation + 1);
            while let Some(behind) = sampler.take(count) {
                assert_eq!(behind, 0);
                met[(allocation % period) as usize] += 1;
            }
        }
        met
    }

    #[test]
    fn no_period_hides_a_site() {
        for start in [0, u64::MAX - 3] {
            for period in [2, 3, 64, 1024] {
                let mut sampler = Sampler::off(start, 7);
                sampler.switch(sampled(1024), start);
                let met = phases(&mut sampler, start, 1024 * 1024 * 16, period);
                assert_eq!(met.iter().sum::<u64>(), 1024 * 16, "one a stretch");
                let share = 1024 * 16 / period;
                assert!(met.iter().all(|&met| met > 0 && met < 3 * share), "{period}: {met:?}");
            }
        }
    }

    #[test]
    fn the_shared_counter_has_one_a_stretch_too() {
        for period in [2, 64] {
            let mut met = vec![0; period];
            (0..1 << 20)
                .filter(|&count| is_sampled(sampled(64), count))
                .for_each(|count| met[count as usize % period] += 1);
            assert_eq!(met.iter().sum::<u64>(), 1 << 14);
            assert!(met.iter().all(|&met| met > 0), "{met:?}");
        }
    }

    #[test]
    fn every_one_of_a_bulk_in_full_mode_and_none_when_off() {
        let mut sampler = Sampler::off(5, 0);
        assert!(!sampler.is_due(1_000_000));
        sampler.switch(Mode::from(Provenance::Full), 5);
        let behind: Vec<u64> = std::iter::from_fn(|| sampler.take(9)).collect();
        assert_eq!(behind, [3, 2, 1, 0]);
        sampler.count_one();
        assert_eq!(sampler.take(9), Some(0), "one that the counter does not tell of");
    }
}
