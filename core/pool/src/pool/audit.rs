//! Counting everything twice.

use super::handle::Pool;
use super::stats::Occupancy;

/// What an audit found: every buffer in exactly one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// In the depot.
    pub free: u32,
    /// In caches and in [`FreeBuffers`](crate::FreeBuffers).
    pub cached: u32,
    /// Referenced, those in quarantine included.
    pub in_flight: u32,
    /// Out of use after a violation.
    pub quarantined: u32,
}

/// What an audit did not like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The pool is another process's, of which this one is a fork: what its threads had in hand is in
    /// no list here.
    #[error("the pool belongs to the process that forked this one; audit it there")]
    ForkedPool,
    /// A buffer is in the free lists twice.
    #[error("buffer {index} is in the depot twice")]
    Twice {
        /// Its index.
        index: u32,
    },
    /// A buffer is in the free lists and referenced.
    #[error("buffer {index} is in the depot and has {references} references")]
    FreeAndHeld {
        /// Its index.
        index: u32,
        /// Its references.
        references: u32,
    },
    /// What was found by walking differs from what the counters say.
    #[error("walking found {walked:?}, the counters say {counted:?}")]
    Differs {
        /// Found in depot, caches, flight.
        walked: [u32; 3],
        /// Counted in depot, caches, flight.
        counted: [u32; 3],
    },
}

impl Pool {
    /// Walks every free list and every header and compares them with the counters (I1).
    ///
    /// To be called while no thread uses the pool; otherwise it may report a difference that is only
    /// motion. Costs a visit of every header.
    ///
    /// # Errors
    /// [`AuditError`] with the first difference.
    pub fn audit(&self) -> Result<Audit, AuditError> {
        let inner = self.inner();
        if inner.is_forked() {
            return Err(AuditError::ForkedPool);
        }
        let mut seen = vec![false; inner.headers.len()];
        let free = inner.depot.contents();
        for &index in &free {
            if std::mem::replace(&mut seen[index as usize], true) {
                return Err(AuditError::Twice { index });
            }
            let references = inner.headers[index as usize].references();
            if references != 0 {
                return Err(AuditError::FreeAndHeld { index, references });
            }
        }
        let held = inner.headers.iter().filter(|header| header.references() != 0).count();
        let quarantined = inner.headers.iter().filter(|header| header.is_quarantined()).count();
        let walked =
            [free.len() as u32, (inner.headers.len() - held - free.len()) as u32, held as u32];
        let Occupancy { free, cached, in_flight } = inner.occupancy();
        let counted = [free, cached, in_flight];
        if walked != counted {
            return Err(AuditError::Differs { walked, counted });
        }
        Ok(Audit { free, cached, in_flight, quarantined: quarantined as u32 })
    }
}
