//! Cutting a known number of views without an atomic operation for each.

use crate::buffer::{restore, take_only};
use crate::failure::{Failure, answer};
use crate::raw::{ArmedSlot, RawSkb};
use skbpool_pool::{Armed, BufferHeader, SkbError};
use std::ffi::c_int;

pub(crate) unsafe extern "C" fn skb_buffer_arm(
    slot: *mut *mut BufferHeader,
    views: u32,
    out: *mut ArmedSlot,
) -> c_int {
    answer((|| {
        // SAFETY: the caller owns the reference behind its pointer.
        let buffer = unsafe { take_only(slot)? };
        match buffer.arm(views) {
            Ok(armed) => {
                // SAFETY: the caller gives a place for it, of the size that `raw` asserts.
                unsafe { out.cast::<Option<Armed>>().write(Some(armed)) };
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

pub(crate) unsafe extern "C" fn skb_armed_cut(
    armed: *mut ArmedSlot,
    out: *mut RawSkb,
    offset: u32,
    len: u32,
    headroom: u32,
    tailroom: u32,
) -> c_int {
    answer((|| {
        // SAFETY: the caller's slot was filled by `skb_buffer_arm`, or is all zeros, or was put.
        let armed = unsafe { &mut *armed.cast::<Option<Armed>>() };
        let armed = armed.as_mut().ok_or(Failure::Released)?;
        let size = armed.header().ok_or(SkbError::NotArmed)?.size();
        let out_of_range = SkbError::OutOfRange { start: offset, end: u32::MAX, size };
        let (Some(start), Some(end)) = (offset.checked_sub(headroom), offset.checked_add(len))
        else {
            return Err(out_of_range.into());
        };
        let window_end = end.checked_add(tailroom).ok_or(out_of_range)?;
        let skb = armed.skb_in(start..window_end, offset..end)?;
        // SAFETY: the caller gives a place for the skb.
        unsafe { out.write(RawSkb::new(skb)) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_armed_put(armed: *mut ArmedSlot) {
    // SAFETY: as in `skb_armed_cut`; `None` stays behind.
    drop(unsafe { (*armed.cast::<Option<Armed>>()).take() });
}
