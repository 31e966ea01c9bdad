//! The verbs of sk_buff that move the borders of the data.

use crate::failure::{Failure, answer};
use crate::raw::RawSkb;
use skbpool_pool::{Skb, SkbError};
use std::ffi::c_int;

/// Writes to `out`, unless it is null, where the bytes are that `verb` returns.
///
/// # Safety
/// - `skb` is an skb or none and nobody else uses it; `out` is null or a place for a pointer.
#[inline(always)]
unsafe fn writing(
    skb: *mut RawSkb,
    out: *mut *mut u8,
    verb: impl FnOnce(&mut Skb) -> Result<&mut [u8], SkbError>,
) -> c_int {
    answer((|| {
        // SAFETY: as the caller promises.
        let bytes = verb(unsafe { (*skb).get_mut()? })?.as_mut_ptr();
        if !out.is_null() {
            // SAFETY: as the caller promises.
            unsafe { out.write(bytes) };
        }
        Ok(())
    })())
}

/// Moves a border.
///
/// # Safety
/// - `skb` is an skb or none, and nobody else uses it.
#[inline(always)]
unsafe fn moving(skb: *mut RawSkb, verb: impl FnOnce(&mut Skb) -> Result<(), SkbError>) -> c_int {
    // SAFETY: as the caller promises.
    answer(unsafe { (*skb).get_mut() }.and_then(|skb| verb(skb).map_err(Failure::from)))
}

pub(crate) unsafe extern "C" fn skb_data_mut(skb: *mut RawSkb, out: *mut *mut u8) -> c_int {
    // SAFETY: the caller keeps `writing`'s promise, here and below.
    unsafe { writing(skb, out, Skb::data_mut) }
}

pub(crate) unsafe extern "C" fn skb_push(skb: *mut RawSkb, bytes: u32, out: *mut *mut u8) -> c_int {
    // SAFETY: as above.
    unsafe { writing(skb, out, |skb| skb.push(bytes)) }
}

pub(crate) unsafe extern "C" fn skb_put(skb: *mut RawSkb, bytes: u32, out: *mut *mut u8) -> c_int {
    // SAFETY: as above.
    unsafe { writing(skb, out, |skb| skb.put(bytes)) }
}

pub(crate) unsafe extern "C" fn skb_pull(skb: *mut RawSkb, bytes: u32) -> c_int {
    // SAFETY: the caller keeps `moving`'s promise, here and below.
    unsafe { moving(skb, |skb| skb.pull(bytes)) }
}

pub(crate) unsafe extern "C" fn skb_trim(skb: *mut RawSkb, len: u32) -> c_int {
    // SAFETY: as above.
    unsafe { moving(skb, |skb| skb.trim(len)) }
}

pub(crate) unsafe extern "C" fn skb_reserve(skb: *mut RawSkb, bytes: u32) -> c_int {
    // SAFETY: as above.
    unsafe { moving(skb, |skb| skb.reserve(bytes)) }
}
