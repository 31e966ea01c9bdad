//! Who holds how many views.

use crate::record::{fields, record};
use pyo3::prelude::*;
use pyo3::types::PyList;
use skbpool_pool::Accounts;

/// List the named holders of this process that hold views or may get some.
///
/// Takes a lock and reads all counters; made for scrapes and tables, not for loops.
///
/// Returns:
///     A list of `HolderStats`.
///
/// Example:
///     >>> import skbpool
///     >>> [holder.name for holder in skbpool.holders() if holder.views]
///     []
#[pyfunction]
pub(crate) fn holders(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let records: PyResult<Vec<_>> =
        Accounts::global().snapshot().into_iter().map(|holder| holder_stats(py, &holder)).collect();
    let records = records?;
    PyList::new(py, records)
}

/// A `HolderStats`.
pub(crate) fn holder_stats<'py>(
    py: Python<'py>,
    holder: &skbpool_pool::HolderStats,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = fields!(py,
        name: holder.name.as_str(),
        kind: holder.kind.name(),
        views: holder.views,
        bytes: holder.bytes,
        acquired: holder.acquired,
        released: holder.released,
        retired: holder.retired,
        oldest_at_least: holder.oldest.at_least.as_secs_f64(),
        oldest_at_most: holder.oldest.at_most.as_secs_f64(),
        peak_views: holder.peak_views,
        peak_bytes: holder.peak_bytes,
    );
    record(py, "HolderStats", &fields)
}
