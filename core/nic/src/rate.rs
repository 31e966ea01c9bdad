//! How fast a line runs, and how a person writes it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use thiserror::Error;

/// Fastest line that [`Rate`] can be asked for, in bits a second: 1 Tbit/s.
pub const MAX_BITS_PER_SECOND: u64 = 1_000_000_000_000;

/// Most frames a second that [`Rate`] can be asked for: 64-byte frames at 1 Tbit/s.
pub const MAX_FRAMES_PER_SECOND: u64 = 1_488_095_238;

/// Speed of a line.
///
/// Written as a decimal number, an optional prefix (`k`, `M`, `G`, `T`) and a unit: `bps` or `bit/s`
/// for bits on the wire, `pps`, `fps` or `frames/s` for frames. `max` means unpaced.
///
/// ```
/// use skbpool_nic::Rate;
/// assert_eq!("1Gbps".parse(), Rate::bits_per_second(1_000_000_000));
/// assert_eq!("1.4Mpps".parse(), Rate::frames_per_second(1_400_000));
/// assert_eq!("max".parse(), Ok(Rate::Max));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// Bits on the wire a second, preamble and gap included.
    BitsPerSecond(NonZeroU64),
    /// Frames a second, whatever their size.
    FramesPerSecond(NonZeroU64),
    /// As fast as the machine can.
    Max,
}

/// A rate that is not one, or is out of range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// The text is no rate.
    #[error(
        "'{}' is no rate: write a number, a prefix of k, M, G and T or none, and a unit of bps and bit/s \
         (bits on the wire), pps, fps and frames/s (frames), as in 1Gbps or 1.4Mpps; or max",
        .0.escape_debug()
    )]
    NotARate(String),
    /// The number is finer than one bit or one frame a second.
    #[error("'{}' is no whole number of bits or frames a second: drop the last decimals", .0.escape_debug())]
    NotWhole(String),
    /// Bits a second outside the range.
    #[error("'{}' is out of range: 1bps to 1Tbps, or max for unpaced", .0.escape_debug())]
    BitsOutOfRange(String),
    /// Frames a second outside the range.
    #[error("'{}' is out of range: 1pps to 1488.095238Mpps, or max for unpaced", .0.escape_debug())]
    FramesOutOfRange(String),
}

impl Rate {
    /// A line of `bits` on the wire a second; 1 to [`MAX_BITS_PER_SECOND`].
    pub fn bits_per_second(bits: u64) -> Result<Self, RateError> {
        match NonZeroU64::new(bits) {
            Some(rate) if bits <= MAX_BITS_PER_SECOND => Ok(Self::BitsPerSecond(rate)),
            _ => Err(RateError::BitsOutOfRange(format!("{bits}bps"))),
        }
    }

    /// A line of `frames` a second; 1 to [`MAX_FRAMES_PER_SECOND`].
    pub fn frames_per_second(frames: u64) -> Result<Self, RateError> {
        match NonZeroU64::new(frames) {
            Some(rate) if frames <= MAX_FRAMES_PER_SECOND => Ok(Self::FramesPerSecond(rate)),
            _ => Err(RateError::FramesOutOfRange(format!("{frames}pps"))),
        }
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Bits,
    Frames,
}

const UNITS: [(&str, Unit); 5] = [
    ("bit/s", Unit::Bits),
    ("bps", Unit::Bits),
    ("frames/s", Unit::Frames),
    ("pps", Unit::Frames),
    ("fps", Unit::Frames),
];

const PREFIXES: [(char, u64); 4] =
    [('k', 1_000), ('m', 1_000_000), ('g', 1_000_000_000), ('t', 1_000_000_000_000)];

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let lower = text.trim().to_ascii_lowercase();
        if lower == "max" {
            return Ok(Self::Max);
        }
        let not_a_rate = || RateError::NotARate(text.to_owned());
        let (rest, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((lower.strip_suffix(name)?.trim_end(), *unit)))
            .ok_or_else(not_a_rate)?;
        let (number, factor) = PREFIXES
            .iter()
            .find_map(|(prefix, factor)| Some((rest.strip_suffix(*prefix)?.trim_end(), *factor)))
            .unwrap_or((rest, 1));
        let value = match scaled(number, factor).ok_or_else(not_a_rate)? {
            Scaled::Whole(value) => value,
            Scaled::Fraction => return Err(RateError::NotWhole(text.to_owned())),
            // Outside both ranges, so that the range check below names the right one.
            Scaled::TooLarge => u64::MAX,
        };
        match unit {
            Unit::Bits => {
                Self::bits_per_second(value).map_err(|_| RateError::BitsOutOfRange(text.to_owned()))
            }
            Unit::Frames => Self::frames_per_second(value)
                .map_err(|_| RateError::FramesOutOfRange(text.to_owned())),
        }
    }
}

