//! What happens to a pool as a whole, for programs that wait for it.

use super::handle::Pool;
#[cfg(not(any(loom, shuttle)))]
use crate::fork::Birthplace;
use crate::sync::{AtomicU32, AtomicU64, EventCount, Ordering};
use std::sync::Arc;
#[cfg(not(any(loom, shuttle)))]
use std::time::Instant;

/// Something that happened to a pool as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolEvent {
    /// Fewer buffers are free than the low watermark says.
    LowWatermark,
    /// An allocation found no buffer, for the first time since the pool became low.
    Exhausted,
    /// As many buffers are free again as the high watermark says. It alternates with `LowWatermark`.
    HighWatermark,
    /// The pool was closed while buffers were in flight, which stay valid.
    Orphaned,
    /// The pool was closed or let go of, and every buffer is home: caches have given back theirs as
    /// well. Nothing follows, not even a recovery that another thread has still to tell of.
    Gone,
}

impl PoolEvent {
    /// The name used in metrics labels, JSON keys and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowWatermark => "low_watermark",
            Self::Exhausted => "exhausted",
            Self::HighWatermark => "high_watermark",
            Self::Orphaned => "orphaned",
            Self::Gone => "gone",
        }
    }
}

/// What one change of a pool's state is told as.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) crossing: bool,
    pub(crate) exhausted: bool,
    pub(crate) ends: u32,
}

/// What watchers read. It outlives the pool, whose memory they do not keep.
///
/// ```text
/// crossings    0 ─► 1 low ─► 2 high ─► 3 low ─► …     odd: the pool is low
/// exhaustions  0 ─► 1 ─► 2 ─► …
/// ends         orphaned │ gone
/// ```
/// Crossings alternate, so their number says which they were; no queue is needed, nor memory for those
/// who do not look.
#[derive(Debug)]
pub(crate) struct EventBoard {
    crossings: AtomicU64,
    exhaustions: AtomicU64,
    ends: AtomicU32,
    news: EventCount,
    /// Where both counters began.
    start: u64,
    /// The pool's process: what happens to it happens there.
    #[cfg(not(any(loom, shuttle)))]
    born: Birthplace,
}

impl EventBoard {
    const ORPHANED: u32 = 1;
    pub(crate) const GONE: u32 = 2;

    pub(crate) fn start_at(start: u64) -> Arc<Self> {
        Arc::new(Self {
            crossings: AtomicU64::new(start),
            exhaustions: AtomicU64::new(start),
            ends: AtomicU32::new(0),
            news: EventCount::start_at(start as u32),
            start,
            #[cfg(not(any(loom, shuttle)))]
            born: Birthplace::here(),
        })
    }

    /// Tells the watchers. Two threads that tell of two changes may do so in either order: what they
    /// add up to is the same.
    pub(crate) fn tell(&self, told: Told) {
        if told.crossing {
            // Relaxed: published by the announcement.
            self.crossings.fetch_add(1, Ordering::Relaxed);
        }
        if told.exhausted {
            // Relaxed: as above. Whoever sees it before the crossing tells of it after that (`find`).
            self.exhaustions.fetch_add(1, Ordering::Relaxed);
        }
        if told.ends != 0 {
            // SYNC: Release pairs with the Acquire of `find`: what ends a pool is seen after what this
            // thread told before.
            self.ends.fetch_or(told.ends, Ordering::Release);
        }
        self.news.announce();
    }

    /// Tells that the pool was closed with buffers in flight.
    pub(crate) fn tell_orphaned(&self) {
        self.tell(Told { crossing: false, exhausted: false, ends: Self::ORPHANED });
    }

    /// Tells that the pool is freed, unless that every buffer is home was told before.
    pub(super) fn tell_freed(&self) {
        // Relaxed: whoever frees the pool comes after all who told something.
        if self.ends.load(Ordering::Relaxed) & Self::GONE == 0 {
            self.tell(Told { crossing: false, exhausted: false, ends: Self::GONE });
        }
    }

    /// Crossings and exhaustions so far.
    pub(crate) fn counts(&self) -> [u64; 2] {
        // Relaxed: ordered by the load of the epoch, and by that of the ends.
        [&self.crossings, &self.exhaustions]
            .map(|raw| raw.load(Ordering::Relaxed).wrapping_sub(self.start))
    }
}

