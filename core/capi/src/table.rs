//! The table itself.

use crate::raw::{ArmedSlot, RawSkb};
use crate::{
    armed, batch, buffer, cache, chain, events, failure, flow, library, pool, verbs, view,
};
use cache::Cache;
use events::{CopyCount, Events};
use skbpool_flow::Flow;
use skbpool_pool::{BufferHeader, Pool, SkbBatch};
use std::ffi::{c_char, c_int, c_void};

/// Raised when an entry changes its meaning, which makes callers compiled before refuse the table.
pub const MAJOR: u32 = 1;

/// `skb_free_function`: [`skbpool_pool::FreeFn`], or null.
pub type FreeFunction =
    Option<unsafe extern "C" fn(header: *mut BufferHeader, context: *mut c_void)>;

/// `skb_owner_put`: [`skbpool_pool::OwnerPutFn`], or null.
pub type OwnerPut = Option<unsafe extern "C" fn(owner: *mut c_void)>;

/// `struct skbpool_api`: what a caller needs to know of the table, then the functions. Their
/// contracts stand in `skbpool.h`. Entries are appended, never moved or removed.
#[allow(missing_docs, reason = "skbpool.h documents every entry")]
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    /// [`MAJOR`].
    pub major: u32,
    /// Bytes of this table: a caller checks that it has the entries it was compiled for.
    pub size: u32,

    pub skb_strerror: unsafe extern "C" fn(code: c_int) -> *const c_char,
    pub skb_last_error: unsafe extern "C" fn(text: *mut c_char, size: usize) -> usize,

    pub init_zero_copy_buffer: unsafe extern "C" fn(
        header: *mut BufferHeader,
        size: usize,
        order: u8,
        free: FreeFunction,
        context: *mut c_void,
        owner: *mut c_void,
        owner_put: OwnerPut,
    ) -> c_int,
    pub adopt_memory: unsafe extern "C" fn(
        data: *const c_void,
        size: usize,
        writable: c_int,
        free: FreeFunction,
        context: *mut c_void,
        owner: *mut c_void,
        owner_put: OwnerPut,
        out: *mut *mut BufferHeader,
    ) -> c_int,
    pub make_zero_copy_skb: unsafe extern "C" fn(
        out: *mut RawSkb,
        size: u32,
        data: *const c_void,
        header: *mut BufferHeader,
    ) -> c_int,
    pub skb_from_buffer: unsafe extern "C" fn(
        out: *mut RawSkb,
        header: *mut *mut BufferHeader,
        start: u32,
        len: u32,
    ) -> c_int,
    pub skb_buffer_put: unsafe extern "C" fn(header: *mut *mut BufferHeader),
    pub skb_buffer_data: unsafe extern "C" fn(header: *const BufferHeader) -> *mut u8,
    pub skb_buffer_size: unsafe extern "C" fn(header: *const BufferHeader) -> u32,
    pub skb_buffer_order: unsafe extern "C" fn(header: *const BufferHeader) -> u8,
    pub skb_buffer_references: unsafe extern "C" fn(header: *const BufferHeader) -> u32,

    pub skb_buffer_arm: unsafe extern "C" fn(
        header: *mut *mut BufferHeader,
        views: u32,
        out: *mut ArmedSlot,
    ) -> c_int,
    pub skb_armed_cut: unsafe extern "C" fn(
        armed: *mut ArmedSlot,
        out: *mut RawSkb,
        offset: u32,
        len: u32,
        headroom: u32,
        tailroom: u32,
    ) -> c_int,
    pub skb_armed_put: unsafe extern "C" fn(armed: *mut ArmedSlot),

    pub skb_release: unsafe extern "C" fn(skb: *mut RawSkb),
    pub skb_release_many: unsafe extern "C" fn(skbs: *mut RawSkb, count: usize),
    pub skb_clone: unsafe extern "C" fn(out: *mut RawSkb, skb: *const RawSkb) -> c_int,
    pub skb_slice:
        unsafe extern "C" fn(out: *mut RawSkb, skb: *const RawSkb, offset: u32, len: u32) -> c_int,
    pub skb_data: unsafe extern "C" fn(skb: *const RawSkb) -> *const u8,
    pub skb_len: unsafe extern "C" fn(skb: *const RawSkb) -> u32,
    pub skb_headroom: unsafe extern "C" fn(skb: *const RawSkb) -> u32,
    pub skb_tailroom: unsafe extern "C" fn(skb: *const RawSkb) -> u32,
    pub skb_truesize: unsafe extern "C" fn(skb: *const RawSkb) -> u32,
    pub skb_is_shared: unsafe extern "C" fn(skb: *const RawSkb) -> c_int,
    pub skb_is_writable: unsafe extern "C" fn(skb: *const RawSkb) -> c_int,
    pub skb_copy_bits:
        unsafe extern "C" fn(skb: *const RawSkb, offset: u32, to: *mut c_void, len: u32) -> c_int,

    pub skb_data_mut: unsafe extern "C" fn(skb: *mut RawSkb, out: *mut *mut u8) -> c_int,
    pub skb_push: unsafe extern "C" fn(skb: *mut RawSkb, bytes: u32, out: *mut *mut u8) -> c_int,
    pub skb_put: unsafe extern "C" fn(skb: *mut RawSkb, bytes: u32, out: *mut *mut u8) -> c_int,
    pub skb_pull: unsafe extern "C" fn(skb: *mut RawSkb, bytes: u32) -> c_int,
    pub skb_trim: unsafe extern "C" fn(skb: *mut RawSkb, len: u32) -> c_int,
    pub skb_reserve: unsafe extern "C" fn(skb: *mut RawSkb, bytes: u32) -> c_int,

    pub skb_append_frag: unsafe extern "C" fn(skb: *mut RawSkb, other: *mut RawSkb) -> c_int,
    pub skb_copy:
        unsafe extern "C" fn(out: *mut RawSkb, skb: *const RawSkb, pool: *const Pool) -> c_int,
    pub skb_unshare: unsafe extern "C" fn(skb: *mut RawSkb, pool: *const Pool) -> c_int,
    pub skb_linearize: unsafe extern "C" fn(skb: *mut RawSkb, pool: *const Pool) -> c_int,
    pub skb_pull_up: unsafe extern "C" fn(skb: *mut RawSkb, bytes: u32, pool: *const Pool) -> c_int,

    pub skb_pool_create: unsafe extern "C" fn(
        name: *const c_char,
        count: u32,
        order: u8,
        out: *mut *mut Pool,
    ) -> c_int,
    pub skb_pool_alloc:
        unsafe extern "C" fn(pool: *const Pool, out: *mut *mut BufferHeader) -> c_int,
    pub skb_pool_alloc_wait: unsafe extern "C" fn(
        pool: *const Pool,
        timeout_ns: u64,
        out: *mut *mut BufferHeader,
    ) -> c_int,
    pub skb_pool_close: unsafe extern "C" fn(pool: *const Pool) -> u32,
    pub skb_pool_put: unsafe extern "C" fn(pool: *mut *mut Pool),

    pub skb_cache_create: unsafe extern "C" fn(pool: *const Pool) -> *mut Cache,
    pub skb_cache_alloc:
        unsafe extern "C" fn(cache: *mut Cache, out: *mut *mut BufferHeader) -> c_int,
    pub skb_cache_release: unsafe extern "C" fn(cache: *mut Cache, skbs: *mut RawSkb, count: usize),
    pub skb_cache_flush: unsafe extern "C" fn(cache: *mut Cache),
    pub skb_cache_free: unsafe extern "C" fn(cache: *mut *mut Cache),

    pub skb_batch_create: unsafe extern "C" fn() -> *mut SkbBatch,
    pub skb_batch_push: unsafe extern "C" fn(batch: *mut SkbBatch, skb: *mut RawSkb) -> c_int,
    pub skb_batch_pop: unsafe extern "C" fn(batch: *mut SkbBatch, out: *mut RawSkb) -> c_int,
    pub skb_batch_append: unsafe extern "C" fn(batch: *mut SkbBatch, other: *mut SkbBatch),
    pub skb_batch_clone: unsafe extern "C" fn(into: *mut SkbBatch, batch: *const SkbBatch) -> c_int,
    pub skb_batch_skbs:
        unsafe extern "C" fn(batch: *mut SkbBatch, count: *mut usize) -> *mut RawSkb,
    pub skb_batch_release: unsafe extern "C" fn(batch: *mut SkbBatch),
    pub skb_batch_free: unsafe extern "C" fn(batch: *mut *mut SkbBatch),

    pub skb_library_get: unsafe extern "C" fn(
        function: Option<unsafe extern "C" fn()>,
        owner: *mut *mut c_void,
        owner_put: *mut OwnerPut,
    ) -> c_int,
    pub skb_library_put: unsafe extern "C" fn(owner: *mut c_void),

    pub skb_reslice:
        unsafe extern "C" fn(slot: *mut RawSkb, skb: *const RawSkb, offset: u32, len: u32) -> c_int,
    pub skb_get_flow: unsafe extern "C" fn(skb: *const RawSkb, out: *mut Flow) -> c_int,
    pub skb_get_flows: unsafe extern "C" fn(skbs: *const RawSkb, count: usize, out: *mut Flow),
    pub skb_set_hashes: unsafe extern "C" fn(skbs: *mut RawSkb, count: usize) -> usize,

    pub skb_pool_create_with_watermarks: unsafe extern "C" fn(
        name: *const c_char,
        count: u32,
        order: u8,
        low: u32,
        high: u32,
        out: *mut *mut Pool,
    ) -> c_int,
    pub skb_pool_is_low: unsafe extern "C" fn(pool: *const Pool) -> c_int,
    pub skb_pool_events_create: unsafe extern "C" fn(pool: *const Pool) -> *mut Events,
    pub skb_pool_events_wait:
        unsafe extern "C" fn(events: *mut Events, timeout_ns: u64, out: *mut u32) -> c_int,
    pub skb_pool_events_missed: unsafe extern "C" fn(events: *const Events) -> u64,
    pub skb_pool_events_free: unsafe extern "C" fn(events: *mut *mut Events),
    pub skb_pool_copies:
        unsafe extern "C" fn(pool: *const Pool, stage: u32, out: *mut CopyCount) -> c_int,
}

