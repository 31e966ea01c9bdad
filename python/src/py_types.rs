//! Views and batches as Python objects: the classes are Cython's, which registers here how they are
//! made and opened.

use crate::error::Error;
use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};
use skbpool_capi::{Failure, RawSkb};
use skbpool_pool::{Pool, Skb, SkbBatch};
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// `struct skbpool_objects` of `skbpool_python.h`, whose comments tell what each function does.
#[repr(C)]
pub(crate) struct Objects {
    major: u32,
    size: u32,
    skb_to_object: unsafe extern "C" fn(skb: *mut RawSkb) -> *mut ffi::PyObject,
    skb_of_object: unsafe extern "C" fn(object: *mut ffi::PyObject) -> *mut RawSkb,
    skb_from_object: unsafe extern "C" fn(out: *mut RawSkb, object: *mut ffi::PyObject) -> c_int,
    skb_batch_to_object: unsafe extern "C" fn(batch: *mut *mut SkbBatch) -> *mut ffi::PyObject,
    skb_batch_of_object: unsafe extern "C" fn(object: *mut ffi::PyObject) -> *mut SkbBatch,
    skb_pool_of_object: unsafe extern "C" fn(object: *mut ffi::PyObject) -> *const Pool,
    skb_settle: unsafe extern "C" fn(),
}

const MAJOR: u32 = 1;

/// Registered once, when `skbpool._skb_batch` is imported; a static of that module, which is never unloaded.
static OBJECTS: OnceLock<&'static Objects> = OnceLock::new();

/// Takes the capsule `skbpool._skb_batch._C_API`.
#[pyfunction]
pub(crate) fn _register(capsule: &Bound<'_, PyCapsule>) -> PyResult<()> {
    let pointer = capsule.pointer_checked(Some(c"skbpool._skb_batch._C_API"))?;
    // SAFETY: a capsule of that name holds this struct, in static memory.
    let objects = unsafe { pointer.cast::<Objects>().as_ref() };
    if objects.major != MAJOR || (objects.size as usize) < size_of::<Objects>() {
        return Err(PyImportError::new_err(
            "skbpool._skb_batch and skbpool._native are of different builds; install skbpool again",
        ));
    }
    // Importing a second time registers the same table.
    let _ = OBJECTS.set(objects);
    Ok(())
}

fn objects() -> PyResult<&'static Objects> {
    OBJECTS.get().copied().ok_or_else(|| PyImportError::new_err("import skbpool first"))
}

/// Gives back the reference that a slice left for the next one, so that reports do not count it.
pub(crate) fn settle_slices(_: Python<'_>) {
    if let Some(objects) = OBJECTS.get() {
        // SAFETY: attached. It runs no Python code: the lender still has a reference to the buffer.
        unsafe { (objects.skb_settle)() };
    }
}

/// Makes an skb a Python `Skb`. On failure the skb is released.
pub(crate) fn skb_into_py(py: Python<'_>, skb: Skb) -> PyResult<Py<PyAny>> {
    let mut raw = RawSkb::new(skb);
    let answer = objects().and_then(|objects| {
        // SAFETY: attached; the function moves the skb out of `raw` if it succeeds, and returns a new
        // reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, (objects.skb_to_object)(&mut raw)) }
    });
    if answer.is_err() {
        // SAFETY: it is where we put it.
        drop(unsafe { raw.take() });
    }
    answer.map(Bound::unbind)
}

/// Makes a batch a Python `SkbBatch`. On failure its skbs are released.
pub(crate) fn batch_into_py(py: Python<'_>, batch: SkbBatch) -> PyResult<Py<PyAny>> {
    let objects = objects()?;
    let mut raw = Box::into_raw(Box::new(batch));
    // SAFETY: as in `skb_into_py`.
    let answer =
        unsafe { Bound::from_owned_ptr_or_err(py, (objects.skb_batch_to_object)(&mut raw)) };
    if answer.is_err() && !raw.is_null() {
        // SAFETY: it is where we put it.
        drop(unsafe { Box::from_raw(raw) });
    }
    answer.map(Bound::unbind)
}

