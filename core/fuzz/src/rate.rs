//! Rates as people write them.

use skbpool_nic::{Rate, RateError};

/// A text is a rate that reads the same again, or an error that shows the text.
pub(crate) fn rate(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Rate>() {
        Ok(rate) => {
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text:?}");
            assert_eq!(Some(rate), naive(text), "{text:?}");
        }
        Err(error) => {
            assert_eq!(naive(text), None, "{text:?}: {error}");
            let (RateError::NotARate(shown)
            | RateError::NotWhole(shown)
            | RateError::BitsOutOfRange(shown)
            | RateError::FramesOutOfRange(shown)) = &error;
            assert_eq!(shown, text);
            assert!(!error.to_string().contains(char::is_control), "one line of plain text");
        }
    }
}

/// The same by schoolbook arithmetic on the digits.
fn naive(text: &str) -> Option<Rate> {
    let text = text.trim().to_ascii_lowercase();
    if text == "max" {
        return Some(Rate::Max);
    }
    let units =
        [("bit/s", true), ("bps", true), ("frames/s", false), ("pps", false), ("fps", false)];
    let (rest, bits) =
        units.iter().find_map(|(name, bits)| Some((text.strip_suffix(name)?, *bits)))?;
    let rest = rest.trim_end();
    let power = match rest.chars().last()? {
        'k' => 3,
        'm' => 6,
        'g' => 9,
        't' => 12,
        _ => 0,
    };
    let number = if power == 0 { rest } else { rest[..rest.len() - 1].trim_end() };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|d| d.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    let mut digits = fraction.trim_end_matches('0').to_owned();
    if digits.len() > power {
        return None;
    }
    digits.push_str(&"0".repeat(power - digits.len()));
    let all = format!("{whole}{digits}");
    let value = match all.trim_start_matches('0') {
        "" => 0,
        significant => significant.parse().ok()?,
    };
    if bits { Rate::bits_per_second(value).ok() } else { Rate::frames_per_second(value).ok() }
}
