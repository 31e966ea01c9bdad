//! `skbpool._native.latency_histogram`.

use pyo3::prelude::*;
use skbpool_pool::clock::TICK_NS;
use skbpool_pool::{Accounts, LATENCY_BUCKETS};

/// Return the time from a frame's arrival to the release of its views, over this process's life.
///
/// Returns:
///     Upper bounds in seconds, each twice the one before; how many views were released within each,
///     and as the last of these counts how many altogether; and the sum in seconds.
#[pyfunction]
pub(crate) fn latency_histogram(py: Python<'_>) -> (Vec<f64>, Vec<u64>, f64) {
    let latency = py.detach(|| Accounts::global().latency());
    let seconds = |ticks: f64| ticks * TICK_NS as f64 / 1e9;
    let bounds = (0..LATENCY_BUCKETS - 1).map(|bucket| seconds((1u64 << bucket) as f64));
    let mut sum = 0u64;
    let counts = latency.buckets.iter().map(|count| {
        sum = sum.wrapping_add(*count);
        sum
    });
    let counts = counts.collect();
    (bounds.collect(), counts, seconds(latency.sum_ticks as f64))
}
