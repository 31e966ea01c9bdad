//! Arguments that Python may give in any size.

use crate::error::exception;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::time::Duration;

/// An offset, a length or a count in 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u32);

impl<'py> FromPyObject<'_, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        whole(object)?.map(Self).map_err(|number| {
            let message = format!("{number} is not between 0 and 4294967295");
            exception(object.py(), "OutOfRange", &message, &[])
        })
    }
}

/// The integer that an object is, or how to call it where it does not fit 32 bits.
///
/// # Errors
/// TypeError if it is none, and whatever its `__index__` raises.
pub(crate) fn whole(object: Borrowed<'_, '_, PyAny>) -> PyResult<Result<u32, String>> {
    // SAFETY: attached, and the object is alive; the answer is a new reference or null.
    let index =
        unsafe { Bound::from_owned_ptr_or_err(object.py(), ffi::PyNumber_Index(object.as_ptr()))? };
    Ok(index.extract().map_err(|_| match index.extract::<i128>() {
        Ok(number) => number.to_string(),
        // Python refuses to write out what is very long.
        Err(_) => "a number of more than 127 bits".to_owned(),
    }))
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
        let seconds = object.extract::<f64>()?;
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
