//! `skbpool._native.parse_rate`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use skbpool_nic::{Rate, RateError};

/// Return the rate that a text like "1Gbps", "1.4Mpps" or "max" means.
///
/// Returns:
///     `("bits_per_second", number)` or `("frames_per_second", number)`; None: as fast as it goes.
///
/// Raises:
///     ValueError: It is none, or out of range; the text says how one is written.
#[pyfunction]
pub(crate) fn parse_rate(text: &str) -> PyResult<Option<(&'static str, u64)>> {
    let rate = text.parse().map_err(|error: RateError| PyValueError::new_err(error.to_string()))?;
    Ok(match rate {
        Rate::BitsPerSecond(bits) => Some(("bits_per_second", bits.get())),
        Rate::FramesPerSecond(frames) => Some(("frames_per_second", frames.get())),
        Rate::Max => None,
    })
}
