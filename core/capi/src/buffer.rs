//! Buffers before they are views, and the reference that a driver holds itself.

use crate::failure::{Failure, answer};
use crate::raw::{RawSkb, header};
use skbpool_pool::{Buffer, BufferHeader, Free, FreeFn, Owner, OwnerPutFn};
use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};

/// # Safety
/// - As for [`Free::function`].
unsafe fn free_of(free: Option<FreeFn>, context: *mut c_void) -> Free {
    match free {
        // SAFETY: as the caller promises.
        Some(free) => unsafe { Free::function(free, context) },
        None => Free::nothing(),
    }
}

/// # Safety
/// - As for [`Owner::raw`].
unsafe fn owner_of(owner: *mut c_void, put: Option<OwnerPutFn>) -> Owner {
    match put {
        // SAFETY: as the caller promises.
        Some(put) => unsafe { Owner::raw(owner, put) },
        None => Owner::nobody(),
    }
}

pub(crate) unsafe extern "C" fn init_zero_copy_buffer(
    memory: *mut BufferHeader,
    size: usize,
    order: u8,
    free: Option<FreeFn>,
    context: *mut c_void,
    owner: *mut c_void,
    owner_put: Option<OwnerPutFn>,
) -> c_int {
    answer((|| {
        let memory = header(memory)?.cast();
        // SAFETY: the caller gives `size` bytes of its own, and functions that keep their promises.
        let buffer = unsafe {
            let (free, owner) = (free_of(free, context), owner_of(owner, owner_put));
            skbpool_pool::init_zero_copy_buffer(memory, size, order, free, owner)
        }?;
        // The caller holds the reference from here on, by the address of its memory.
        buffer.into_raw();
        Ok(())
    })())
}

#[allow(clippy::too_many_arguments, reason = "the C side of `adopt_raw`")]
pub(crate) unsafe extern "C" fn adopt_memory(
    data: *const c_void,
    size: usize,
    writable: c_int,
    free: Option<FreeFn>,
    context: *mut c_void,
    owner: *mut c_void,
    owner_put: Option<OwnerPutFn>,
    out: *mut *mut BufferHeader,
) -> c_int {
    answer((|| {
        // No bytes need no address.
        let data = NonNull::new(data.cast_mut().cast::<u8>()).unwrap_or(NonNull::dangling());
        // SAFETY: as in `init_zero_copy_buffer`.
        let buffer = unsafe {
            let (free, owner) = (free_of(free, context), owner_of(owner, owner_put));
            skbpool_pool::adopt_raw(data, size, writable != 0, free, owner)
        }?;
        // SAFETY: the caller gives a place for the pointer.
        unsafe { out.write(buffer.into_raw().as_ptr()) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn make_zero_copy_skb(
    out: *mut RawSkb,
    size: u32,
    data: *const c_void,
    buffer: *mut BufferHeader,
) -> c_int {
    answer((|| {
        // SAFETY: the caller holds a reference to the buffer.
        let skb = unsafe { skbpool_pool::make_zero_copy_skb(size, data.cast(), header(buffer)?)? };
        // SAFETY: the caller gives a place for the skb.
        unsafe { out.write(RawSkb::new(skb)) };
        Ok(())
    })())
}

/// Takes the caller's reference over, and its pointer away.
///
/// # Safety
/// - `slot` points to null, or to a header to which the caller owns a reference.
pub(crate) unsafe fn take_buffer(slot: *mut *mut BufferHeader) -> Result<Buffer, Failure> {
    // SAFETY: as the caller promises.
    let header = header(unsafe { slot.replace(null_mut()) })?;
    // SAFETY: as the caller promises.
    Ok(unsafe { Buffer::from_raw(header) })
}

/// [`take_buffer`] for who needs the only reference; the pointer stays if there are others.
///
/// # Safety
/// - As for [`take_buffer`].
pub(crate) unsafe fn take_only(slot: *mut *mut BufferHeader) -> Result<Buffer, Failure> {
    // SAFETY: as the caller promises.
    let buffer = unsafe { header(slot.read())?.as_ref() };
    if buffer.references() != 1 {
        return Err(skbpool_pool::SkbError::Shared.into());
    }
    // SAFETY: as the caller promises.
    unsafe { take_buffer(slot) }
}

/// Gives back a buffer that a failed call left with its caller.
///
/// # Safety
/// - `slot` is where the buffer was taken from.
pub(crate) unsafe fn restore(slot: *mut *mut BufferHeader, buffer: Buffer) {
    // SAFETY: as the caller promises.
    unsafe { slot.write(buffer.into_raw().as_ptr()) };
}

pub(crate) unsafe extern "C" fn skb_buffer_put(slot: *mut *mut BufferHeader) {
    // A buffer that is put twice through its pointer is null the second time.
    // SAFETY: the caller owns a reference, unless its pointer is null. Dropping the handle gives
    // back one reference, whoever has others.
    drop(unsafe { take_buffer(slot) });
}

pub(crate) unsafe extern "C" fn skb_from_buffer(
    out: *mut RawSkb,
    slot: *mut *mut BufferHeader,
    start: u32,
    len: u32,
) -> c_int {
    answer((|| {
        // SAFETY: the caller owns the reference behind its pointer.
        let buffer = unsafe { take_only(slot)? };
        // An end beyond 32 bits lies outside every buffer.
        match buffer.into_skb(start..start.saturating_add(len)) {
            Ok(skb) => {
                // SAFETY: the caller gives a place for the skb.
                unsafe { out.write(RawSkb::new(skb)) };
                Ok(())
            }
            Err((error, buffer)) => {
                // SAFETY: it was taken from there.
                unsafe { restore(slot, buffer) };
                Err(error.into())
            }
        }
    })())
}

/// # Safety
/// - `buffer` is a header to which the caller owns a reference.
unsafe fn look<'a>(buffer: *const BufferHeader) -> &'a BufferHeader {
    // SAFETY: as the caller promises.
    unsafe { &*buffer }
}

pub(crate) unsafe extern "C" fn skb_buffer_data(buffer: *const BufferHeader) -> *mut u8 {
    // SAFETY: the caller owns a reference.
    unsafe { look(buffer) }.data().as_ptr()
}

pub(crate) unsafe extern "C" fn skb_buffer_size(buffer: *const BufferHeader) -> u32 {
    // SAFETY: the caller owns a reference.
    unsafe { look(buffer) }.size()
}

pub(crate) unsafe extern "C" fn skb_buffer_order(buffer: *const BufferHeader) -> u8 {
    // SAFETY: the caller owns a reference.
    unsafe { look(buffer) }.order()
}

pub(crate) unsafe extern "C" fn skb_buffer_references(buffer: *const BufferHeader) -> u32 {
    // SAFETY: the caller owns a reference.
    unsafe { look(buffer) }.references()
}
