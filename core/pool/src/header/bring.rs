//! Memory that a caller brings: S1 of the proposal, and adoption.

use super::free::{Free, Owner, contain};
use super::layout::{BufferHeader, HEADER_BYTES, Kind, MAX_BUFFER_BYTES, NO_INDEX};
use crate::buffer::Buffer;
use crate::provenance::NOT_LOGGED;
use crate::sync::{AtomicU8, AtomicU32};
use std::ptr::NonNull;

/// Why memory could not be made a buffer. The caller still owns it, and neither the free function
/// nor the owner is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BringError {
    /// Not even the header fits.
    #[error("{size} bytes are too few: the header alone takes {HEADER_BYTES}")]
    TooSmall {
        /// Bytes given.
        size: usize,
    },
    /// Offsets have 32 bits.
    #[error("{size} bytes are too many for one buffer; the most is {MAX_BUFFER_BYTES}")]
    TooLarge {
        /// Bytes given.
        size: usize,
    },
    /// The header has to stand on a cache line of its own.
    #[error("the memory starts {misaligned} bytes past a multiple of {HEADER_BYTES}; align it")]
    Misaligned {
        /// Bytes past the last aligned address.
        misaligned: usize,
    },
}

fn header_over(
    data: NonNull<u8>,
    size: usize,
    order: u8,
    kind: Kind,
    writable: bool,
    free: Free,
    owner: Owner,
) -> BufferHeader {
    BufferHeader {
        refs: AtomicU32::new(1),
        generation: AtomicU32::new(0),
        data,
        size: size as u32,
        index: NO_INDEX,
        free: free.into_raw(),
        owner: owner.into_raw(),
        armed: AtomicU32::new(0),
        order,
        kind,
        writable,
        logged: AtomicU8::new(NOT_LOGGED),
    }
}

/// Writes a header at the head of memory that the caller owns, and makes the rest a buffer.
///
/// The header holds the reference count and the function that frees the memory, and has to be there
/// before any view is made: `init_zero_copy_buffer(header, freefunc, order)` of the proposal (S1).
/// `memory` is `size` bytes; the buffer is the `size - 64` bytes after the header. When the last
/// reference goes, `free` is called and then `owner` let go of. Costs one cache line of stores.
///
/// # Errors
/// [`BringError`] if the memory is too small, too large or not aligned to 64 bytes.
///
/// # Safety
/// - `memory` is valid for reads and writes of `size` bytes, and nobody else touches it, until `free`
///   is called.
pub unsafe fn init_zero_copy_buffer(
    memory: NonNull<u8>,
    size: usize,
    order: u8,
    free: Free,
    owner: Owner,
) -> Result<Buffer, BringError> {
    let misaligned = memory.addr().get() % HEADER_BYTES;
    if misaligned != 0 {
        return Err(BringError::Misaligned { misaligned });
    }
    if size < HEADER_BYTES {
        return Err(BringError::TooSmall { size });
    }
    let room = size - HEADER_BYTES;
    if room > MAX_BUFFER_BYTES {
        return Err(BringError::TooLarge { size });
    }
    // SAFETY: the caller gives at least HEADER_BYTES bytes.
    let data = unsafe { memory.add(HEADER_BYTES) };
    let header = memory.cast::<BufferHeader>();
    // SAFETY: aligned, large enough and exclusively ours, by the checks above and the contract.
    unsafe { header.write(header_over(data, room, order, Kind::Head, true, free, owner)) };
    // SAFETY: the header is initialised with one reference, which the buffer takes over.
    Ok(unsafe { Buffer::from_header(header) })
}

/// Makes memory a buffer without writing into it; its header is one heap allocation of 64 bytes.
///
/// # Errors
/// [`BringError::TooLarge`].
///
/// # Safety
/// - `data` is valid for reads of `size` bytes until `free` is called, and for writes if `writable`.
/// - Nobody writes to it meanwhile; if `writable`, nobody else reads it either.
pub unsafe fn adopt_raw(
    data: NonNull<u8>,
    size: usize,
    writable: bool,
    free: Free,
    owner: Owner,
) -> Result<Buffer, BringError> {
    if size > MAX_BUFFER_BYTES {
        return Err(BringError::TooLarge { size });
    }
    let header = Box::new(header_over(data, size, 0, Kind::Detached, writable, free, owner));
    let header = NonNull::from(Box::leak(header));
    // SAFETY: the header is initialised with one reference, which the buffer takes over.
    Ok(unsafe { Buffer::from_header(header) })
}

/// Makes the bytes of any Rust value a read-only buffer; the value is dropped when the last view of
/// it goes. Costs two heap allocations.
///
/// # Errors
/// [`BringError::TooLarge`], with the value given back.
pub fn adopt<T>(value: T) -> Result<Buffer, (BringError, T)>
where
    T: AsRef<[u8]> + Send + Sync + 'static,
{
    unsafe extern "C" fn drop_value<T>(owner: *mut std::ffi::c_void) {
        // SAFETY: `owner` came from `Box::into_raw` below, and an owner is let go of once.
        let value = unsafe { Box::from_raw(owner.cast::<T>()) };
        contain("an adopted value", move || drop(value));
    }
    let keeper = Box::into_raw(Box::new(value));
    // SAFETY: `keeper` was just made and nobody else knows it.
    let bytes = unsafe { &*keeper }.as_ref();
    let (data, size) = (NonNull::from(bytes).cast::<u8>(), bytes.len());
    // SAFETY: `T: Send`, so any thread may drop it, and `put` is code of this program.
    let owner = unsafe { Owner::raw(keeper.cast(), drop_value::<T>) };
    // SAFETY: the bytes belong to the boxed value, which does not move and is not touched until the
    // owner is let go of; `T: Sync`, so views may be read from any thread.
    match unsafe { adopt_raw(data, size, false, Free::nothing(), owner) } {
        Ok(buffer) => Ok(buffer),
        // SAFETY: on failure nobody took the value over.
        Err(error) => Err((error, *unsafe { Box::from_raw(keeper) })),
    }
}
