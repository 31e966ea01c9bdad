//! Views: releasing, sharing, looking.

use crate::failure::{Failure, answer};
use crate::raw::RawSkb;
use skbpool_pool::{Skb, SkbError};
use std::ffi::{c_int, c_void};

pub(crate) unsafe extern "C" fn skb_release(skb: *mut RawSkb) {
    // The header is null before anything is freed, so a free function that comes back here finds
    // nothing to release.
    // SAFETY: the caller owns the skb, if it is one.
    drop(unsafe { (*skb).take() });
}

pub(crate) unsafe extern "C" fn skb_release_many(skbs: *mut RawSkb, count: usize) {
    for position in 0..count {
        // SAFETY: the caller gives `count` skbs in a row, and owns them.
        unsafe { skb_release(skbs.add(position)) };
    }
}

/// Writes to `out` what `make` makes of `skb`.
///
/// # Safety
/// - `skb` is readable and an skb or none, `out` is a place for one.
#[inline(always)]
unsafe fn derive(
    out: *mut RawSkb,
    skb: *const RawSkb,
    make: impl FnOnce(&Skb) -> Result<Skb, SkbError>,
) -> c_int {
    answer((|| {
        // SAFETY: as the caller promises.
        let made = make(unsafe { (*skb).get()? })?;
        // SAFETY: as the caller promises.
        unsafe { out.write(RawSkb::new(made)) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_clone(out: *mut RawSkb, skb: *const RawSkb) -> c_int {
    // SAFETY: the caller keeps `derive`'s promise.
    unsafe { derive(out, skb, Skb::clone_skb) }
}

pub(crate) unsafe extern "C" fn skb_slice(
    out: *mut RawSkb,
    skb: *const RawSkb,
    offset: u32,
    len: u32,
) -> c_int {
    // SAFETY: the caller keeps `derive`'s promise.
    unsafe { derive(out, skb, |skb| skb.slice(offset, len)) }
}

pub(crate) unsafe extern "C" fn skb_reslice(
    slot: *mut RawSkb,
    skb: *const RawSkb,
    offset: u32,
    len: u32,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives two skbs, of which it owns the first.
        let (slot, skb) = unsafe { ((*slot).get_mut()?, (*skb).get()?) };
        Ok(slot.reslice(skb, offset, len)?)
    })())
}

/// Reads something of an skb, or `none` where there is none.
///
/// # Safety
/// - `skb` is readable and an skb or none.
#[inline(always)]
unsafe fn ask<T>(skb: *const RawSkb, none: T, read: impl FnOnce(&Skb) -> T) -> T {
    // SAFETY: as the caller promises.
    unsafe { (*skb).get() }.map_or(none, read)
}

pub(crate) unsafe extern "C" fn skb_data(skb: *const RawSkb) -> *const u8 {
    // SAFETY: the caller keeps `ask`'s promise, here and below.
    unsafe { ask(skb, std::ptr::null(), |skb| skb.data().as_ptr()) }
}

pub(crate) unsafe extern "C" fn skb_len(skb: *const RawSkb) -> u32 {
    // SAFETY: as above.
    unsafe { ask(skb, 0, Skb::len) }
}

pub(crate) unsafe extern "C" fn skb_headroom(skb: *const RawSkb) -> u32 {
    // SAFETY: as above.
    unsafe { ask(skb, 0, Skb::headroom) }
}

pub(crate) unsafe extern "C" fn skb_tailroom(skb: *const RawSkb) -> u32 {
    // SAFETY: as above.
    unsafe { ask(skb, 0, Skb::tailroom) }
}

pub(crate) unsafe extern "C" fn skb_truesize(skb: *const RawSkb) -> u32 {
    // SAFETY: as above.
    unsafe { ask(skb, 0, Skb::truesize) }
}

pub(crate) unsafe extern "C" fn skb_is_shared(skb: *const RawSkb) -> c_int {
    // SAFETY: as above.
    unsafe { ask(skb, 0, |skb| c_int::from(skb.is_shared())) }
}

pub(crate) unsafe extern "C" fn skb_is_writable(skb: *const RawSkb) -> c_int {
    // SAFETY: as above.
    unsafe { ask(skb, 0, |skb| c_int::from(skb.is_writable())) }
}

pub(crate) unsafe extern "C" fn skb_copy_bits(
    skb: *const RawSkb,
    offset: u32,
    to: *mut c_void,
    len: u32,
) -> c_int {
    answer((|| {
        // SAFETY: as above.
        let skb = unsafe { (*skb).get()? };
        let size = skb.len();
        // u64, so that the sum cannot wrap.
        let end = u64::from(offset) + u64::from(len);
        if end > u64::from(size) {
            let end = end.min(u64::from(u32::MAX)) as u32;
            return Err(Failure::Skb(SkbError::OutOfRange { start: offset, end, size }));
        }
        let mut skip = offset as usize;
        let mut left = len as usize;
        let mut to = to.cast::<u8>();
        for part in skb.parts() {
            let from = &part[skip.min(part.len())..];
            skip -= skip.min(part.len());
            let now = left.min(from.len());
            // SAFETY: the caller gives `len` bytes to write, and `now` never exceeds what is left.
            unsafe {
                std::ptr::copy_nonoverlapping(from.as_ptr(), to, now);
                to = to.add(now);
            }
            left -= now;
        }
        debug_assert_eq!(left, 0, "parts hold as many bytes as the length says");
        Ok(())
    })())
}
