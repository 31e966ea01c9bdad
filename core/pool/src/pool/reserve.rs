//! Admission: promises of buffers that never exceed the pool.

use super::error::AllocError;
use super::handle::Pool;
use crate::sync::Ordering;

/// The pool cannot promise that many buffers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pool \"{pool}\" is too small for {what}: it needs {needed} buffers at worst, and of {buffers} \
     buffers {reserved} are promised to others; make the pool larger, or the ring or quota smaller"
)]
pub struct PoolTooSmall {
    /// Name of the pool.
    pub pool: String,
    /// Who asked.
    pub what: String,
    /// Buffers asked for.
    pub needed: u32,
    /// Buffers promised to others.
    pub reserved: u32,
    /// Buffers of the pool.
    pub buffers: u32,
}

/// Why buffers could not be promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// All promises together would not fit.
    #[error(transparent)]
    TooSmall(#[from] PoolTooSmall),
    /// [`AllocError::ForkedPool`]: the pool is another process's, of which this one is a fork (I12).
    #[error(transparent)]
    ForkedPool(AllocError),
}

/// Buffers promised to somebody; given back on drop. A promise counts, it does not hold buffers.
#[derive(Debug)]
pub struct Reservation {
    pool: Pool,
    buffers: u32,
}

impl Reservation {
    /// Buffers promised.
    pub fn buffers(&self) -> u32 {
        self.buffers
    }

    /// The pool that promised them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Parts off a promise of `buffers` of them, which ends on its own; none if there are fewer.
    pub fn split(&mut self, buffers: u32) -> Option<Reservation> {
        self.buffers = self.buffers.checked_sub(buffers)?;
        Some(Reservation { pool: self.pool.clone(), buffers })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Relaxed: a sum of promises; nothing is published with it.
        self.pool.inner().reserved.fetch_sub(self.buffers, Ordering::Relaxed);
    }
}

impl Pool {
    /// Promises `buffers` buffers to `what`, if all promises together still fit the pool.
    ///
    /// # Errors
    /// [`ReserveError`]: they do not fit, with the figures; or in a forked child, whose pools of the parent
    /// have none to promise.
    pub fn reserve(&self, buffers: u32, what: &str) -> Result<Reservation, ReserveError> {
        if self.is_forked() {
            return Err(ReserveError::ForkedPool(AllocError::ForkedPool));
        }
        let inner = self.inner();
        // Relaxed: a sum of promises; nothing is published with it.
        let promised =
            inner.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |reserved| {
                reserved.checked_add(buffers).filter(|&sum| sum <= inner.count())
            });
        match promised {
            Ok(_) => Ok(Reservation { pool: self.clone(), buffers }),
            Err(reserved) => Err(ReserveError::TooSmall(PoolTooSmall {
                pool: inner.name.clone(),
                what: what.to_owned(),
                needed: buffers,
                reserved,
                buffers: inner.count(),
            })),
        }
    }
}
