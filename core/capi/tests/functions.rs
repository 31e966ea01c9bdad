//! The functions called as C calls them.

use skbpool_capi::{ArmedSlot, Code, RawSkb, take_failure};
use skbpool_pool::{BufferHeader, Pool, SkbBatch};
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

const OK: c_int = Code::Ok as c_int;

fn api() -> &'static skbpool_capi::Table {
    skbpool_capi::table()
}

fn create(count: u32) -> *mut Pool {
    let mut pool = null_mut();
    // SAFETY: a string and a place for the pointer.
    assert_eq!(unsafe { (api().skb_pool_create)(c"c".as_ptr(), count, 0, &mut pool) }, OK);
    pool
}

fn alloc(pool: *mut Pool) -> *mut BufferHeader {
    let mut header = null_mut();
    // SAFETY: a pool and a place for the pointer.
    assert_eq!(unsafe { (api().skb_pool_alloc)(pool, &mut header) }, OK);
    header
}

fn in_flight(pool: *mut Pool) -> u32 {
    // SAFETY: a pool of this test.
    unsafe { (*pool).stats() }.in_flight
}

fn last_error() -> String {
    let mut text = [0u8; 256];
    // SAFETY: a place of that size.
    unsafe { (api().skb_last_error)(text.as_mut_ptr().cast(), text.len()) };
    CStr::from_bytes_until_nul(&text).expect("ends in a null byte").to_string_lossy().into_owned()
}

#[test]
fn a_buffer_becomes_a_view_and_comes_home_once_though_released_twice() {
    let pool = create(4);
    let mut header = alloc(pool);
    // SAFETY: every pointer is to something of this test, here and below.
    unsafe {
        (api().skb_buffer_data)(header).cast::<[u8; 5]>().write(*b"hello");
        let mut skb = RawSkb::released();
        assert_eq!((api().skb_from_buffer)(&mut skb, &mut header, 0, 5), OK);
        assert!(header.is_null());
        assert_eq!((api().skb_len)(&skb), 5);
        assert_eq!((api().skb_tailroom)(&skb), 4091);
        let mut bytes = [0u8; 3];
        assert_eq!((api().skb_copy_bits)(&skb, 2, bytes.as_mut_ptr().cast(), 3), OK);
        assert_eq!(&bytes, b"llo");
        assert_eq!(in_flight(pool), 1);
        (api().skb_release)(&mut skb);
        (api().skb_release)(&mut skb);
        (api().skb_buffer_put)(&mut header);
        assert_eq!(in_flight(pool), 0);
        assert_eq!((*pool).stats().releases, 1);
        assert_eq!((*pool).stats().violations, 0);
        let mut pool = pool;
        (api().skb_pool_put)(&mut pool);
        (api().skb_pool_put)(&mut pool);
        assert!(pool.is_null());
    }
}

#[test]
fn after_release_every_verb_says_so() {
    let mut none = RawSkb::released();
    let mut other = RawSkb::released();
    let mut bytes = null_mut();
    let released = Code::Released as c_int;
    // SAFETY: released views are allowed everywhere.
    unsafe {
        for answer in [
            (api().skb_clone)(&mut other, &none),
            (api().skb_slice)(&mut other, &none, 0, 0),
            (api().skb_reslice)(&mut other, &none, 0, 0),
            (api().skb_push)(&mut none, 0, &mut bytes),
            (api().skb_put)(&mut none, 0, &mut bytes),
            (api().skb_data_mut)(&mut none, &mut bytes),
            (api().skb_pull)(&mut none, 0),
            (api().skb_trim)(&mut none, 0),
            (api().skb_reserve)(&mut none, 0),
            (api().skb_copy)(&mut other, &none, null()),
            (api().skb_unshare)(&mut none, null()),
            (api().skb_linearize)(&mut none, null()),
            (api().skb_pull_up)(&mut none, 0, null()),
            (api().skb_append_frag)(&mut none, &mut other),
            (api().skb_copy_bits)(&none, 0, null_mut(), 0),
        ] {
            assert_eq!(answer, released);
        }
        assert_eq!((api().skb_len)(&none), 0);
        assert!((api().skb_data)(&none).is_null());
    }
    assert!(last_error().contains("released"));
}

