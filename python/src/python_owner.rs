//! A Python object whose memory is a buffer, and what happens when the last view of it goes.

use crate::python_code;
use crate::reaper;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use skbpool_engine::Adoption;
use skbpool_pool::Owner;
use std::ffi::{c_int, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{NonNull, null_mut};

/// The object, its export, and the function to call at the end.
pub(crate) struct PythonOwner {
    /// The next in the reaper's list; written by whoever puts this one there.
    pub(crate) next: *mut PythonOwner,
    /// Boxed with the rest: an export may point into itself, so it never moves.
    view: ffi::Py_buffer,
    object: *mut ffi::PyObject,
    /// Null: nothing to call.
    free: *mut ffi::PyObject,
    /// The object's part of a budget. Given back last: until then the memory is there.
    part: Option<Adoption>,
}

/// An object that is about to become a buffer; dropping it gives the object back without calling
/// `free`.
pub(crate) struct Brought {
    owner: NonNull<PythonOwner>,
}

impl Brought {
    /// Exports the memory of `object` and takes a reference to it, `part` of a budget being kept as long.
    /// Needs the interpreter.
    pub(crate) fn new(
        object: &Bound<'_, PyAny>,
        free: Option<Bound<'_, PyAny>>,
        flags: c_int,
        part: Option<Adoption>,
    ) -> PyResult<Self> {
        // SAFETY: a Py_buffer is plain fields, all of which may be zero.
        let view = unsafe { MaybeUninit::<ffi::Py_buffer>::zeroed().assume_init() };
        let (next, none) = (null_mut(), null_mut());
        let mut this = Box::new(PythonOwner { next, view, object: none, free: none, part });
        // SAFETY: the object is alive and the box is a place for the view.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut this.view, flags) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        this.object = object.clone().into_ptr();
        this.free = free.map_or(null_mut(), Bound::into_ptr);
        Ok(Self { owner: NonNull::from(Box::leak(this)) })
    }

    /// Where the exported bytes are.
    pub(crate) fn memory(&self) -> (NonNull<u8>, usize) {
        // SAFETY: nobody else has the owner yet.
        let view = unsafe { &self.owner.as_ref().view };
        // No bytes need no address.
        let base = NonNull::new(view.buf.cast()).unwrap_or(NonNull::dangling());
        (base, view.len.unsigned_abs())
    }

    /// The owner that a header is made with.
    pub(crate) fn share(&self) -> Owner {
        // SAFETY: `let_go` may be called from any thread, and is code of this module, which is never
        // unloaded. If the header is not made after all, nobody calls it.
        unsafe { Owner::raw(self.owner.as_ptr().cast(), let_go) }
    }

    /// A header has it now.
    pub(crate) fn given_away(self) -> Kept {
        reaper::count_brought();
        Kept(ManuallyDrop::new(self).owner)
    }
}

/// The owner of a buffer, for who has the only reference to that buffer, and only as long.
pub(crate) struct Kept(NonNull<PythonOwner>);

// SAFETY: whoever looks into it has to be attached.
unsafe impl Send for Kept {}

impl Kept {
    /// Shows the garbage collector what letting the buffer go would let go of.
    ///
    /// # Safety
    /// - The caller has the only reference to the buffer, and is called by the collector.
    pub(crate) unsafe fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: the caller's reference keeps the owner, and the collector is attached.
        let (owner, py) = unsafe { (self.0.as_ref(), Python::assume_attached()) };
        for reference in [owner.view.obj, owner.object, owner.free] {
            if !reference.is_null() {
                // SAFETY: a reference of the owner's, which stays its own: nothing is dropped here.
                let reference = unsafe { Bound::from_owned_ptr(py, reference) };
                visit.call(ManuallyDrop::new(reference).as_unbound())?;
            }
        }
        Ok(())
    }
}

impl PythonOwner {
    /// Gives the export back, calls `free` unless it is to be left alone, lets go of everything, and
    /// gives its part of a budget back.
    ///
    /// # Safety
    /// - `owner` was given to a header by `Brought`, and this is its end.
    /// - The caller is attached to the interpreter.
    pub(crate) unsafe fn finish(owner: NonNull<PythonOwner>, call: bool) {
        // SAFETY: it was a box, and this is its end.
        let mut owner = unsafe { Box::from_raw(owner.as_ptr()) };
        // SAFETY: attached, as the caller promises; each reference was taken by `new`. What is
        // called may be anything, so an exception that is on its way is put aside meanwhile.
        unsafe {
            let pending = Pending::set_aside();
            python_code::release_export(&mut owner.view);
            if call && !owner.free.is_null() {
                python_code::call_for_nothing(owner.free, owner.object);
            }
            python_code::let_go_of(owner.free);
            python_code::let_go_of(owner.object);
            pending.put_back();
        }
        drop(owner.part.take());
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        // SAFETY: no header has it, and it is made and dropped within a call from Python.
        unsafe { PythonOwner::finish(self.owner, false) }
    }
}

/// The header's last act: called once, from any thread, with or without the interpreter lock.
unsafe extern "C" fn let_go(owner: *mut c_void) {
    if let Some(owner) = NonNull::new(owner.cast()) {
        // SAFETY: a header lets its owner go once.
        unsafe { reaper::let_go(owner) }
    }
}

/// An exception that is on its way while something else is called.
struct Pending([*mut ffi::PyObject; 3]);

#[allow(deprecated, reason = "the successors of these functions came with Python 3.12")]
impl Pending {
    /// # Safety
    /// - The caller is attached.
    unsafe fn set_aside() -> Self {
        let mut parts = [null_mut(); 3];
        let [kind, value, trace] = &mut parts;
        // SAFETY: attached, and three places.
        unsafe { ffi::PyErr_Fetch(kind, value, trace) };
        Self(parts)
    }

    /// # Safety
    /// - The caller is attached.
    unsafe fn put_back(self) {
        let [kind, value, trace] = self.0;
        // SAFETY: attached, and the references are those that were fetched.
        unsafe { ffi::PyErr_Restore(kind, value, trace) };
    }
}