static TABLE: Table = Table {
    major: MAJOR,
    size: size_of::<Table>() as u32,
    skb_strerror: failure::skb_strerror,
    skb_last_error: failure::skb_last_error,
    init_zero_copy_buffer: buffer::init_zero_copy_buffer,
    adopt_memory: buffer::adopt_memory,
    make_zero_copy_skb: buffer::make_zero_copy_skb,
    skb_from_buffer: buffer::skb_from_buffer,
    skb_buffer_put: buffer::skb_buffer_put,
    skb_buffer_data: buffer::skb_buffer_data,
    skb_buffer_size: buffer::skb_buffer_size,
    skb_buffer_order: buffer::skb_buffer_order,
    skb_buffer_references: buffer::skb_buffer_references,
    skb_buffer_arm: armed::skb_buffer_arm,
    skb_armed_cut: armed::skb_armed_cut,
    skb_armed_put: armed::skb_armed_put,
    skb_release: view::skb_release,
    skb_release_many: view::skb_release_many,
    skb_clone: view::skb_clone,
    skb_slice: view::skb_slice,
    skb_data: view::skb_data,
    skb_len: view::skb_len,
    skb_headroom: view::skb_headroom,
    skb_tailroom: view::skb_tailroom,
    skb_truesize: view::skb_truesize,
    skb_is_shared: view::skb_is_shared,
    skb_is_writable: view::skb_is_writable,
    skb_copy_bits: view::skb_copy_bits,
    skb_data_mut: verbs::skb_data_mut,
    skb_push: verbs::skb_push,
    skb_put: verbs::skb_put,
    skb_pull: verbs::skb_pull,
    skb_trim: verbs::skb_trim,
    skb_reserve: verbs::skb_reserve,
    skb_append_frag: chain::skb_append_frag,
    skb_copy: chain::skb_copy,
    skb_unshare: chain::skb_unshare,
    skb_linearize: chain::skb_linearize,
    skb_pull_up: chain::skb_pull_up,
    skb_pool_create: pool::skb_pool_create,
    skb_pool_alloc: pool::skb_pool_alloc,
    skb_pool_alloc_wait: pool::skb_pool_alloc_wait,
    skb_pool_close: pool::skb_pool_close,
    skb_pool_put: pool::skb_pool_put,
    skb_cache_create: cache::skb_cache_create,
    skb_cache_alloc: cache::skb_cache_alloc,
    skb_cache_release: cache::skb_cache_release,
    skb_cache_flush: cache::skb_cache_flush,
    skb_cache_free: cache::skb_cache_free,
    skb_batch_create: batch::skb_batch_create,
    skb_batch_push: batch::skb_batch_push,
    skb_batch_pop: batch::skb_batch_pop,
    skb_batch_append: batch::skb_batch_append,
    skb_batch_clone: batch::skb_batch_clone,
    skb_batch_skbs: batch::skb_batch_skbs,
    skb_batch_release: batch::skb_batch_release,
    skb_batch_free: batch::skb_batch_free,
    skb_library_get: library::skb_library_get,
    skb_library_put: library::skb_library_put,
    skb_reslice: view::skb_reslice,
    skb_get_flow: flow::skb_get_flow,
    skb_get_flows: flow::skb_get_flows,
    skb_set_hashes: flow::skb_set_hashes,
    skb_pool_create_with_watermarks: pool::skb_pool_create_with_watermarks,
    skb_pool_is_low: events::skb_pool_is_low,
    skb_pool_events_create: events::skb_pool_events_create,
    skb_pool_events_wait: events::skb_pool_events_wait,
    skb_pool_events_missed: events::skb_pool_events_missed,
    skb_pool_events_free: events::skb_pool_events_free,
    skb_pool_copies: events::skb_pool_copies,
};

/// The table of this process. Lives as long as the code that this crate is linked into.
pub fn table() -> &'static Table {
    &TABLE
}
