//! Sleeping until something was announced, without a lock for whoever announces.

use super::{AtomicU32, Ordering};
#[cfg(not(any(loom, shuttle)))]
use rustix::thread::futex;
#[cfg(not(any(loom, shuttle)))]
use std::time::{Duration, Instant};

/// A number that announcers raise and sleepers wait on. An announcer makes a system call only while
/// somebody sleeps, and never waits for a sleeper.
///
/// ```text
/// announcer            sleeper
/// writes the news      reads epoch, finds no news
/// epoch + 1            sleepers + 1
/// sleepers?  wake      epoch + 0 as read? sleep while it is
/// ```
/// Both sides write one word and then look at the other's. The additions to `epoch` stand in one
/// order: the sleeper's comes second and sees the announcement, or first and is seen as a sleeper.
#[derive(Debug)]
pub struct EventCount {
    epoch: AtomicU32,
    sleepers: AtomicU32,
    /// What the kernel holds for a futex: a sleeper looks and goes to sleep in one step.
    #[cfg(any(loom, shuttle))]
    kernel: (super::Mutex<()>, super::Condvar),
}

impl EventCount {
    /// Nobody sleeps, and the number begins at `epoch`; it wraps.
    pub fn start_at(epoch: u32) -> Self {
        Self {
            epoch: AtomicU32::new(epoch),
            sleepers: AtomicU32::new(0),
            #[cfg(any(loom, shuttle))]
            kernel: (super::Mutex::new(()), super::Condvar::new()),
        }
    }

    /// The number now: to be read before looking for news, and named to `wait`.
    pub fn epoch(&self) -> u32 {
        // SYNC: Acquire pairs with the addition of `announce`: whoever reads the raised number finds
        // the news, and whoever finds none sleeps on a number from before.
        self.epoch.load(Ordering::Acquire)
    }

    /// Says that there is news, which was written before.
    pub fn announce(&self) {
        // SYNC: Release publishes the news to `epoch`; Acquire pairs with the addition of `is_still`: if
        // that came first, its sleeper is seen below.
        self.epoch.fetch_add(1, Ordering::AcqRel);
        // Relaxed: ordered by the addition above.
        if self.sleepers.load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    /// Counts the caller as a sleeper; answers whether the number is still `seen`.
    fn is_still(&self, seen: u32) -> bool {
        // Relaxed: published by the addition below.
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        // SYNC: an addition of nothing, so that it has a place in the order of announcements. Release
        // publishes the sleeper to the next one. Whoever finds that there was one before does not sleep,
        // and reads `epoch` anew, which acquires.
        self.epoch.fetch_add(0, Ordering::Release) == seen
    }

    fn wakes_up(&self) {
        // Relaxed: a sleeper too many costs a system call.
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sleepers that are counted, for models.
    #[cfg(all(test, loom))]
    pub fn sleepers(&self) -> u32 {
        // Relaxed: asked when the others are joined.
        self.sleepers.load(Ordering::Relaxed)
    }

    /// Sleeps while the number is `seen`, until `deadline` at the latest; may return earlier.
    #[cfg(not(any(loom, shuttle)))]
    pub fn wait_until(&self, seen: u32, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // Longer sleeps than the kernel can count are made in parts, by the caller.
        let left = left.min(Duration::from_secs(1 << 30));
        if self.is_still(seen) {
            let left = futex::Timespec {
                // Bounded above.
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            };
            // Whatever it answers, the caller looks again.
            let _ = futex::wait(&self.epoch, futex::Flags::PRIVATE, seen, Some(&left));
        }
        self.wakes_up();
    }

    #[cfg(not(any(loom, shuttle)))]
    fn wake(&self) {
        let _ = futex::wake(&self.epoch, futex::Flags::PRIVATE, i32::MAX as u32);
    }

    /// As `wait_until`, for a model, in which no time passes.
    #[cfg(any(loom, shuttle))]
    pub fn wait(&self, seen: u32) {
        if self.is_still(seen) {
            let mut asleep = self.kernel.0.lock().unwrap();
            // Relaxed: the kernel compares under its lock, under which it also wakes.
            while self.epoch.load(Ordering::Relaxed) == seen {
                asleep = self.kernel.1.wait(asleep).unwrap();
            }
        }
        self.wakes_up();
    }

    #[cfg(any(loom, shuttle))]
    fn wake(&self) {
        drop(self.kernel.0.lock().unwrap());
        self.kernel.1.notify_all();
    }
}