enum Scaled {
    Whole(u64),
    Fraction,
    TooLarge,
}

/// `number * factor` without rounding; `None` if `number` is not a plain decimal.
fn scaled(number: &str, factor: u64) -> Option<Scaled> {
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let whole_part = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(factor));
    let Some(whole_part) = whole_part else {
        return Some(Scaled::TooLarge);
    };
    let mut value = whole_part;
    let mut place = factor;
    for digit in fraction.bytes() {
        if place % 10 != 0 {
            return Some(Scaled::Fraction);
        }
        place /= 10;
        let Some(sum) = value.checked_add(u64::from(digit - b'0') * place) else {
            return Some(Scaled::TooLarge);
        };
        value = sum;
    }
    Some(Scaled::Whole(value))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self {
            Self::BitsPerSecond(bits) => (bits.get(), "bps"),
            Self::FramesPerSecond(frames) => (frames.get(), "pps"),
            Self::Max => return f.write_str("max"),
        };
        let (factor, prefix) = match value {
            1_000_000_000_000.. => (1_000_000_000_000, "T"),
            1_000_000_000.. => (1_000_000_000, "G"),
            1_000_000.. => (1_000_000, "M"),
            1_000.. => (1_000, "k"),
            _ => (1, ""),
        };
        write!(f, "{}", value / factor)?;
        let fraction = format!("{:0>width$}", value % factor, width = factor.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        if !fraction.is_empty() {
            write!(f, ".{fraction}")?;
        }
        write!(f, "{prefix}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(value: u64) -> Result<Rate, RateError> {
        Rate::bits_per_second(value)
    }

    fn frames(value: u64) -> Result<Rate, RateError> {
        Rate::frames_per_second(value)
    }

    #[test]
    fn reads_what_people_write() {
        for (text, rate) in [
            ("1Gbps", bits(1_000_000_000)),
            ("1gbps", bits(1_000_000_000)),
            ("10Gbit/s", bits(10_000_000_000)),
            (" 2.5 Gbps ", bits(2_500_000_000)),
            ("100 kbit/s", bits(100_000)),
            ("1bps", bits(1)),
            ("1Tbps", bits(MAX_BITS_PER_SECOND)),
            ("0.5kbps", bits(500)),
            ("1.4Mpps", frames(1_400_000)),
            ("14.88Mpps", frames(14_880_000)),
            ("1488095pps", frames(1_488_095)),
            ("10fps", frames(10)),
            ("3 frames/s", frames(3)),
            ("1488.095238Mpps", frames(MAX_FRAMES_PER_SECOND)),
            ("max", Ok(Rate::Max)),
            ("MAX", Ok(Rate::Max)),
        ] {
            assert!(rate.is_ok());
            assert_eq!(text.parse::<Rate>(), rate, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for text in [
            "",
            "fast",
            "1",
            "1G",
            "Gbps",
            "-1Gbps",
            "+1Gbps",
            "1e9bps",
            "1.2.3Gbps",
            ".5Gbps",
            "1.Gbps",
            "1kMbps",
            "maxbps",
            "١Gbps",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::NotARate(text.into())), "{text}");
        }
        for text in ["0.5bps", "1.0001kpps", "0.0000001Mbps"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::NotWhole(text.into())), "{text}");
        }
        for text in
            ["0bps", "0.0Gbps", "1.1Tbps", "99999999999999999999999bps", "18446744073709551615Tbps"]
        {
            assert_eq!(text.parse::<Rate>(), Err(RateError::BitsOutOfRange(text.into())), "{text}");
        }
        for text in ["0pps", "1.5Gpps", "1Tpps"] {
            assert_eq!(
                text.parse::<Rate>(),
                Err(RateError::FramesOutOfRange(text.into())),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(value in 1..=MAX_BITS_PER_SECOND, count in 1..=MAX_FRAMES_PER_SECOND) {
            for rate in [bits(value).unwrap(), frames(count).unwrap()] {
                prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
            }
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,24}") {
            let _ = text.parse::<Rate>();
        }
    }
}
