//! The header of a buffer: its reference count and who frees it.

mod bring;
mod free;
mod layout;
mod refs;
pub mod updates;

pub use bring::{BringError, adopt, adopt_raw, init_zero_copy_buffer};
pub use free::{Free, FreeFn, FreedMemory, Owner, OwnerPutFn};
pub use layout::{BufferHeader, HEADER_BYTES, MAX_BUFFER_BYTES, MAX_ORDER};
pub use refs::MAX_REFERENCES;

pub(crate) use free::{RawFree, RawOwner};
pub(crate) use layout::Kind;
pub(crate) use refs::Put;
