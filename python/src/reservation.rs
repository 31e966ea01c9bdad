//! `skbpool._native.Reservation`.

use crate::pickling;
use pyo3::prelude::*;

/// The promise of one buffer, made by `Pool.reserve`; given back when the object is let go of.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct Reservation {
    pub(crate) _buffer: skbpool_pool::Reservation,
}

#[pymethods]
impl Reservation {
    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<()> {
        pickling::refuse(slf)
    }
}
