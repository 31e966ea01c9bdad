//! Waking consumers that sleep, without a system call while they are awake.

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering, fence};
use skbpool_pool::fork::Birthplace;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Names one consumer among those that share a bell.
pub type Token = u64;

/// Where consumers that found nothing are called: one thread can wait for many of them.
///
/// A consumer that is told it is ready is told once; it is told again only after it looked, found
/// nothing, and asked anew ([`crate::Consumer::arm`]).
///
/// In a forked child a bell of the parent calls nobody: whoever would ring it is not there, and whoever
/// was just ringing it keeps it locked (I12).
#[derive(Debug)]
pub struct Bell {
    born: Birthplace,
    ready: Mutex<VecDeque<Token>>,
    rung: Condvar,
}

impl Default for Bell {
    fn default() -> Self {
        Self { born: Birthplace::here(), ready: Mutex::default(), rung: Condvar::default() }
    }
}

impl Bell {
    /// A bell nobody waits at yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until somebody is ready or `timeout` has passed; returns who. A consumer that was
    /// detached meanwhile may still be named. In a forked child nobody, at once.
    pub fn wait(&self, timeout: Duration) -> Option<Token> {
        if self.is_inherited() {
            return None;
        }
        let deadline = Deadline::after(timeout);
        let mut ready = self.ready();
        loop {
            if let Some(token) = ready.pop_front() {
                return Some(token);
            }
            let left = deadline.left();
            if left.is_zero() {
                return None;
            }
            ready = match self.rung.wait_timeout(ready, left) {
                Ok((ready, _)) => ready,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Calls `token` ready. Takes a lock; drivers do so through a doorbell of the consumer,
    /// only for a consumer that sleeps. Does nothing in a forked child.
    pub fn ring(&self, token: Token) {
        if self.is_inherited() {
            return;
        }
        self.ready().push_back(token);
        self.rung.notify_one();
    }

    /// Whether it was made by the process that forked this one.
    pub fn is_inherited(&self) -> bool {
        self.born.is_elsewhere()
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Token>> {
        // The queue is consistent after every statement that touches it.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a wait. One that is too far away for the clock never comes.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    pub(super) fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }
}

/// One consumer's connection to a bell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// The consumer found nothing and wants to be called.
    armed: AtomicBool,
    bell: Arc<Bell>,
    token: Token,
}

impl Doorbell {
    pub(crate) fn new(bell: Arc<Bell>, token: Token) -> Self {
        Self { armed: AtomicBool::new(false), bell, token }
    }

    /// Asks to be called, unless `look` finds something once more. Answers whether a call was made or
    /// will be; if not, none will.
    pub(crate) fn arm(&self, look: impl FnOnce() -> bool) -> bool {
        // Relaxed: ordered by the fence. A swap, as every change is, so that each wish is taken by one
        // call or taken back.
        self.armed.swap(true, Ordering::Relaxed);
        // SYNC: SeqCst fence pairs with the one in `press`: either the producer sees that we are
        // armed, or our look sees what it published.
        fence(Ordering::SeqCst);
        !look() || self.disarm()
    }

    /// Takes the wish back; answers whether the call was already made.
    pub(crate) fn disarm(&self) -> bool {
        // Relaxed: the bell's lock orders the rest.
        !self.armed.swap(false, Ordering::Relaxed)
    }

    /// Calls the consumer if it asked. To be called after something was published for it.
    #[inline]
    pub(crate) fn press(&self) {
        // SYNC: SeqCst fence pairs with the one in `arm`.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence; the swap decides who of several producers calls.
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::Relaxed) {
            self.bell.ring(self.token);
        }
    }
}
