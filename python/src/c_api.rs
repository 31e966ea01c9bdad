//! The C functions as a capsule, for the Cython module and foreign extensions.

use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use std::ptr::NonNull;

/// The capsule `skbpool._native._C_API`: a `struct skbpool_api` that lives as long as the process.
pub(crate) fn capsule(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    let table = NonNull::from(skbpool_capi::table()).cast();
    // SAFETY: the table is a static of this module, which is never unloaded, and has no destructor.
    unsafe { PyCapsule::new_with_pointer(py, table, c"skbpool._native._C_API") }
}
