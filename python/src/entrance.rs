//! The one way from Python into this module: every function, method, property and slot that PyO3 made
//! is called through [`inside`].
//!
//! PyO3 runs Python code before it calls a method and after that has returned: `__index__` and
//! `__fspath__` of arguments, buffer exports, sequences, finalizers of garbage. So what guards against
//! the exit of the interpreter has to be around PyO3's own functions. [`install`] puts it there once the
//! module is made, by replacing the pointers that the interpreter calls:
//!
//! ```text
//! method, function   PyMethodDef.ml_meth  ─► fast::<N>, plain::<N>   N: which of ORIGINALS is next
//! property           PyGetSetDef.get      ─► get                     the closure tells
//! slot               PyTypeObject.tp_new  ─► new, ...                the type tells, by SLOTS
//! ```
//! What the interpreter calls when an object goes, and the collector's functions, stay as they are: they
//! run Python code by [`crate::python_code`] only.

use crate::python_code::inside;
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyType};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

type Object = *mut ffi::PyObject;

/// As many functions and methods can be entered; [`install`] refuses a module that has more.
const ENTRANCES: usize = 192;

/// PyO3's function behind each entrance; null: not in use. Filled from the front.
static ORIGINALS: [AtomicPtr<c_void>; ENTRANCES] =
    [const { AtomicPtr::new(null_mut()) }; ENTRANCES];

fn original(number: usize) -> *mut c_void {
    // Relaxed: written with the interpreter lock held, before the interpreter knew the entrance.
    ORIGINALS[number].load(Ordering::Relaxed)
}

/// What a method without arguments is entered by.
unsafe extern "C" fn plain<const N: usize>(slf: Object, none: Object) -> Object {
    // SAFETY: a function of this type was put there, and the interpreter calls it with what it takes.
    unsafe {
        let original: ffi::PyCFunction = std::mem::transmute(original(N));
        inside(|| original(slf, none))
    }
}

/// What a method with arguments is entered by.
unsafe extern "C" fn fast<const N: usize>(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as in `plain`.
    unsafe {
        let original: ffi::PyCFunctionFastWithKeywords = std::mem::transmute(original(N));
        inside(|| original(slf, arguments, count, names))
    }
}

/// `[f::<0>, ..., f::<191>]`, in rows of 16.
macro_rules! entrances {
    ($f:ident) => {
        entrances!($f; 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    ($f:ident; $($row:literal)*) => {
        [$(entrances!($f, $row; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)),*]
    };
    ($f:ident, $row:literal; $($column:literal)*) => {
        [$($f::<{ 16 * $row + $column }>),*]
    };
}

static PLAIN: [[ffi::PyCFunction; 16]; ENTRANCES / 16] = entrances!(plain);
static FAST: [[ffi::PyCFunctionFastWithKeywords; 16]; ENTRANCES / 16] = entrances!(fast);

/// A copy of a method's definition that is entered here.
///
/// # Safety
/// - `definition` is one of PyO3's.
unsafe fn method(definition: *mut ffi::PyMethodDef) -> PyResult<*mut ffi::PyMethodDef> {
    // SAFETY: alive as long as the module, and all variants of the union are pointers to functions.
    let (of, pointer) = unsafe { (&*definition, (*definition).ml_meth.PyCFunction as *mut c_void) };
    let free = ORIGINALS.iter().position(|original| {
        // Relaxed: with the interpreter lock held, as everything is that writes them.
        let taken = original.load(Ordering::Relaxed);
        taken.is_null() || taken == pointer
    });
    let number = free.ok_or_else(|| refused(&text(of.ml_name)))?;
    let (row, column) = (number / 16, number % 16);
    const FASTCALL: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    let ml_meth = match of.ml_flags & !(ffi::METH_CLASS | ffi::METH_STATIC) {
        ffi::METH_NOARGS => ffi::PyMethodDefPointer { PyCFunction: PLAIN[row][column] },
        FASTCALL => ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: FAST[row][column] },
        _ => return Err(refused(&text(of.ml_name))),
    };
    // Relaxed: as in `original`.
    ORIGINALS[number].store(pointer, Ordering::Relaxed);
    let (ml_name, ml_flags, ml_doc) = (of.ml_name, of.ml_flags, of.ml_doc);
    Ok(Box::into_raw(Box::new(ffi::PyMethodDef { ml_name, ml_meth, ml_flags, ml_doc })))
}

/// What a property is read by.
unsafe extern "C" fn get(slf: Object, closure: *mut c_void) -> Object {
    // SAFETY: `property` gave this closure, and never takes it back.
    unsafe {
        let (get, closure) = *closure.cast::<(ffi::getter, *mut c_void)>();
        inside(|| get(slf, closure))
    }
}

/// A copy of a property's definition that is entered here.
///
/// # Safety
/// - `definition` is one of PyO3's.
unsafe fn property(definition: *mut ffi::PyGetSetDef) -> PyResult<*mut ffi::PyGetSetDef> {
    // SAFETY: alive as long as the type.
    let of = unsafe { &*definition };
    let (Some(getter), None) = (of.get, of.set) else {
        return Err(refused(&text(of.name)));
    };
    let closure = Box::into_raw(Box::new((getter, of.closure))).cast();
    let (name, doc) = (of.name, of.doc);
    Ok(Box::into_raw(Box::new(ffi::PyGetSetDef { name, get: Some(get), set: None, doc, closure })))
}

/// PyO3's functions in the slots of a type.
struct Slots {
    kind: *mut ffi::PyTypeObject,
    new: Option<ffi::newfunc>,
    repr: Option<ffi::reprfunc>,
    length: Option<ffi::lenfunc>,
    iter: Option<ffi::getiterfunc>,
    iter_next: Option<ffi::iternextfunc>,
    get_buffer: Option<ffi::getbufferproc>,
    release_buffer: Option<ffi::releasebufferproc>,
}

// SAFETY: PyO3's types are never freed, and their addresses are only compared.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

/// Of each type; there are a few.
static SLOTS: PyOnceLock<Vec<Slots>> = PyOnceLock::new();

/// Of an object's type, or of the type that it inherits the slots from.
///
/// # Safety
/// - The caller is attached, and `kind` is a type with slots of [`Slots::replace`].
unsafe fn slots(mut kind: *mut ffi::PyTypeObject) -> &'static Slots {
    // SAFETY: attached.
    let all = SLOTS.get(unsafe { Python::assume_attached() }).map_or(&[][..], Vec::as_slice);
    loop {
        if let Some(found) = all.iter().find(|slots| slots.kind == kind) {
            return found;
        }
        // SAFETY: one of its bases has the slots.
        kind = unsafe { (*kind).tp_base };
    }
}

