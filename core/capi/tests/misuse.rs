//! What C and Cython can get wrong: each has a code, and changes nothing. The table in the design note of
//! the pool names these tests.

#[path = "../../pool/tests/fork/child.rs"]
mod child;

use child::Child;
use skbpool_capi::{Code, RawSkb};
use skbpool_pool::{BufferHeader, Pool};
use std::ffi::c_int;
use std::ptr::null_mut;

fn api() -> &'static skbpool_capi::Table {
    skbpool_capi::table()
}

/// A pool, and a view of the 100 bytes from `headroom` on in one of its buffers.
fn view(buffers: u32, headroom: u32) -> (*mut Pool, RawSkb) {
    let (mut pool, mut header, mut skb) = (null_mut(), null_mut(), RawSkb::released());
    // SAFETY: a string, and places for what is made.
    unsafe {
        assert_eq!((api().skb_pool_create)(c"c".as_ptr(), buffers, 0, &mut pool), 0);
        assert_eq!((api().skb_pool_alloc)(pool, &mut header), 0);
        assert_eq!((api().skb_from_buffer)(&mut skb, &mut header, headroom, 100), 0);
    }
    (pool, skb)
}

#[test]
fn pushing_without_headroom_and_writing_what_is_shared_change_nothing() {
    let (mut pool, mut skb) = view(2, 0);
    let (mut clone, mut bytes) = (RawSkb::released(), null_mut());
    // SAFETY: every pointer is to something of this test, here and below.
    unsafe {
        assert_eq!((api().skb_push)(&mut skb, 16, &mut bytes), Code::NoHeadroom as c_int);
        assert_eq!((api().skb_clone)(&mut clone, &skb), 0);
        let shared = Code::Shared as c_int;
        assert_eq!((api().skb_data_mut)(&mut skb, &mut bytes), shared);
        assert_eq!((api().skb_put)(&mut clone, 1, &mut bytes), shared);
        assert!(bytes.is_null());
        assert_eq!(((api().skb_len)(&skb), (api().skb_len)(&clone)), (100, 100));
        (api().skb_release)(&mut skb);
        (api().skb_release)(&mut clone);
        assert_eq!((*pool).audit().unwrap().free, 2);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn views_outside_the_data_are_out_of_range_also_where_the_sum_wraps() {
    let (mut pool, mut skb) = view(1, 0);
    let mut slice = RawSkb::released();
    // SAFETY: as above.
    unsafe {
        for (offset, len) in [(100, 1), (u32::MAX - 3, 8), (8, u32::MAX - 3)] {
            let answer = (api().skb_slice)(&mut slice, &skb, offset, len);
            assert_eq!(answer, Code::OutOfRange as c_int);
            assert!(slice.header.is_null());
        }
        (api().skb_release)(&mut skb);
        (api().skb_pool_put)(&mut pool);
    }
}

/// Outside the contract, and still no second owner of a buffer.
#[test]
fn a_struct_that_was_copied_and_released_twice_is_counted() {
    let (mut pool, mut skb) = view(2, 0);
    // SAFETY: the copy is the misuse; the pool, and with it the header, is alive.
    unsafe {
        let mut copy = std::ptr::read(&raw const skb);
        (api().skb_release)(&mut skb);
        (api().skb_release)(&mut skb);
        assert_eq!((*pool).stats().violations, 0, "released through its pointer it is null");
        (api().skb_release)(&mut copy);
        assert_eq!((*pool).stats().violations, 1);
        assert_eq!((*pool).audit().unwrap().free, 2);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn a_pool_closed_twice_tells_twice_what_is_out() {
    let (mut pool, mut skb) = view(2, 0);
    // SAFETY: as above.
    unsafe {
        assert_eq!(((api().skb_pool_close)(pool), (api().skb_pool_close)(pool)), (1, 1));
        (api().skb_release)(&mut skb);
        assert_eq!((api().skb_pool_close)(pool), 0);
        (api().skb_pool_put)(&mut pool);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn in_a_forked_child_a_pool_answers_with_a_code_of_its_own() {
    let (mut pool, mut skb) = view(2, 0);
    let dead = Code::ForkedPool as c_int;
    Child::fork(|| {
        let (mut header, mut copy): (*mut BufferHeader, _) = (null_mut(), RawSkb::released());
        // SAFETY: as above.
        unsafe {
            assert_eq!((api().skb_pool_alloc)(pool, &mut header), dead);
            assert_eq!((api().skb_pool_alloc_wait)(pool, u64::MAX, &mut header), dead);
            assert_eq!((api().skb_copy)(&mut copy, &skb, pool), dead);
            assert!(header.is_null() && copy.header.is_null());
            assert_eq!((api().skb_len)(&skb), 100);
            (api().skb_release)(&mut skb);
        }
    })
    .join();
    // SAFETY: as above.
    unsafe {
        (api().skb_release)(&mut skb);
        assert_eq!((*pool).audit().unwrap().free, 2);
        (api().skb_pool_put)(&mut pool);
    }
}
