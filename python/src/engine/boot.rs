//! `skbpool._native.server_boot_id`.

use pyo3::prelude::*;

/// Return the identity of the running kernel; "" if it is hidden.
///
/// Two processes that are told the same one, and not "", run on the same host since the same boot:
/// their monotonic clocks, and with them the stamps of frames, can be compared.
#[pyfunction]
pub(crate) fn server_boot_id(py: Python<'_>) -> String {
    py.detach(skbpool_engine::boot_id).unwrap_or_default()
}
