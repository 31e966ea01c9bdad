//! `skbpool._native`: pools, buffers, drivers and codecs for Python.

use pyo3::prelude::*;

/// The native half of the package `skbpool`.
#[pymodule]
mod _native {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