/// Defines what a slot is entered by: a function that calls the one that was there before.
macro_rules! slot {
    ($name:ident($first:ident: $kind:ty $(, $argument:ident: $of:ty)*) -> $answer:ty, of $type:expr) => {
        unsafe extern "C" fn $name($first: $kind $(, $argument: $of)*) -> $answer {
            // SAFETY: the interpreter is attached, calls this for types whose slot was replaced, so it
            // had a function, and with what that takes.
            unsafe {
                let original = slots($type).$name.unwrap_unchecked();
                inside(|| original($first $(, $argument)*))
            }
        }
    };
}

slot!(new(kind: *mut ffi::PyTypeObject, arguments: Object, keywords: Object) -> Object, of kind);
slot!(repr(slf: Object) -> Object, of ffi::Py_TYPE(slf));
slot!(length(slf: Object) -> ffi::Py_ssize_t, of ffi::Py_TYPE(slf));
slot!(iter(slf: Object) -> Object, of ffi::Py_TYPE(slf));
slot!(iter_next(slf: Object) -> Object, of ffi::Py_TYPE(slf));
slot!(get_buffer(slf: Object, view: *mut ffi::Py_buffer, flags: c_int) -> c_int,
      of ffi::Py_TYPE(slf));
slot!(release_buffer(slf: Object, view: *mut ffi::Py_buffer) -> (), of ffi::Py_TYPE(slf));

impl Slots {
    /// # Safety
    /// - `kind` is a type of PyO3's, which are made on the heap.
    unsafe fn of(kind: *mut ffi::PyTypeObject) -> Self {
        // SAFETY: types on the heap have all of these tables.
        unsafe {
            Self {
                kind,
                new: (*kind).tp_new,
                repr: (*kind).tp_repr,
                length: (*(*kind).tp_as_mapping).mp_length,
                iter: (*kind).tp_iter,
                iter_next: (*kind).tp_iternext,
                get_buffer: (*(*kind).tp_as_buffer).bf_getbuffer,
                release_buffer: (*(*kind).tp_as_buffer).bf_releasebuffer,
            }
        }
    }

