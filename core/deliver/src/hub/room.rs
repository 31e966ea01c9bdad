//! Drivers that wait for a consumer to make room.

use crate::sync::{AtomicU32, Condvar, Mutex, MutexGuard, Ordering};
use std::sync::PoisonError;
use std::time::Duration;

/// The longest a driver sleeps before it looks again, so that a call that it missed, or a release that
/// calls nobody, delays it no longer.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Where drivers wait for one consumer.
#[derive(Debug)]
pub(crate) struct Room {
    /// Drivers that sleep or are about to.
    waiting: AtomicU32,
    parking: Mutex<()>,
    made: Condvar,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { waiting: AtomicU32::new(0), parking: Mutex::new(()), made: Condvar::new() }
    }

    /// Sleeps until the consumer calls or `at_most` has passed.
    #[cold]
    pub(crate) fn wait(&self, at_most: Duration) {
        self.count_waiter();
        let parking = self.parking();
        // Called, late or for nothing: the caller looks either way.
        drop(self.made.wait_timeout(parking, at_most.min(LOOK_AGAIN)));
        self.uncount_waiter();
    }

    pub(crate) fn count_waiter(&self) {
        // Relaxed: a hint; a call that misses it costs `LOOK_AGAIN`.
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn uncount_waiter(&self) {
        // Relaxed: as above.
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Drivers that wait, for models.
    #[cfg(all(test, loom))]
    pub(crate) fn waiting(&self) -> u32 {
        // Relaxed: asked when the others are joined.
        self.waiting.load(Ordering::Relaxed)
    }

    /// Calls the drivers that wait. One load when none does.
    #[inline(always)]
    pub(crate) fn call(&self) {
        // Relaxed: as in `wait`.
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.call_sleepers();
        }
    }

    pub(super) fn parking(&self) -> MutexGuard<'_, ()> {
        // It guards nothing that a panic could leave half done.
        self.parking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn call_sleepers(&self) {
        drop(self.parking());
        self.made.notify_all();
    }
}
