//! Arguments that Python may give in any size.

use crate::error::exception;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use skbpool_pool::{MAX_BUFFERS, MAX_ORDER};
use std::time::Duration;

/// An offset, a length or a count in 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u32);

impl<'py> FromPyObject<'_, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.extract::<Whole>()?.0.map(Self).map_err(|number| {
            let message = format!("{number} is not between 0 and 4294967295");
            exception(object.py(), "OutOfRange", &message, &[])
        })
    }
}

/// An amount of bytes in 64 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl<'py> FromPyObject<'_, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let index = index(object)?;
        index.extract().map(Self).map_err(|_| {
            let message = format!("{} bytes are not between 0 and 2**64 - 1", named(&index));
            exception(object.py(), "OutOfRange", &message, &[])
        })
    }
}

/// As [`Number`], for callers with an error of their own for what does not fit: how to call it.
#[derive(Clone, Debug)]
pub(crate) struct Whole(pub(crate) Result<u32, String>);

impl<'py> FromPyObject<'_, 'py> for Whole {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        whole(object).map(Self)
    }
}

/// The integer that an object is, or how to call it where it does not fit 32 bits.
///
/// # Errors
/// TypeError if it is none, and whatever its `__index__` raises.
fn whole(object: Borrowed<'_, '_, PyAny>) -> PyResult<Result<u32, String>> {
    let index = index(object)?;
    Ok(index.extract().map_err(|_| named(&index)))
}

/// # Errors
/// As [`whole`].
fn index<'py>(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached, and the object is alive; the answer is a new reference or null.
    unsafe { Bound::from_owned_ptr_or_err(object.py(), ffi::PyNumber_Index(object.as_ptr())) }
}

/// What to call an integer that is refused.
fn named(index: &Bound<'_, PyAny>) -> String {
    match index.extract::<i128>() {
        Ok(number) => number.to_string(),
        // Python refuses to write out what is very long.
        Err(_) => "a number of more than 127 bits".to_owned(),
    }
}

/// The count and the order that describe a pool.
///
/// # Errors
/// BadPool for what cannot even be asked for; of the rest the core says whether there is such a pool.
pub(crate) fn pool_of(py: Python<'_>, count: Whole, order: Whole) -> PyResult<(u32, u8)> {
    let refuse = |message: String| exception(py, "BadPool", &message, &[]);
    let count =
        count.0.map_err(|count| format!("a pool has 1 to {MAX_BUFFERS} buffers, not {count}"));
    let order = order.0.and_then(|order| u8::try_from(order).map_err(|_| order.to_string()));
    let order = order.map_err(|order| format!("the order is 0 to {MAX_ORDER}, not {order}"));
    Ok((count.map_err(refuse)?, order.map_err(refuse)?))
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

/// Seconds that something may take at most: a finite number, 0 or more.
///
/// # Errors
/// ValueError, which names `what`.
pub(crate) fn duration(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{what} is 0 or more seconds, not {seconds}")))
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
