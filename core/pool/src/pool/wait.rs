//! Allocation that waits (S10).

use super::error::AllocError;
use super::handle::Pool;
use crate::buffer::Buffer;
use std::panic::Location;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A waiter looks again this often, so that a missed wake-up is a delay and never a hang.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Pool {
    /// One buffer, waiting for it until `deadline`. While anyone waits, releases bypass the caches.
    ///
    /// # Errors
    /// [`AllocError::Exhausted`] when the deadline has passed, [`AllocError::Closed`] at once when
    /// the pool is closed.
    #[track_caller]
    pub fn alloc_until(&self, deadline: Instant) -> Result<Buffer, AllocError> {
        match self.alloc() {
            Err(AllocError::Exhausted { .. }) => {}
            answer => return answer,
        }
        let (inner, site) = (self.inner(), Location::caller());
        self.reclaim();
        self.count_waiter();
        let answer = loop {
            if let Some(answer) = inner.try_alloc(site) {
                break answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Err(inner.exhausted());
            }
            let parked = inner.parking.lock().unwrap_or_else(PoisonError::into_inner);
            drop(inner.wake.wait_timeout(parked, left.min(LOOK_AGAIN)));
        };
        self.uncount_waiter();
        answer
    }
}
