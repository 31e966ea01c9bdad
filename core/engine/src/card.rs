//! Both sides of an emulated card, in the hands of the thread that runs them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use skbpool_nic::{FrameSource, Hardware, HardwareStats, Rate, RxLoop, RxSink, wire_bits};
use skbpool_pool::Reservation;
use skbpool_pool::clock::monotonic_ns;
use std::sync::Arc;

/// Frames between two looks at the clock, and completed buffers handled in between.
pub(crate) const BURST: u32 = 256;

/// How long the card sleeps when nothing is due.
const NAPS: std::ops::RangeInclusive<u64> = 50_000..=500_000;

/// Longest wait for room, or for a source that has nothing yet, before it is looked whether the card was
/// stopped.
pub(crate) const WAIT: Duration = Duration::from_millis(10);

/// What the thread and whoever watches it share.
#[derive(Debug, Default)]
pub(crate) struct CardShared {
    stop: AtomicBool,
    progress: Mutex<Progress>,
}

/// How far the line is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// What the card counted, before the driver saw it.
    pub(crate) hardware: HardwareStats,
    /// When the line came up.
    pub(crate) started_ns: Option<u64>,
    /// When it went dead.
    pub(crate) ended_ns: Option<u64>,
    /// What ended it before its time.
    pub(crate) error: Option<String>,
}

impl Progress {
    /// How long the line is or was up, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        let until = self.ended_ns.unwrap_or_else(monotonic_ns);
        self.started_ns.map_or(0, |started| until.saturating_sub(started)) as f64 / 1e9
    }
}

impl CardShared {
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        // Every change is one assignment.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the line to go down, without waiting.
    pub(crate) fn stop(&self) {
        // Relaxed: a wish; nothing is published with it.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Whether the line may carry more.
#[derive(Debug)]
pub(crate) enum Go {
    /// It may.
    On,
    /// Not yet; it was waited for a while.
    NotYet,
    /// Never again, and why.
    Never(String),
}

/// The card, its driver's receive loop, and what is asked before each step.
pub(crate) struct Card<S, K: RxSink, G, E> {
    pub(crate) hardware: Hardware<S>,
    pub(crate) rx: RxLoop<K>,
    pub(crate) shared: Arc<CardShared>,
    pub(crate) go: G,
    pub(crate) nap: Duration,
    /// What a pool promised for all of that.
    pub(crate) _promise: Option<Reservation>,
    /// Behind what has buffers: all of them are home when it is dropped.
    pub(crate) _ends: Ends,
    /// Dropped after all that, figures included.
    pub(crate) _at_end: E,
}

/// Says that the line is dead and its ring home, whatever ended it.
pub(crate) struct Ends(pub(crate) Arc<CardShared>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.progress().ended_ns = Some(monotonic_ns());
    }
}

impl<S: FrameSource, K: RxSink, G: FnMut() -> Go, E> Card<S, K, G, E> {
    /// Runs until the line is dead or is to be.
    pub(crate) fn run(mut self) {
        loop {
            // Relaxed: as in `CardShared::stop`.
            if self.shared.stop.load(Ordering::Relaxed) {
                // Returns at once, and completes the buffer that is being filled.
                let stopped = self.hardware.run(&self.shared.stop);
                debug_assert!(stopped.is_ok());
                break;
            }
            match (self.go)() {
                Go::On => {}
                Go::NotYet => continue,
                Go::Never(why) => {
                    self.shared.progress().error = Some(why);
                    self.shared.stop();
                    continue;
                }
            }
            let step = self.hardware.step(monotonic_ns(), BURST);
            // Before the driver sees them: nobody is told of more frames handled than offered.
            self.note_progress();
            self.rx.poll(BURST);
            match step {
                Ok(step) if step.ended => break,
                Ok(step) if step.waits_for_source => self.hardware.wait_for_source(WAIT),
                Ok(step) if step.frames < BURST => std::thread::sleep(self.nap),
                Ok(_) => {}
                Err(error) => {
                    self.shared.progress().error = Some(error.to_string());
                    break;
                }
            }
        }
    }
}

impl<S, K: RxSink, G, E> Card<S, K, G, E> {
    fn note_progress(&self) {
        self.shared.progress().hardware = self.hardware.stats();
    }
}

impl<S, K: RxSink, G, E> Drop for Card<S, K, G, E> {
    /// Whatever ended the run, what the card has is handled and the figures are final.
    fn drop(&mut self) {
        self.note_progress();
        if std::thread::panicking() {
            self.shared.progress().error.get_or_insert_with(|| {
                "the card's thread panicked, which is a bug: report it with the log".to_owned()
            });
        } else {
            while self.rx.poll(BURST).buffers != 0 {}
        }
        self.note_progress();
    }
}

/// What makes a time of the monotonic clock one since the Unix epoch.
pub(crate) fn epoch_offset_ns(now_ns: u64) -> u64 {
    // A clock before 1970 counts as 1970.
    let unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    (unix_ns as u64).saturating_sub(now_ns)
}

/// How long a card may sleep between two looks at a line: the time of 32 frames, within reason.
pub(crate) fn nap(rate: Rate, size: u32) -> Duration {
    let frames_per_second = match rate {
        Rate::BitsPerSecond(bits) => bits.get() / wire_bits(size).max(1),
        Rate::FramesPerSecond(frames) => frames.get(),
        Rate::Max => u64::MAX,
    };
    let wanted = 32_000_000_000 / frames_per_second.max(1);
    Duration::from_nanos(wanted.clamp(*NAPS.start(), *NAPS.end()))
}
