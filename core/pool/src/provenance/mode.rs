//! Which allocations are recorded.

/// Which allocations of a pool are recorded, for [`crate::Pool::set_provenance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// None. Records of buffers that are out are kept, and reported as long as they are.
    Off,
    /// One of `every`, at a place that changes from one stretch of `every` to the next, in each cache.
    Sampled {
        /// Allocations for each that is recorded; rounded up to a power of two, at most 2^31.
        every: u32,
    },
    /// Every one, and the release of each view.
    Full,
}

impl Provenance {
    /// One of 4,096 allocations, what a pool begins with: a leak of some thousand buffers shows, and what
    /// recording costs is lost in what an allocation does.
    pub const DEFAULT: Self = Self::Sampled { every: 4096 };
}

impl Default for Provenance {
    fn default() -> Self {
        // Models record what they are about.
        if cfg!(any(loom, shuttle)) { Self::Off } else { Self::DEFAULT }
    }
}

/// A mode as one word: `full << 8 | log2(every) + 1`; 0 is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(u32);

impl Mode {
    pub(crate) const OFF: Self = Self(0);
    const FULL: u32 = 1 << 8;

    pub(crate) const fn from_word(word: u32) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> u32 {
        self.0
    }

    pub(crate) fn is_off(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn is_full(self) -> bool {
        self.0 & Self::FULL != 0
    }

    /// `every` as a power of two; 0 when off.
    pub(crate) fn rate(self) -> u32 {
        (self.0 & (Self::FULL - 1)).saturating_sub(1)
    }
}

impl From<Provenance> for Mode {
    fn from(provenance: Provenance) -> Self {
        match provenance {
            Provenance::Off => Self::OFF,
            Provenance::Sampled { every } => {
                let every = every.clamp(1, 1 << 31).next_power_of_two();
                Self(every.trailing_zeros() + 1)
            }
            Provenance::Full => Self(Self::FULL | 1),
        }
    }
}

impl From<Mode> for Provenance {
    fn from(mode: Mode) -> Self {
        if mode.is_off() {
            Self::Off
        } else if mode.is_full() {
            Self::Full
        } else {
            Self::Sampled { every: 1 << mode.rate() }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn modes_survive_the_word() {
        let through = |provenance| Provenance::from(Mode::from(provenance));
        assert_eq!(through(Provenance::Off), Provenance::Off);
        assert_eq!(through(Provenance::Full), Provenance::Full);
        for (every, rounded) in [(0, 1), (1, 1), (2, 2), (1000, 1024), (u32::MAX, 1 << 31)] {
            assert_eq!(
                through(Provenance::Sampled { every }),
                Provenance::Sampled { every: rounded }
            );
        }
    }
}
