//! How far a stream of messages has come, and which message comes next.

use skbpool_deliver::DriverStats;
use skbpool_pool::DropCount;

use crate::error::MessageError;

/// What was handled of a stream that may be resumed: kept while its client is away.
///
/// The first batch may have any number but 0, so that a client goes on with its own numbers at a daemon
/// that does not know it; each later one is the next, or was handled before.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    handled: Option<u64>,
    accepted: u64,
    unclaimed: u64,
    duplicates: u64,
    dropped: Vec<DropCount>,
}

impl Progress {
    /// Sequence of the last batch handled; 0 before the first.
    pub fn acked_through(&self) -> u64 {
        self.handled.unwrap_or(0)
    }

    /// Whether the batch `sequence` is to be handled now; else it was before, which is counted.
    ///
    /// # Errors
    /// [`MessageError::Sequence`] if batches before it are missing.
    pub(crate) fn admit(&mut self, sequence: u64) -> Result<bool, MessageError> {
        let next = self.handled.map_or(Some(sequence.max(1)), |last| last.checked_add(1));
        if next == Some(sequence) {
            return Ok(true);
        }
        let handled = self.acked_through();
        if sequence == 0 || sequence > handled {
            return Err(MessageError::Sequence { sequence, handled });
        }
        self.duplicates += 1;
        Ok(false)
    }

    /// Takes note that the batch `sequence`, which was admitted, was handled.
    pub(crate) fn handled(&mut self, sequence: u64) {
        self.handled = Some(sequence);
    }

    /// This and what `stats` count since, which began at nothing.
    pub(crate) fn with(&self, stats: DriverStats) -> Self {
        let mut dropped = stats.dropped;
        for before in &self.dropped {
            match dropped.iter_mut().find(|count| count.reason == before.reason) {
                Some(count) => {
                    count.frames = count.frames.wrapping_add(before.frames);
                    count.bytes = count.bytes.wrapping_add(before.bytes);
                }
                None => dropped.push(*before),
            }
        }
        Self {
            accepted: self.accepted.wrapping_add(stats.frames),
            unclaimed: self.unclaimed.wrapping_add(stats.unclaimed),
            dropped,
            ..*self
        }
    }

    /// The counts: accepted, unclaimed, duplicates, dropped.
    pub(crate) fn counts(&self) -> (u64, u64, u64, &[DropCount]) {
        (self.accepted, self.unclaimed, self.duplicates, &self.dropped)
    }
}
