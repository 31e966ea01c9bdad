//! The function that frees a buffer, and the owner that keeps that function alive.

use super::layout::BufferHeader;
use crate::contain;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

/// Frees a buffer: called once, by whichever thread lets the last reference go. Where free functions let go
/// of buffers whose free functions let go of buffers, those deeper than 32 are called after the one around
/// them instead of from within it.
///
/// `header` may be read until the function returns; for a header at the head of the memory that is
/// freed, not after that. `context` is what the header was made with.
pub type FreeFn = unsafe extern "C" fn(header: *mut BufferHeader, context: *mut c_void);

/// Lets an owner go; called once, after the free function has returned.
pub type OwnerPutFn = unsafe extern "C" fn(owner: *mut c_void);

/// The memory that a free function is told about.
#[derive(Clone, Copy, Debug)]
pub struct FreedMemory {
    /// First byte after the header, or first byte of the adopted memory.
    pub data: NonNull<u8>,
    /// Bytes from `data` on.
    pub size: u32,
    /// The order the header was made with.
    pub order: u8,
}

/// What a header keeps of a [`Free`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct RawFree {
    pub(crate) function: Option<FreeFn>,
    pub(crate) context: *mut c_void,
}

impl RawFree {
    pub(crate) const NOTHING: Self = Self { function: None, context: std::ptr::null_mut() };
}

/// How a buffer is freed: a C function with a context, a Rust closure, or nothing to do.
///
/// A closure that is dropped without having become part of a buffer is dropped uncalled; what a C
/// function's context means stays the caller's business.
#[derive(Debug)]
pub struct Free {
    raw: RawFree,
    /// Drops the context if no buffer was made.
    discard: Option<OwnerPutFn>,
}

impl Free {
    /// Nothing is done: the memory belongs to somebody who outlives every view, or to the owner.
    pub const fn nothing() -> Self {
        Self { raw: RawFree::NOTHING, discard: None }
    }

    /// Calls `function(header, context)`.
    ///
    /// # Safety
    /// - `function` may be called from any thread with this `context`.
    /// - Its code stays mapped until it has returned; name an [`Owner`] that sees to it.
    pub const unsafe fn function(function: FreeFn, context: *mut c_void) -> Self {
        Self { raw: RawFree { function: Some(function), context }, discard: None }
    }

    /// Calls a closure. Costs one allocation. A panic in it is caught and reported on stderr, whatever its
    /// payload: the thread that happened to let go last is not the one to punish.
    pub fn closure(closure: impl FnOnce(FreedMemory) + Send + 'static) -> Self {
        type Boxed = Box<dyn FnOnce(FreedMemory) + Send>;
        unsafe extern "C" fn call(header: *mut BufferHeader, context: *mut c_void) {
            // SAFETY: `context` came from `Box::into_raw` below, and this function is called once.
            let closure = unsafe { Box::from_raw(context.cast::<Boxed>()) };
            // SAFETY: a free function is called with a header that is still valid.
            let header = unsafe { &*header };
            let memory = FreedMemory { data: header.data, size: header.size, order: header.order };
            contain("a free function", move || closure(memory));
        }
        unsafe extern "C" fn discard(context: *mut c_void) {
            // SAFETY: as in `call`, of which only one is called.
            let closure = unsafe { Box::from_raw(context.cast::<Boxed>()) };
            contain("what a free function captured", move || drop(closure));
        }
        let boxed: Box<Boxed> = Box::new(Box::new(closure));
        let context = Box::into_raw(boxed).cast();
        Self { raw: RawFree { function: Some(call), context }, discard: Some(discard) }
    }

    pub(super) fn into_raw(self) -> RawFree {
        ManuallyDrop::new(self).raw
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        if let Some(discard) = self.discard {
            // SAFETY: `into_raw` was not called, so the context is still ours.
            unsafe { discard(self.raw.context) };
        }
    }
}

/// Runs what frees a buffer where nothing may unwind.
pub(super) fn contain(what: &str, run: impl FnOnce()) {
    let _ = contain::contain(what, "the buffer counts as freed", run);
}

/// What a header keeps of an [`Owner`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct RawOwner {
    pub(crate) owner: *mut c_void,
    pub(crate) put: Option<OwnerPutFn>,
}

impl RawOwner {
    pub(crate) const NOBODY: Self = Self { owner: std::ptr::null_mut(), put: None };
}

/// What must live until the free function has returned: a library whose code it is, an object whose
/// memory it is. Let go of after the free function.
///
/// A share that is dropped without having become part of a buffer is given back; a raw owner is not.
#[derive(Debug)]
pub struct Owner {
    raw: RawOwner,
    /// Whether the share is given back if no buffer was made.
    shared: bool,
}

impl Owner {
    /// Nobody: code and memory live as long as the process.
    pub const fn nobody() -> Self {
        Self { raw: RawOwner::NOBODY, shared: false }
    }

    /// Keeps a share of `owner`.
    pub fn share<T: Send + Sync + 'static>(owner: Arc<T>) -> Self {
        unsafe extern "C" fn put<T>(owner: *mut c_void) {
            // SAFETY: `owner` came from `Arc::into_raw` below, and this function is called once.
            let owner = unsafe { Arc::from_raw(owner.cast_const().cast::<T>()) };
            contain("an owner", move || drop(owner));
        }
        let owner = Arc::into_raw(owner).cast_mut().cast();
        Self { raw: RawOwner { owner, put: Some(put::<T>) }, shared: true }
    }

    /// Keeps whatever `put(owner)` lets go of.
    ///
    /// # Safety
    /// - `put` may be called from any thread, once, with this `owner`.
    /// - The code of `put` is mapped when it returns: it does not unload itself.
    pub const unsafe fn raw(owner: *mut c_void, put: OwnerPutFn) -> Self {
        Self { raw: RawOwner { owner, put: Some(put) }, shared: false }
    }

    pub(super) fn into_raw(self) -> RawOwner {
        ManuallyDrop::new(self).raw
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let (true, Some(put)) = (self.shared, self.raw.put) {
            // SAFETY: `into_raw` was not called, so the share is still ours.
            unsafe { put(self.raw.owner) };
        }
    }
}
