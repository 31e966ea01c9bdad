//! Pools for C.

use crate::failure::{Failure, answer};
use skbpool_pool::{BufferHeader, Pool, PoolBuilder};
use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// The longest a call waits, about a century: an instant further away may not exist.
const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(crate) unsafe extern "C" fn skb_pool_create(
    name: *const c_char,
    count: u32,
    order: u8,
    out: *mut *mut Pool,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives a string, and a place for the pointer.
        unsafe { out.write(Box::into_raw(Box::new(builder(name, count, order)?.build()?))) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_pool_create_with_watermarks(
    name: *const c_char,
    count: u32,
    order: u8,
    low: u32,
    high: u32,
    out: *mut *mut Pool,
) -> c_int {
    answer((|| {
        // SAFETY: as above.
        unsafe {
            let pool = builder(name, count, order)?.watermarks(low, high).build()?;
            out.write(Box::into_raw(Box::new(pool)));
        }
        Ok(())
    })())
}

/// # Safety
/// - `name` is a string that ends in a null byte.
unsafe fn builder(name: *const c_char, count: u32, order: u8) -> Result<PoolBuilder, Failure> {
    // SAFETY: as the caller promises.
    let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| Failure::BadName)?;
    Ok(Pool::builder(count).order(order).name(name))
}

pub(crate) unsafe extern "C" fn skb_pool_alloc(
    pool: *const Pool,
    out: *mut *mut BufferHeader,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives a pool and a place for the pointer.
        unsafe { out.write((*pool).alloc()?.into_raw().as_ptr()) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_pool_alloc_wait(
    pool: *const Pool,
    timeout_ns: u64,
    out: *mut *mut BufferHeader,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives a pool and a place for the pointer.
        unsafe { out.write((*pool).alloc_until(until(timeout_ns))?.into_raw().as_ptr()) };
        Ok(())
    })())
}

/// When a wait of that many nanoseconds ends.
pub(crate) fn until(timeout_ns: u64) -> Instant {
    Instant::now() + Duration::from_nanos(timeout_ns).min(LONGEST_WAIT)
}

pub(crate) unsafe extern "C" fn skb_pool_close(pool: *const Pool) -> u32 {
    // SAFETY: the caller gives a pool.
    unsafe { (*pool).close() }
}

pub(crate) unsafe extern "C" fn skb_pool_put(slot: *mut *mut Pool) {
    // SAFETY: the caller owns the handle behind its pointer, unless that is null.
    unsafe {
        let pool = slot.replace(null_mut());
        if !pool.is_null() {
            drop(Box::from_raw(pool));
        }
    }
}