#[test]
fn a_failure_is_told_in_words_once_and_changes_nothing() {
    let pool = create(1);
    let mut header = alloc(pool);
    let mut skb = RawSkb::released();
    // SAFETY: every pointer is to something of this test.
    unsafe {
        let far = (api().skb_from_buffer)(&mut skb, &mut header, 4096, u32::MAX);
        assert_eq!(far, Code::OutOfRange as c_int);
        assert!(!header.is_null() && skb.header.is_null(), "the caller still owns the buffer");
        assert!(last_error().contains("4096"));
        assert_eq!(take_failure().expect("kept").code(), Code::OutOfRange);
        assert!(take_failure().is_none());
        assert_eq!(last_error(), "");
        let text = CStr::from_ptr((api().skb_strerror)(far)).to_str().expect("text");
        assert!(text.contains("outside"), "{text}");

        let mut second = null_mut();
        assert_eq!((api().skb_pool_alloc)(pool, &mut second), Code::Exhausted as c_int);
        assert_eq!((api().skb_pool_alloc_wait)(pool, 0, &mut second), Code::Exhausted as c_int);
        assert_eq!((api().skb_pool_close)(pool), 1);
        assert_eq!((api().skb_pool_alloc)(pool, &mut second), Code::Closed as c_int);
        (api().skb_buffer_put)(&mut header);
        drop(Box::from_raw(pool));
    }
}

#[test]
fn views_are_cut_from_an_armed_buffer_and_an_empty_slot_has_none() {
    let pool = create(4);
    let mut header = alloc(pool);
    // SAFETY: every pointer is to something of this test; `skb_armed` may be all zeros.
    unsafe {
        let mut armed: ArmedSlot = std::mem::zeroed();
        let mut skbs = [RawSkb::released(), RawSkb::released()];
        let cut = |armed: &mut ArmedSlot, skb: &mut RawSkb, offset, len, headroom| {
            (api().skb_armed_cut)(armed, skb, offset, len, headroom, 0)
        };
        assert_eq!(cut(&mut armed, &mut skbs[0], 0, 1, 0), Code::Released as c_int);
        (api().skb_armed_put)(&mut armed);

        assert_eq!((api().skb_buffer_arm)(&mut header, 0, &mut armed), Code::Invalid as c_int);
        assert!(last_error().contains("one view or more"));
        assert!(!header.is_null(), "it stays with its owner");
        assert_eq!((api().skb_buffer_arm)(&mut header, 2, &mut armed), OK);
        assert!(header.is_null());
        assert_eq!(cut(&mut armed, &mut skbs[0], 64, 60, 16), OK);
        assert_eq!((api().skb_headroom)(&skbs[0]), 16);
        assert_eq!((api().skb_truesize)(&skbs[0]), 2048);
        for (offset, len, headroom, code) in [
            (100, 1, 0, Code::Overlap),
            (0, 1, 1, Code::OutOfRange),
            (4096, 1, 0, Code::OutOfRange),
            (u32::MAX, u32::MAX, 0, Code::OutOfRange),
        ] {
            assert_eq!(cut(&mut armed, &mut skbs[1], offset, len, headroom), code as c_int);
        }
        assert_eq!(cut(&mut armed, &mut skbs[1], 128, 60, 4), OK);
        assert_eq!(cut(&mut armed, &mut skbs[1], 256, 1, 0), Code::NotArmed as c_int);
        (api().skb_armed_put)(&mut armed);
        (api().skb_armed_put)(&mut armed);
        let mut cache = (api().skb_cache_create)(pool);
        (api().skb_cache_release)(cache, skbs.as_mut_ptr(), skbs.len());
        assert!(skbs.iter().all(|skb| skb.header.is_null()));
        assert_eq!((*pool).stats().cached, 1, "one buffer came home, into the cache");
        assert_eq!((api().skb_cache_alloc)(cache, &mut header), OK);
        (api().skb_buffer_put)(&mut header);
        (api().skb_cache_flush)(cache);
        (api().skb_cache_free)(&mut cache);
        assert_eq!((*pool).audit().expect("sound").free, 4);
        drop(Box::from_raw(pool));
    }
}

