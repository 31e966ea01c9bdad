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
    let records: PyResult<Vec<_>> = Accounts::global()
        .snapshot()
        .into_iter()
        .map(|holder| {
            let fields = fields!(py,
                name: holder.name,
                kind: holder.kind.name(),
                views: holder.views,
                bytes: holder.bytes,
                acquired: holder.acquired,
                released: holder.released,
                retired: holder.retired,
            );
            record(py, "HolderStats", &fields)
        })
        .collect();
    let records = records?;
    PyList::new(py, records)
}
