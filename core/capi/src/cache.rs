//! Local caches for C.

use crate::failure::answer;
use crate::raw::RawSkb;
use skbpool_pool::{BufferHeader, LocalCache, Pool, SkbBatch};
use std::ffi::c_int;
use std::ptr::null_mut;

/// `skb_cache`: a thread's cache, with a batch that keeps its memory between calls.
pub struct Cache {
    cache: LocalCache,
    batch: SkbBatch,
}

pub(crate) unsafe extern "C" fn skb_cache_create(pool: *const Pool) -> *mut Cache {
    // SAFETY: the caller gives a pool.
    let cache = unsafe { (*pool).local_cache() };
    Box::into_raw(Box::new(Cache { cache, batch: SkbBatch::new() }))
}

pub(crate) unsafe extern "C" fn skb_cache_alloc(
    cache: *mut Cache,
    out: *mut *mut BufferHeader,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives a cache of its own and a place for the pointer.
        unsafe { out.write((*cache).cache.alloc()?.into_raw().as_ptr()) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_cache_release(
    cache: *mut Cache,
    skbs: *mut RawSkb,
    count: usize,
) {
    // Released at the very end: a free function may do anything, also use this cache and free it.
    let mut brought = SkbBatch::new();
    {
        // SAFETY: the caller gives a cache of its own.
        let Cache { cache, batch } = unsafe { &mut *cache };
        for position in 0..count {
            // SAFETY: the caller gives `count` skbs in a row, and owns them.
            match unsafe { (*skbs.add(position)).take() } {
                Some(skb) if skb.is_of_pools() => batch.push(skb),
                Some(skb) => brought.push(skb),
                None => {}
            }
        }
        batch.release(cache);
    }
    drop(brought);
}

pub(crate) unsafe extern "C" fn skb_cache_flush(cache: *mut Cache) {
    // SAFETY: the caller gives a cache of its own.
    unsafe { (*cache).cache.flush() };
}

pub(crate) unsafe extern "C" fn skb_cache_free(slot: *mut *mut Cache) {
    // SAFETY: the caller owns the cache behind its pointer, unless that is null.
    unsafe {
        let cache = slot.replace(null_mut());
        if !cache.is_null() {
            drop(Box::from_raw(cache));
        }
    }
}
