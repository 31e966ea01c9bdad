//! How old a holder's views are and how many it had at most, from what readers saw of its counters.

use std::time::Duration;

/// Most checkpoints of one holder; every second one goes when there are more.
const MOST: usize = 32;

/// What readers of one holder's counters saw, kept beside its name.
///
/// ```text
/// acquired   ───●────────●───────────●──────►    checkpoints: (when, how many were ever acquired)
/// released   ─────────▲                          of what is held, the oldest is no younger than
///                     └─ number released + 1     the first checkpoint at or after this number
/// ```
/// Of `k` views held out of `a` acquired, whatever the order in which the others were released, the
/// oldest is at most number `a - k + 1`: `released + 1`. So it was acquired no later than the first
/// checkpoint that counts as many, and after the last moment at which nothing was held. Counting nothing
/// but sums, this costs the ways of frames nothing; a histogram over epochs of acquisition, which would
/// be exact, costs each release one more counter and each shard tens of kilobytes a holder.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Nanoseconds of the monotonic clock, views acquired until then; both ascending.
    checkpoints: Vec<(u64, u64)>,
    /// When nothing was held for the last time, as far as anybody looked.
    idle_ns: u64,
}

/// Bounds on the age of the oldest view a holder has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OldestAge {
    /// It was acquired that long ago, or earlier.
    pub at_least: Duration,
    /// It was acquired that long ago, or later.
    pub at_most: Duration,
}

impl Watch {
    /// A holder that registered at `now_ns` and has nothing.
    pub(super) fn new(now_ns: u64) -> Self {
        Self { checkpoints: Vec::new(), idle_ns: now_ns }
    }

    /// Takes note of counters that were read between `before_ns` and `after_ns`: the age of the oldest
    /// view; none if nothing is held.
    pub(super) fn look(
        &mut self,
        acquired: u64,
        released: u64,
        before_ns: u64,
        after_ns: u64,
    ) -> Option<OldestAge> {
        if acquired <= released {
            self.checkpoints.clear();
            self.idle_ns = before_ns;
            return None;
        }
        self.checkpoints.retain(|&(_, count)| count > released);
        if self.checkpoints.last().is_none_or(|&(_, count)| count < acquired) {
            if self.checkpoints.len() == MOST {
                let mut position = 0;
                self.checkpoints.retain(|_| {
                    position += 1;
                    position % 2 == 1
                });
            }
            self.checkpoints.push((after_ns, acquired));
        }
        let first = self.checkpoints.first().map_or(after_ns, |&(when, _)| when);
        let ago = |when: u64| Duration::from_nanos(after_ns.saturating_sub(when));
        Some(OldestAge { at_least: ago(first), at_most: ago(self.idle_ns) })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn age(at_least: u64, at_most: u64) -> Option<OldestAge> {
        let duration = Duration::from_nanos;
        Some(OldestAge { at_least: duration(at_least), at_most: duration(at_most) })
    }

    #[test]
    fn the_oldest_is_between_the_bounds() {
        let mut watch = Watch::new(100);
        assert_eq!(watch.look(5, 0, 200, 200), age(0, 100), "five since the registration");
        assert_eq!(watch.look(5, 4, 300, 300), age(100, 200), "one of the five");
        assert_eq!(watch.look(9, 4, 400, 400), age(200, 300));
        assert_eq!(watch.look(9, 5, 500, 500), age(100, 400), "number six or an earlier one");
        assert_eq!(watch.look(9, 9, 600, 610), None);
        assert_eq!(watch.look(10, 9, 700, 700), age(0, 100), "since it was seen without any");
    }

    #[test]
    fn many_looks_keep_the_first_and_a_bounded_number() {
        let mut watch = Watch::new(0);
        for look in 1..10_000 {
            assert_eq!(watch.look(look, 0, look, look), age(look - 1, look));
            assert!(watch.checkpoints.len() <= MOST);
        }
    }
}