    /// # Safety
    /// - They are in [`SLOTS`].
    unsafe fn replace(&self) {
        let kind = self.kind;
        // SAFETY: as in `of`; nobody reads them meanwhile without the interpreter lock.
        unsafe {
            (*kind).tp_new = self.new.map(|_| new as _);
            (*kind).tp_repr = self.repr.map(|_| repr as _);
            (*(*kind).tp_as_mapping).mp_length = self.length.map(|_| length as _);
            (*kind).tp_iter = self.iter.map(|_| iter as _);
            (*kind).tp_iternext = self.iter_next.map(|_| iter_next as _);
            (*(*kind).tp_as_buffer).bf_getbuffer = self.get_buffer.map(|_| get_buffer as _);
            (*(*kind).tp_as_buffer).bf_releasebuffer =
                self.release_buffer.map(|_| release_buffer as _);
        }
    }

    /// What replaces a slot that can be called by its name as well.
    fn by_name(&self, slot: *mut c_void) -> Option<*mut c_void> {
        let named: [(Option<*mut c_void>, *mut c_void); 6] = [
            (self.repr.map(|f| f as _), repr as *mut c_void),
            (self.length.map(|f| f as _), length as *mut c_void),
            (self.iter.map(|f| f as _), iter as *mut c_void),
            (self.iter_next.map(|f| f as _), iter_next as *mut c_void),
            (self.get_buffer.map(|f| f as _), get_buffer as *mut c_void),
            (self.release_buffer.map(|f| f as _), release_buffer as *mut c_void),
        ];
        named.iter().find(|(original, _)| *original == Some(slot)).map(|(_, entrance)| *entrance)
    }
}

/// Sees to it that whatever the module has can be entered here only.
///
/// # Errors
/// ImportError if something in it is of a kind that is not known here.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if py.version_info() >= (3, 14) {
        return Ok(());
    }
    let mut kinds = Vec::new();
    for object in module.dict().values() {
        if let Ok(kind) = object.cast::<PyType>() {
            kinds.push(kind.clone());
        // SAFETY: attached, and the object is alive.
        } else if unsafe { ffi::PyCFunction_CheckExact(object.as_ptr()) } != 0 {
            let function = object.as_ptr().cast::<ffi::PyCFunctionObject>();
            // SAFETY: it is of this type, and of this module.
            unsafe { (*function).m_ml = method((*function).m_ml)? };
        }
    }
    // A module that is made again has functions of its own, and the same types.
    if SLOTS.get(py).is_none() {
        // SAFETY: types of this module.
        let all = kinds.iter().map(|kind| unsafe { Slots::of(kind.as_type_ptr()) }).collect();
        for (kind, slots) in kinds.iter().zip(SLOTS.get_or_init(py, || all)) {
            install_type(kind, slots)?;
        }
    }
    Ok(())
}

fn install_type(kind: &Bound<'_, PyType>, slots: &Slots) -> PyResult<()> {
    for entry in kind.getattr("__dict__")?.call_method0("items")?.try_iter()? {
        let (name, object): (String, Bound<'_, PyAny>) = entry?.extract()?;
        let (is, pointer) = (object.get_type_ptr(), object.as_ptr());
        // SAFETY: of the type that was asked for, and PyO3's.
        unsafe {
            if is == &raw mut ffi::PyMethodDescr_Type {
                let descriptor = pointer.cast::<ffi::PyMethodDescrObject>();
                (*descriptor).d_method = method((*descriptor).d_method)?;
            } else if is == &raw mut ffi::PyGetSetDescr_Type {
                let descriptor = pointer.cast::<ffi::PyGetSetDescrObject>();
                (*descriptor).d_getset = property((*descriptor).d_getset)?;
            } else if is == &raw mut ffi::PyWrapperDescr_Type {
                let descriptor = pointer.cast::<ffi::PyWrapperDescrObject>();
                let entrance = slots.by_name((*descriptor).d_wrapped);
                (*descriptor).d_wrapped = entrance.ok_or_else(|| refused(&name))?;
            // Calls the slot.
            } else if name != "__new__" && object.is_callable() {
                return Err(refused(&name));
            }
        }
    }
    // SAFETY: in SLOTS, where the caller has them from.
    unsafe { slots.replace() };
    // SAFETY: attached, and a type.
    unsafe { ffi::PyType_Modified(kind.as_type_ptr()) };
    Ok(())
}

/// The name in a definition.
fn text(name: *const c_char) -> String {
    // SAFETY: a definition has a name, which ends.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// A mistake in this module, not in its use.
fn refused(name: &str) -> PyErr {
    PyImportError::new_err(format!("skbpool._native.{name} has no entrance; see entrance.rs"))
}
