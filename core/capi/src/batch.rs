//! Batches for C.

use crate::failure::{Failure, answer};
use crate::raw::RawSkb;
use skbpool_pool::SkbBatch;
use std::ffi::c_int;
use std::ptr::null_mut;

pub(crate) unsafe extern "C" fn skb_batch_create() -> *mut SkbBatch {
    Box::into_raw(Box::new(SkbBatch::new()))
}

pub(crate) unsafe extern "C" fn skb_batch_push(batch: *mut SkbBatch, skb: *mut RawSkb) -> c_int {
    answer((|| {
        // SAFETY: the caller owns both.
        let skb = unsafe { (*skb).take() }.ok_or(Failure::Released)?;
        // SAFETY: as above.
        unsafe { (*batch).push(skb) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_batch_pop(batch: *mut SkbBatch, out: *mut RawSkb) -> c_int {
    answer((|| {
        // SAFETY: the caller owns the batch.
        let skb = unsafe { (*batch).pop() }.ok_or(Failure::Released)?;
        // SAFETY: the caller gives a place for the skb.
        unsafe { out.write(RawSkb::new(skb)) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_batch_append(batch: *mut SkbBatch, other: *mut SkbBatch) {
    if !std::ptr::eq(batch, other) {
        // SAFETY: the caller owns both, and they are two.
        unsafe { (*batch).append(&mut *other) };
    }
}

pub(crate) unsafe extern "C" fn skb_batch_clone(
    into: *mut SkbBatch,
    batch: *const SkbBatch,
) -> c_int {
    answer((|| {
        let mut clones = SkbBatch::new();
        // What was cloned before a failure is released again.
        // SAFETY: the caller owns both.
        unsafe { (*batch).clone_front_into((*batch).len(), &mut clones) }
            .map_err(|(error, _)| error)?;
        // SAFETY: as above.
        unsafe { (*into).append(&mut clones) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_batch_skbs(
    batch: *mut SkbBatch,
    count: *mut usize,
) -> *mut RawSkb {
    // SAFETY: the caller owns the batch and gives a place for the count; `skb_t` has the layout of
    // `Skb`.
    unsafe {
        let skbs = (*batch).as_mut_slice();
        count.write(skbs.len());
        skbs.as_mut_ptr().cast()
    }
}

pub(crate) unsafe extern "C" fn skb_batch_release(batch: *mut SkbBatch) {
    // Taken out first, so that a free function that comes back here finds an empty batch.
    // SAFETY: the caller owns the batch.
    drop(unsafe { std::mem::take(&mut *batch) });
}

pub(crate) unsafe extern "C" fn skb_batch_free(slot: *mut *mut SkbBatch) {
    // SAFETY: the caller owns the batch behind its pointer, unless that is null.
    unsafe {
        let batch = slot.replace(null_mut());
        if !batch.is_null() {
            drop(Box::from_raw(batch));
        }
    }
}