/// One watcher of a pool's events, from the moment it was made. It keeps neither the pool nor its
/// memory, and what it has not asked for yet takes no memory: a `LowWatermark` and the `HighWatermark`
/// that followed it are skipped together when later ones are there, and counted in
/// [`PoolEvents::missed`].
///
/// ```
/// use skbpool_pool::{Pool, PoolEvent};
/// let pool = Pool::builder(64).watermarks(8, 16).build()?;
/// let mut events = pool.events();
/// let held: Vec<_> = (0..57).map(|_| pool.alloc()).collect();
/// assert!(pool.is_low());
/// assert_eq!(events.try_next(), Some(PoolEvent::LowWatermark));
/// drop(held);
/// assert_eq!(events.try_next(), Some(PoolEvent::HighWatermark));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PoolEvents {
    board: Arc<EventBoard>,
    /// What was told before.
    crossings: u64,
    exhaustions: u64,
    ends: u32,
    missed: u64,
}

impl PoolEvents {
    pub(crate) fn new(board: Arc<EventBoard>) -> Self {
        let [crossings, exhaustions] = board.counts();
        Self { board, crossings, exhaustions, ends: 0, missed: 0 }
    }

    /// The next event, if there is one. Never waits; a few loads.
    ///
    /// An exhaustion is told as soon as the watcher knows that the pool is low, and to nobody else: to one
    /// that is behind by a `HighWatermark` and a `LowWatermark` it may come before these.
    pub fn try_next(&mut self) -> Option<PoolEvent> {
        self.look().1
    }

    /// The next event; none when the deadline has passed, or at once after [`PoolEvent::Gone`] and in a
    /// forked child.
    #[cfg(not(any(loom, shuttle)))]
    pub fn next_until(&mut self, deadline: Instant) -> Option<PoolEvent> {
        loop {
            let (epoch, event) = self.look();
            let is_over = self.is_over() || self.board.born.is_elsewhere();
            if event.is_some() || is_over || Instant::now() >= deadline {
                return event;
            }
            self.board.news.wait_until(epoch, deadline);
        }
    }

    /// The next event, in a model.
    #[cfg(all(test, any(loom, shuttle)))]
    pub(crate) fn wait_next(&mut self) -> PoolEvent {
        loop {
            let (epoch, event) = self.look();
            if let Some(event) = event {
                return event;
            }
            self.board.news.wait(epoch);
        }
    }

    /// Events that were skipped because later ones of their kind were there.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Whether [`PoolEvent::Gone`] was told.
    pub fn is_over(&self) -> bool {
        self.ends & EventBoard::GONE != 0
    }

    /// The next event, and the number of the news it was looked for in.
    fn look(&mut self) -> (u32, Option<PoolEvent>) {
        let epoch = self.board.news.epoch();
        (epoch, self.find())
    }

    fn find(&mut self) -> Option<PoolEvent> {
        if self.is_over() {
            return None;
        }
        let board = &self.board;
        // SYNC: Acquire pairs with the Release of `tell`: an end is seen after what led to it.
        let ends = board.ends.load(Ordering::Acquire);
        let [crossings, exhaustions] = board.counts();
        // Who tells of the end may overtake who tells of the last crossing: the pool is not low.
        let is_ahead = ends & EventBoard::GONE != 0 && crossings % 2 != 0;
        let crossings = crossings.wrapping_add(u64::from(is_ahead));
        let behind = crossings.wrapping_sub(self.crossings);
        // In pairs, so that what is left still alternates.
        let skipped = behind.saturating_sub(1) & !1;
        let exhausted = exhaustions.wrapping_sub(self.exhaustions);
        self.crossings = self.crossings.wrapping_add(skipped);
        self.missed += skipped + exhausted.saturating_sub(1);
        self.exhaustions = exhaustions.wrapping_sub(exhausted.min(1));
        let is_low = self.crossings % 2 != 0;
        if behind != 0 && !is_low {
            self.crossings = self.crossings.wrapping_add(1);
            return Some(PoolEvent::LowWatermark);
        }
        // Not yet if the thread that made the pool low has still to tell of it.
        if exhausted != 0 && is_low {
            self.exhaustions = exhaustions;
            return Some(PoolEvent::Exhausted);
        }
        if behind != 0 {
            self.crossings = self.crossings.wrapping_add(1);
            return Some(PoolEvent::HighWatermark);
        }
        for (end, event) in
            [(EventBoard::ORPHANED, PoolEvent::Orphaned), (EventBoard::GONE, PoolEvent::Gone)]
        {
            if ends & !self.ends & end != 0 {
                self.ends |= end;
                return Some(event);
            }
        }
        None
    }
}

impl Pool {
    /// A watcher of what happens from now on. Look at [`Pool::is_low`] after making it: what began
    /// before is not told.
    pub fn events(&self) -> PoolEvents {
        PoolEvents::new(Arc::clone(&self.inner().board))
    }
}
