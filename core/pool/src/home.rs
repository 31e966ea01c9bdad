//! Bringing a buffer home when its last reference is gone.

use crate::header::{BufferHeader, Kind, Put};
use crate::nesting;
use crate::pool::{Pool, PoolInner};
use std::ptr::NonNull;

/// Gives `count` references back, and brings the buffer home if they were the last: to its pool's
/// depot, or to the free function of whoever brought the memory. With a cache at hand,
/// [`LocalCache::put`](crate::LocalCache) does it.
///
/// # Safety
/// - `header` is valid, and the caller owns `count` references to it, which it gives up.
#[inline]
pub(crate) unsafe fn put_references(header: NonNull<BufferHeader>, count: u32) {
    // SAFETY: the caller's references keep the header valid.
    let put = unsafe { header.as_ref() }.put(count);
    if put != Put::Held {
        // SAFETY: this is what giving the references back did.
        unsafe { after_put(header, put) };
    }
}

/// Does what follows from giving references back, without a cache.
///
/// # Safety
/// - `put` is what giving back references of `header` answered, and this is called once for it.
#[inline]
pub(crate) unsafe fn after_put(header: NonNull<BufferHeader>, put: Put) {
    match put {
        Put::Held => {}
        // SAFETY: these were the last references, so the buffer is ours alone.
        Put::Last => unsafe { bring_home(header) },
        // SAFETY: the header is valid: pool headers live as long as the pool, which the caller's
        // claim to a reference says is alive.
        Put::Violation => unsafe { count_violation(header) },
    }
}

/// # Safety
/// - The caller took the last reference of `header`.
#[inline]
unsafe fn bring_home(header: NonNull<BufferHeader>) {
    // SAFETY: the header is valid and nobody else has a reference.
    let (kind, index) = unsafe { (header.as_ref().kind, header.as_ref().index) };
    if kind != Kind::Pool {
        // SAFETY: as the caller promises.
        unsafe { let_go_brought(header) };
        return;
    }
    // SAFETY: as above.
    unsafe { header.as_ref() }.next_generation();
    // SAFETY: the owner of a pool header is the pool it lies in, which lives while a buffer is out.
    let pool = unsafe { Pool::of_header(header) };
    // SAFETY: the pool is alive, and this buffer is ours and outside the depot.
    unsafe { PoolInner::put_loose(pool, index) };
}

/// # Safety
/// - The caller took the last reference of `header`, which is not a pool's.
#[cold]
unsafe fn let_go_brought(header: NonNull<BufferHeader>) {
    // SAFETY: the header is valid and nobody else has a reference.
    let calls_somebody = unsafe { header.as_ref() }.calls_somebody();
    // SAFETY: as the caller promises; for those that were put aside, as their callers promised.
    let free = |header| unsafe { free_brought(header) };
    if calls_somebody {
        nesting::bounded(header, free);
    } else {
        // Nothing to nest; and with nobody to tell, the memory need not outlive its last view.
        free(header);
    }
}

/// # Safety
/// - The caller took the last reference of `header`, which is not a pool's.
unsafe fn free_brought(header: NonNull<BufferHeader>) {
    // SAFETY: the header is valid and nobody else has a reference.
    let BufferHeader { free, owner, kind, .. } = *unsafe { header.as_ref() };
    if let Some(function) = free.function {
        // SAFETY: the header was made with this function and this context, it is called for the
        // first and last time, and the owner still keeps its code.
        unsafe { function(header.as_ptr(), free.context) };
    }
    // From here on a header at the head of the memory may be gone.
    if kind == Kind::Detached {
        // SAFETY: detached headers were leaked from a box by `adopt_raw`.
        drop(unsafe { Box::from_raw(header.as_ptr()) });
    }
    if let Some(put) = owner.put {
        // SAFETY: the header was made with this owner, which is let go of once.
        unsafe { put(owner.owner) };
    }
}

/// # Safety
/// - `header` is valid.
#[cold]
unsafe fn count_violation(header: NonNull<BufferHeader>) {
    // SAFETY: as the caller promises.
    if unsafe { header.as_ref() }.kind == Kind::Pool {
        // SAFETY: as in `bring_home`.
        unsafe { Pool::of_header(header).as_ref() }.count_violation();
    }
}
