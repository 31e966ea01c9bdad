//! Surviving `fork` (I12): in the child, the pools of the parent are dead.
//!
//! ```text
//! prepare   hold the registry, the lists of caches, the accounts, whoever registered; open a pipe
//!  fork ─┬─ parent   wait until the pipe's other end is gone, then let go of all that was held
//!        └─ child    signals |= CLOSED | FORKED; each region ─► private copy of what is referenced;
//!                    close the pipe; let go of all that was held
//! ```
//! What a view shows the child is copied before the parent goes on, so it is what the view showed at
//! the fork if nobody else in the parent wrote it meanwhile, which nobody may while the view is held.
//! From then on every count, list and byte that the child reaches is its own.
//!
//! Nothing is asked in a hot path: caches look at `signals` and drivers at their hub's version anyway.
//! What makes a process without running the handlers of `pthread_atfork` (`vfork`, `posix_spawn`,
//! `clone`) shares the memory and must not use it.

#[cfg(not(loom))]
mod handlers;
#[cfg(not(loom))]
mod registry;

#[cfg(not(loom))]
pub use registry::{AtFork, Hold, register};
#[cfg(not(loom))]
pub(crate) use registry::{add_pool, forget_pool};

use std::sync::atomic::{AtomicU32, Ordering};

/// Forks between the first process and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The process that something was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birthplace(u32);

impl Birthplace {
    /// This process.
    pub fn here() -> Self {
        // Relaxed: written before the forked process has a second thread.
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether that was another process, of which this one is a fork: threads that were started there
    /// are not here, and what they had locked stays locked.
    pub fn is_elsewhere(self) -> bool {
        self != Self::here()
    }
}
