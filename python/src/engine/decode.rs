//! `skbpool._native.decode_subscribe`.

use super::drops::wire_drops_dict;
use super::failure::{IntoException, OrRaise};
use crate::error::Error;
use crate::py_types::batch_into_py;
use crate::python_owner::Brought;
use crate::reaper;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use skbpool_engine::{Adoption, MessageError, view_frames};
use skbpool_pool::{Buffer, Free, SkbBatch};
use skbpool_wire::SubscribeResponseView;

/// Read an encoded SubscribeResponse.
///
/// The skbs are views of the message where it lies: no byte is copied, and the bytes object lives
/// until the last of them is gone.
///
/// Returns:
///     The frames as an `SkbBatch`; what was missed since the previous message, by reason; and the
///     number of the batch, 0 if there is none.
///
/// Raises:
///     MalformedBatch: The message contradicts itself, or is none.
///     FrameTooLarge: A frame is over what the wire allows.
#[pyfunction]
pub(crate) fn decode_subscribe<'py>(
    py: Python<'py>,
    message: &Bound<'py, PyBytes>,
) -> PyResult<(Py<PyAny>, Bound<'py, PyDict>, u64)> {
    let bytes = message.as_bytes();
    let response = py
        .detach(|| SubscribeResponseView::parse(bytes))
        .map_err(|error| MessageError::from(error).into_exception(py))?;
    let missed = wire_drops_dict(py, &response.missed)?;
    let Some(view) = &response.batch else {
        return Ok((batch_into_py(py, SkbBatch::new())?, missed, 0));
    };
    let mut batch = SkbBatch::with_capacity(view.len());
    if !view.is_empty() {
        let buffer = adopt(message, None)?;
        py.detach(|| view_frames(buffer, view, &mut batch)).or_raise(py)?;
    }
    Ok((batch_into_py(py, batch)?, missed, view.sequence()))
}

/// The message as a read-only buffer, which keeps it; `part` of a budget is given back once it was let go of.
pub(super) fn adopt(message: &Bound<'_, PyBytes>, part: Option<Adoption>) -> PyResult<Buffer> {
    reaper::start(message.py())?;
    let owner = Brought::new(message, None, ffi::PyBUF_SIMPLE, part)?;
    let (base, size) = owner.memory();
    // SAFETY: the bytes stay exported, and unchanged, until the owner is let go of.
    let made =
        unsafe { skbpool_pool::adopt_raw(base, size, false, Free::nothing(), owner.share()) };
    let buffer = made.map_err(Error::from)?;
    owner.given_away();
    Ok(buffer)
}
