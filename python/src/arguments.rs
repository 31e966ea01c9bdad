//! Arguments that Python may give in any size.

use crate::error::exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::Duration;

/// An offset, a length or a count in 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u32);

impl<'py> FromPyObject<'_, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // What is no integer at all is a TypeError, as everywhere.
        let index = object.call_method0("__index__").map_err(|_| {
            let kind = object.get_type().name().map(|name| name.to_string());
            let kind = kind.unwrap_or_default();
            pyo3::exceptions::PyTypeError::new_err(format!("an integer is needed, not {kind}"))
        })?;
        index.extract().map(Self).map_err(|_| {
            let message = format!("{index} is not between 0 and 4294967295");
            exception(object.py(), "OutOfRange", &message, &[])
        })
    }
}

/// How long a call may wait: seconds, or `None` for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeout(pub(crate) Option<Duration>);

/// Longer waits are as good as endless, and further instants may not exist: a century.
const LONGEST: f64 = 100.0 * 365.0 * 24.0 * 3600.0;

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self(None));
        }
        let seconds: f64 = object.extract()?;
        if seconds.is_nan() || seconds < 0.0 {
            let message = format!("a timeout is 0 or more seconds, or None to wait, not {seconds}");
            return Err(PyValueError::new_err(message));
        }
        Ok(Self((seconds < LONGEST).then(|| Duration::from_secs_f64(seconds))))
    }
}

/// A function for Python to call back, checked when it is given and not when it is called.
pub(crate) fn callable<'py>(
    object: Option<Bound<'py, PyAny>>,
    what: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match object {
        Some(object) if !object.is_callable() => {
            let kind = object.get_type().name()?;
            let message = format!("{what} has to be callable, and {kind} is not");
            Err(pyo3::exceptions::PyTypeError::new_err(message))
        }
        object => Ok(object),
    }
}