#[test]
fn the_fields_that_c_may_only_read_hold_what_the_functions_say() {
    let pool = create(1);
    let mut header = alloc(pool);
    // SAFETY: every pointer is to something of this test; an skb is 64 bytes.
    unsafe {
        let mut armed: ArmedSlot = std::mem::zeroed();
        let mut skb = RawSkb::released();
        assert_eq!((api().skb_buffer_arm)(&mut header, 1, &mut armed), OK);
        assert_eq!((api().skb_armed_cut)(&mut armed, &mut skb, 100, 60, 30, 7), OK);
        let words = (&raw const skb).cast::<u32>();
        // As the assertions on `skb_t` in `header.rs`.
        let fields = [24, 28, 32, 36, 44].map(|offset| words.byte_add(offset).read());
        assert_eq!(fields, [70, 100, 60, 167, 4096], "head, offset, len, end, truesize");
        assert_eq!(words.byte_add(8).cast::<u64>().read(), 0, "no fragments");
        (api().skb_release)(&mut skb);
        drop(Box::from_raw(pool));
    }
}

#[repr(align(64))]
struct Memory([u8; 4096]);

static FREED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count(_header: *mut BufferHeader, context: *mut c_void) {
    // Relaxed: one thread.
    FREED.fetch_add(context as usize as u32, Ordering::Relaxed);
}

#[test]
fn views_are_made_of_received_memory_and_the_driver_keeps_its_reference() {
    let mut memory = Box::new(Memory([7; 4096]));
    let mut header = (&raw mut *memory).cast::<BufferHeader>();
    let data = memory.0.as_mut_ptr();
    // SAFETY: every pointer is to something of this test, which outlives the views.
    unsafe {
        let init = |header: *mut BufferHeader, size| {
            (api().init_zero_copy_buffer)(
                header,
                size,
                3,
                Some(count),
                5 as *mut c_void,
                null_mut(),
                None,
            )
        };
        assert_eq!(init(header, 63), Code::TooSmall as c_int);
        assert_eq!(init(header.byte_add(8), 1024), Code::Misaligned as c_int);
        assert_eq!(init(header, usize::MAX), Code::TooLarge as c_int);
        assert_eq!(init(header, 4096), OK);
        assert_eq!((api().skb_buffer_size)(header), 4032);
        assert_eq!((api().skb_buffer_order)(header), 3);

        let mut skbs = [RawSkb::released(), RawSkb::released()];
        let make = |skb: &mut RawSkb, size, at: *const u8| {
            (api().make_zero_copy_skb)(skb, size, at.cast(), header)
        };
        for (size, at) in [(1, data), (1, data.add(4096)), (4033, data.add(64)), (u32::MAX, data)] {
            assert_eq!(make(&mut skbs[0], size, at), Code::OutOfRange as c_int);
        }
        assert_eq!((api().skb_buffer_references)(header), 1, "failure takes no reference");
        assert_eq!(make(&mut skbs[0], 100, data.add(64)), OK);
        assert_eq!(make(&mut skbs[1], 0, data.add(4096)), OK);
        assert_eq!((api().skb_buffer_references)(header), 3);
        let mut bytes = null_mut();
        assert_eq!((api().skb_push)(&mut skbs[0], 16, &mut bytes), Code::NoHeadroom as c_int);
        assert_eq!((api().skb_data_mut)(&mut skbs[0], &mut bytes), Code::Shared as c_int);

        (api().skb_buffer_put)(&mut header);
        assert!(header.is_null());
        (api().skb_release_many)(skbs.as_mut_ptr(), 1);
        assert_eq!(FREED.load(Ordering::Relaxed), 0);
        assert_eq!((api().skb_copy)(&mut skbs[0], &skbs[1], null()), Code::NoPool as c_int);
        assert_eq!((api().skb_unshare)(&mut skbs[1], null()), OK, "nothing to copy");
        (api().skb_release)(&mut skbs[1]);
        assert_eq!(FREED.load(Ordering::Relaxed), 5, "freed once, with its context");
    }
}

