//! How long frames wait for their message to fill.

use std::time::{Duration, Instant};

/// Longer waits are as good as this one, and further instants may not exist.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The clock of one message at a time.
#[derive(Debug)]
pub(crate) struct Linger {
    most: Duration,
    /// When the message leaves, full or not; none: nothing waits.
    until: Option<Instant>,
}

impl Linger {
    /// A clock that lets messages wait up to `most`.
    pub(crate) fn new(most: Duration) -> Self {
        Self { most: most.min(LONGEST), until: None }
    }

    /// Whether a message that has room waits on; the first time that it is asked about a message its time
    /// begins. The clock is not read where nothing ever waits.
    pub(crate) fn goes_on(&mut self) -> bool {
        if self.most.is_zero() {
            return false;
        }
        let now = Instant::now();
        now < *self.until.get_or_insert_with(|| now + self.most)
    }

    /// How long the message waits on; none: there is none that waits, or its time is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Says that the message leaves.
    pub(crate) fn end(&mut self) {
        self.until = None;
    }
}
