//! Chains, and verbs that copy.

use crate::failure::{Failure, answer};
use crate::raw::RawSkb;
use skbpool_pool::{CopyError, Pool, Skb};
use std::ffi::c_int;

pub(crate) unsafe extern "C" fn skb_append_frag(skb: *mut RawSkb, other: *mut RawSkb) -> c_int {
    answer((|| {
        if std::ptr::eq(skb, other) {
            return Err(Failure::Released);
        }
        // SAFETY: the caller owns both.
        let first = unsafe { (*skb).get_mut()? };
        // SAFETY: as above.
        let following = unsafe { (*other).take() }.ok_or(Failure::Released)?;
        first.append_frag(following).map_err(|(error, following)| {
            // SAFETY: that is where it was taken from.
            unsafe { other.write(RawSkb::new(following)) };
            error.into()
        })
    })())
}

/// The pool that a copy comes from: the named one, else the view's own.
///
/// # Safety
/// - `named` is null or a pool.
unsafe fn with_pool<T>(
    named: *const Pool,
    own: Option<Pool>,
    verb: impl FnOnce(&mut &Pool) -> Result<T, CopyError>,
) -> Result<T, Failure> {
    // SAFETY: as the caller promises.
    let mut pool = unsafe { named.as_ref() }.or(own.as_ref()).ok_or(Failure::NoPool)?;
    Ok(verb(&mut pool)?)
}

/// # Safety
/// - `skb` is an skb or none and nobody else uses it; `pool` is null or a pool.
unsafe fn changing(
    skb: *mut RawSkb,
    pool: *const Pool,
    is_done: impl FnOnce(&Skb) -> bool,
    verb: impl FnOnce(&mut Skb, &mut &Pool) -> Result<(), CopyError>,
) -> c_int {
    answer((|| {
        // SAFETY: as the caller promises.
        let skb = unsafe { (*skb).get_mut()? };
        // Where nothing is to be copied, no pool is needed either.
        if is_done(skb) {
            return Ok(());
        }
        let own = Pool::of(skb);
        // SAFETY: as the caller promises.
        unsafe { with_pool(pool, own, |pool| verb(skb, pool)) }
    })())
}

pub(crate) unsafe extern "C" fn skb_copy(
    out: *mut RawSkb,
    skb: *const RawSkb,
    pool: *const Pool,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives an skb or none, and a pool or null.
        let copy = unsafe {
            let skb = (*skb).get()?;
            with_pool(pool, Pool::of(skb), |pool| skb.copy(pool))?
        };
        // SAFETY: the caller gives a place for the skb.
        unsafe { out.write(RawSkb::new(copy)) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_unshare(skb: *mut RawSkb, pool: *const Pool) -> c_int {
    // SAFETY: the caller keeps `changing`'s promise, here and below.
    unsafe {
        changing(
            skb,
            pool,
            |skb| !skb.is_chain() && skb.is_writable(),
            |skb, pool| skb.unshare(pool),
        )
    }
}

pub(crate) unsafe extern "C" fn skb_linearize(skb: *mut RawSkb, pool: *const Pool) -> c_int {
    // SAFETY: as above.
    unsafe { changing(skb, pool, |skb| !skb.is_chain(), |skb, pool| skb.linearize(pool)) }
}

pub(crate) unsafe extern "C" fn skb_pull_up(
    skb: *mut RawSkb,
    bytes: u32,
    pool: *const Pool,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        changing(
            skb,
            pool,
            |skb| bytes as usize <= skb.data().len(),
            |skb, pool| skb.pull_up(bytes, pool),
        )
    }
}
