//! From an interface's ticks to nanoseconds since 1970.

const NS_PER_SECOND: u128 = 1_000_000_000;

/// How an interface of a pcapng file counts time: the options `if_tsresol` and `if_tsoffset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InterfaceTime {
    /// `if_tsresol`: a tick is 10^-n seconds, or 2^-n with the highest bit set.
    pub(super) resolution: u8,
    /// `if_tsoffset`: seconds to add.
    pub(super) offset_seconds: i64,
}

impl Default for InterfaceTime {
    fn default() -> Self {
        Self { resolution: 6, offset_seconds: 0 }
    }
}

impl InterfaceTime {
    /// Nanoseconds since 1970, rounded down, and whether they had to be clamped.
    ///
    /// Any resolution and offset has a meaning. Times before 1970 become 0 and times after the year
    /// 2554 become `u64::MAX`.
    #[inline]
    pub(super) fn nanoseconds(self, ticks: u64) -> (u64, bool) {
        if self.resolution == 9 && self.offset_seconds == 0 {
            return (ticks, false);
        }
        let ticks = u128::from(ticks);
        let exponent = u32::from(self.resolution & 0x7f);
        let unsigned = if self.resolution & 0x80 != 0 {
            (ticks * NS_PER_SECOND) >> exponent
        } else if exponent <= 9 {
            ticks * 10u128.pow(9 - exponent)
        } else {
            // From 10^20 on, every 64-bit count of ticks is less than a nanosecond.
            10u128.checked_pow(exponent - 9).map_or(0, |divisor| ticks / divisor)
        };
        // At most 2^64 * 10^9 < 2^94 and 2^63 * 10^9 < 2^93: the sum fits.
        let signed = unsigned as i128 + i128::from(self.offset_seconds) * NS_PER_SECOND as i128;
        match u64::try_from(signed) {
            Ok(nanoseconds) => (nanoseconds, false),
            Err(_) if signed < 0 => (0, true),
            Err(_) => (u64::MAX, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(resolution: u8, offset_seconds: i64, ticks: u64) -> (u64, bool) {
        InterfaceTime { resolution, offset_seconds }.nanoseconds(ticks)
    }

    #[test]
    fn resolutions_and_offsets() {
        assert_eq!(ns(6, 0, 1_340_954_905_298_858), (1_340_954_905_298_858_000, false));
        assert_eq!(ns(9, 0, 1_340_954_905_298_858_123), (1_340_954_905_298_858_123, false));
        assert_eq!(ns(0, 0, 1), (1_000_000_000, false));
        assert_eq!(ns(12, 0, 1_999_999), (1_999, false));
        assert_eq!(ns(127, 0, u64::MAX), (0, false));
        assert_eq!(ns(28, 0, u64::MAX), (1, false));
        assert_eq!(ns(29, 0, u64::MAX), (0, false));
        assert_eq!(ns(0x80 | 10, 0, 1_536), (1_500_000_000, false));
        assert_eq!(ns(0x80, 0, 3), (3_000_000_000, false));
        assert_eq!(ns(0xff, 0, u64::MAX), (0, false));
        assert_eq!(ns(0x80 | 64, 0, 1 << 63), (500_000_000, false));
        assert_eq!(ns(9, 2, 5), (2_000_000_005, false));
        assert_eq!(ns(6, -1, 1_500_000), (500_000_000, false));
    }

    #[test]
    fn what_does_not_fit_is_clamped() {
        assert_eq!(ns(6, -2, 1_000_000), (0, true));
        assert_eq!(ns(6, 0, u64::MAX), (u64::MAX, true));
        assert_eq!(ns(9, i64::MAX, 0), (u64::MAX, true));
        assert_eq!(ns(0, i64::MIN, u64::MAX), (u64::MAX, true));
        assert_eq!(ns(0, -9_000_000_000, 9_000_000_001), (1_000_000_000, false));
    }

    proptest! {
        #[test]
        fn every_option_has_an_answer(resolution: u8, offset: i64, ticks: u64) {
            let (_, _) = ns(resolution, offset, ticks);
        }
    }
}
