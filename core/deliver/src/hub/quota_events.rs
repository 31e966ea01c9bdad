//! When a consumer goes over its quota, has room again, and is gone, for programs that wait for it.

use crate::sync::{AtomicU64, EventCount, Ordering};
#[cfg(not(any(loom, shuttle)))]
use skbpool_pool::fork::Birthplace;
use std::sync::Arc;
#[cfg(not(any(loom, shuttle)))]
use std::time::Instant;

/// What happened to a consumer's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaEvent {
    /// A frame was for it that its quota had no view for; not one that it could not take if it held
    /// nothing, which its drops tell.
    Exceeded,
    /// It holds half of its quota or less again; told when a driver next delivers to it.
    Recovered,
    /// The consumer was detached. Nothing follows; what it went through before is told first, and no
    /// recovery is, if it was over its quota to the end.
    Gone,
}

impl QuotaEvent {
    /// The name used in metrics labels, JSON keys and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exceeded => "quota_exceeded",
            Self::Recovered => "quota_recovered",
            Self::Gone => "quota_gone",
        }
    }
}

/// ```text
/// crossings  0 ── refused ──► 1 ── half is free ──► 2 ── refused ──► 3 …     odd: over the quota
///            any of them ── detached ──► the same + GONE                      stays
/// ```
/// State and count are one number, so each crossing is one exchange of it and the two alternate, and what
/// came before the end is known with it.
#[derive(Debug)]
pub(crate) struct QuotaBoard {
    crossings: AtomicU64,
    news: EventCount,
    /// Drivers deliver in the process that made it, in no other.
    #[cfg(not(any(loom, shuttle)))]
    born: Birthplace,
}

/// The bit that says that the consumer was detached.
const GONE: u64 = 1 << 63;

impl QuotaBoard {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            crossings: AtomicU64::new(0),
            news: EventCount::start_at(0),
            #[cfg(not(any(loom, shuttle)))]
            born: Birthplace::here(),
        })
    }

    /// Whether it went over its quota, and did not recover since.
    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        // Relaxed: a hint; the exchange decides.
        is_over(self.crossings.load(Ordering::Relaxed))
    }

    /// Goes over the quota, or recovers; does nothing if that is so already, or after the end.
    #[cold]
    pub(crate) fn set_over(&self, over: bool) {
        let cross = |crossings: u64| {
            (crossings & GONE == 0 && is_over(crossings) != over).then(|| (crossings + 1) & !GONE)
        };
        // Relaxed: published by the announcement.
        let crossed = self.crossings.fetch_update(Ordering::Relaxed, Ordering::Relaxed, cross);
        if crossed.is_ok() {
            self.news.announce();
        }
    }

    /// Says that the consumer was detached.
    pub(crate) fn tell_end(&self) {
        // Relaxed: published by the announcement.
        self.crossings.fetch_or(GONE, Ordering::Relaxed);
        self.news.announce();
    }
}

fn is_over(crossings: u64) -> bool {
    crossings % 2 != 0
}

/// One watcher of a consumer's quota, from the moment it was made. What it has not asked for takes no
/// memory: pairs of `Exceeded` and `Recovered` are skipped when later ones are there, and counted.
/// It ends with [`QuotaEvent::Gone`].
#[derive(Debug)]
pub struct QuotaEvents {
    board: Arc<QuotaBoard>,
    /// Crossings that were told or skipped.
    told: u64,
    missed: u64,
    /// That the consumer is gone was told.
    over: bool,
}

impl QuotaEvents {
    pub(crate) fn new(board: Arc<QuotaBoard>) -> Self {
        // Relaxed: where to begin.
        let told = board.crossings.load(Ordering::Relaxed) & !GONE;
        Self { board, told, missed: 0, over: false }
    }

    /// The next event, if there is one. Never waits.
    pub fn try_next(&mut self) -> Option<QuotaEvent> {
        // Relaxed: what is told after the epoch was read raises it.
        let crossings = self.board.crossings.load(Ordering::Relaxed);
        let behind = crossings.wrapping_sub(self.told) & !GONE;
        if behind == 0 {
            let ends = crossings & GONE != 0 && !self.over;
            self.over |= ends;
            return ends.then_some(QuotaEvent::Gone);
        }
        // In pairs, so that what is left still alternates.
        let skipped = (behind - 1) & !1;
        self.missed += skipped;
        self.told = (self.told + skipped + 1) & !GONE;
        Some(if is_over(self.told) { QuotaEvent::Exceeded } else { QuotaEvent::Recovered })
    }

    /// The next event; none when the deadline has passed, or at once after [`QuotaEvent::Gone`] and in a
    /// forked child.
    #[cfg(not(any(loom, shuttle)))]
    pub fn next_until(&mut self, deadline: Instant) -> Option<QuotaEvent> {
        loop {
            let epoch = self.board.news.epoch();
            let event = self.try_next();
            let is_over = self.is_over() || self.board.born.is_elsewhere();
            if event.is_some() || is_over || Instant::now() >= deadline {
                return event;
            }
            self.board.news.wait_until(epoch, deadline);
        }
    }

    /// The next event, in a model.
    #[cfg(all(test, loom))]
    pub(crate) fn wait_next(&mut self) -> QuotaEvent {
        loop {
            let epoch = self.board.news.epoch();
            if let Some(event) = self.try_next() {
                return event;
            }
            self.board.news.wait(epoch);
        }
    }

    /// Whether [`QuotaEvent::Gone`] was told.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Events that were skipped because later ones were there.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