/// Takes the skb out of a Python `Skb`, which is released for Python.
///
/// # Errors
/// TypeError, `BufferReleased`, `Exported` if memoryviews of it are alive.
pub(crate) fn skb_from_py(object: &Bound<'_, PyAny>) -> PyResult<Skb> {
    let mut raw = RawSkb::released();
    // SAFETY: attached; the object is alive, and `raw` is a place for its skb.
    if unsafe { (objects()?.skb_from_object)(&mut raw, object.as_ptr()) } != 0 {
        return Err(PyErr::fetch(object.py()));
    }
    // SAFETY: filled, as the answer says, and ours.
    Ok(unsafe { raw.take() }.ok_or(Error::Failure(Failure::Released))?)
}

/// Takes the skbs out of a Python `SkbBatch`, which is empty afterwards.
///
/// # Errors
/// TypeError.
pub(crate) fn batch_from_py(object: &Bound<'_, PyAny>) -> PyResult<SkbBatch> {
    // SAFETY: attached; the batch is the object's, and nobody else uses it with the interpreter lock held.
    Ok(std::mem::take(unsafe { batch_of(object)?.as_mut() }))
}

/// Calls `change` for the view in an `Skb`, or for each in an `SkbBatch`.
///
/// # Errors
/// TypeError, `BufferReleased`.
pub(crate) fn for_each_skb(
    object: &Bound<'_, PyAny>,
    mut change: impl FnMut(&mut Skb),
) -> PyResult<()> {
    if let Some(mut raw) = skb_of(object)? {
        // SAFETY: as in `with_skb`.
        change(unsafe { raw.as_mut().get_mut() }.map_err(Error::Failure)?);
        return Ok(());
    }
    let Some(mut batch) = unless_other(object, batch_of(object))? else {
        let kind = object.get_type().qualname()?;
        return Err(PyTypeError::new_err(format!("an Skb or an SkbBatch is needed, not {kind}")));
    };
    // SAFETY: as in `batch_from_py`.
    unsafe { batch.as_mut() }.as_mut_slice().iter_mut().for_each(change);
    Ok(())
}

/// Gives skbs back to the front of the `SkbBatch` that they were taken from.
///
/// # Errors
/// As [`batch_from_py`].
pub(crate) fn give_back(object: &Bound<'_, PyAny>, mut skbs: SkbBatch) -> PyResult<()> {
    // SAFETY: as in `batch_from_py`.
    let batch = unsafe { batch_of(object)?.as_mut() };
    skbs.append(batch);
    *batch = skbs;
    Ok(())
}

/// Looks at the skb of a Python `Skb`; `None` if the object is another.
///
/// # Errors
/// `BufferReleased`, and what `look` answers.
pub(crate) fn with_skb<R>(
    object: &Bound<'_, PyAny>,
    look: impl FnOnce(&Skb) -> PyResult<R>,
) -> PyResult<Option<R>> {
    let Some(raw) = skb_of(object)? else { return Ok(None) };
    // SAFETY: it is the object's, and nobody else uses it while the interpreter lock is held.
    let skb = unsafe { raw.as_ref().get() }.map_err(Error::Failure)?;
    look(skb).map(Some)
}

/// Looks at the skbs of a Python `SkbBatch`, which stay in it. `look` runs no Python code.
///
/// # Errors
/// TypeError.
pub(crate) fn with_batch<R>(
    object: &Bound<'_, PyAny>,
    look: impl FnOnce(&SkbBatch) -> R,
) -> PyResult<R> {
    // SAFETY: as in `batch_from_py`.
    Ok(look(unsafe { batch_of(object)?.as_ref() }))
}

/// The skb of a Python `Skb`; `None` if the object is another.
fn skb_of(object: &Bound<'_, PyAny>) -> PyResult<Option<NonNull<RawSkb>>> {
    // SAFETY: attached, and the object is alive.
    let raw = unsafe { (objects()?.skb_of_object)(object.as_ptr()) };
    unless_other(object, NonNull::new(raw).ok_or_else(|| PyErr::fetch(object.py())))
}

/// `None` if `found` says that the object is of another type.
fn unless_other<T>(object: &Bound<'_, PyAny>, found: PyResult<T>) -> PyResult<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn batch_of(object: &Bound<'_, PyAny>) -> PyResult<NonNull<SkbBatch>> {
    // SAFETY: attached, and the object is alive.
    let batch = unsafe { (objects()?.skb_batch_of_object)(object.as_ptr()) };
    NonNull::new(batch).ok_or_else(|| PyErr::fetch(object.py()))
}
