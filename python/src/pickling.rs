//! What owns memory is neither pickled nor copied.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// What `__reduce__` answers: pickling by any protocol, `copy.copy` and `copy.deepcopy` ask it. Without it,
/// protocols 0 and 1 pickle an object that cannot be made again.
pub(crate) fn refuse(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let kind = object.get_type().fully_qualified_name()?;
    Err(PyTypeError::new_err(format!("cannot pickle '{kind}' object")))
}