#[test]
fn batches_hold_views_and_copies_join_chains() {
    let pool = create(8);
    // SAFETY: every pointer is to something of this test.
    unsafe {
        let mut batch: *mut SkbBatch = (api().skb_batch_create)();
        let mut clones = (api().skb_batch_create)();
        for letter in *b"ab" {
            let mut header = alloc(pool);
            (api().skb_buffer_data)(header).write_bytes(letter, 4096);
            let mut skb = RawSkb::released();
            assert_eq!((api().skb_from_buffer)(&mut skb, &mut header, 0, 4096), OK);
            assert_eq!((api().skb_batch_push)(batch, &mut skb), OK);
            assert_eq!((api().skb_batch_push)(batch, &mut skb), Code::Released as c_int);
        }
        assert_eq!((api().skb_batch_clone)(clones, batch), OK);
        let mut count = 0;
        let skbs = (api().skb_batch_skbs)(batch, &mut count);
        assert_eq!((count, (api().skb_is_shared)(skbs)), (2, 1));

        let (mut tail, mut head) = (RawSkb::released(), RawSkb::released());
        assert_eq!((api().skb_batch_pop)(clones, &mut tail), OK);
        assert_eq!((api().skb_batch_pop)(clones, &mut head), OK);
        assert_eq!((api().skb_batch_pop)(clones, &mut head), Code::Released as c_int);
        let head_pointer = &raw mut head;
        assert_eq!(
            (api().skb_append_frag)(head_pointer, head_pointer),
            Code::Released as c_int,
            "a view cannot follow itself"
        );
        assert_eq!((api().skb_append_frag)(&mut head, &mut tail), OK);
        assert!(tail.header.is_null());
        assert_eq!((api().skb_len)(&head), 8192);
        let mut bytes = [0u8; 4];
        assert_eq!((api().skb_copy_bits)(&head, 4094, bytes.as_mut_ptr().cast(), 4), OK);
        assert_eq!(&bytes, b"aabb");
        assert_eq!((api().skb_linearize)(&mut head, null()), Code::TooSmall as c_int);
        assert_eq!((api().skb_copy)(&mut tail, &head, pool), OK);
        assert_eq!(in_flight(pool), 4);
        (api().skb_batch_append)(batch, clones);
        assert_eq!((api().skb_batch_push)(batch, &mut head), OK);
        assert_eq!((api().skb_batch_push)(batch, &mut tail), OK);
        (api().skb_batch_release)(batch);
        assert_eq!(in_flight(pool), 0);
        (api().skb_batch_free)(&mut batch);
        (api().skb_batch_free)(&mut clones);
        (api().skb_batch_free)(&mut clones);
        drop(Box::from_raw(pool));
    }
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    let mut pool = null_mut();
    let (mut owner, mut put) = (null_mut(), None);
    // SAFETY: every pointer is to something of this test.
    unsafe {
        let create = api().skb_pool_create;
        assert_eq!(create(c"c".as_ptr(), 0, 0, &mut pool), Code::Invalid as c_int);
        assert_eq!(create(c"c".as_ptr(), 1, 11, &mut pool), Code::Invalid as c_int);
        assert_eq!(create(c"\xff".as_ptr(), 1, 0, &mut pool), Code::Invalid as c_int);
        assert_eq!(create(c"c".as_ptr(), 1 << 23, 10, &mut pool), Code::NoMemory as c_int);
        assert!(last_error().contains("make it smaller"));
        let library = (api().skb_library_get)(None, &mut owner, &mut put);
        assert_eq!(library, Code::NoLibrary as c_int);
        let text = CStr::from_ptr((api().skb_strerror)(-1000)).to_str().expect("text");
        assert_eq!(text, "unknown code");
    }
}

#[test]
fn the_program_itself_needs_no_owner() {
    unsafe extern "C" fn here() {}
    let (mut owner, mut put) = (null_mut(), None);
    // SAFETY: places for both.
    let answer = unsafe { (api().skb_library_get)(Some(here), &mut owner, &mut put) };
    assert_eq!((answer, owner.is_null(), put.is_none()), (OK, true, true));
}
