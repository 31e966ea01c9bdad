//! Memory that a caller brings: a header at its head (S1), views without a copy (S2), adoption.

use super::pool;
use skbpool_pool::{
    BringError, Buffer, Free, HEADER_BYTES, MAX_BUFFER_BYTES, Owner, SkbError, adopt, adopt_raw,
    init_zero_copy_buffer, make_zero_copy_skb,
};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Memory as a driver would bring it.
fn memory(size: usize) -> (NonNull<u8>, Layout) {
    let layout = Layout::from_size_align(size, HEADER_BYTES).unwrap();
    // SAFETY: the size is not 0.
    (NonNull::new(unsafe { alloc(layout) }).unwrap(), layout)
}

/// A buffer in memory of its own, which is freed and counted.
fn buffer(size: usize, order: u8, freed: &Arc<AtomicU32>) -> Buffer {
    let (memory, layout) = memory(size);
    let freed = Arc::clone(freed);
    let free = Free::closure(move |gone| {
        freed.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the memory was allocated with this layout, and starts a header before the data.
        unsafe { dealloc(gone.data.as_ptr().sub(HEADER_BYTES), layout) };
    });
    // SAFETY: the memory is ours, and from here on the buffer's until it is freed.
    unsafe { init_zero_copy_buffer(memory, size, order, free, Owner::nobody()) }.unwrap()
}

#[test]
fn the_header_stands_at_the_head() {
    let freed = Arc::default();
    let buffer = buffer(8192, 1, &freed);
    let header = std::ptr::from_ref(buffer.header()).addr();
    assert_eq!(buffer.as_slice().as_ptr().addr(), header + HEADER_BYTES);
    assert_eq!((buffer.len(), buffer.header().order()), (8192 - HEADER_BYTES, 1));
    assert_eq!((buffer.header().index(), buffer.header().references()), (None, 1));
    drop(buffer);
    assert_eq!(freed.load(Ordering::SeqCst), 1);
}

#[test]
fn it_is_a_buffer_like_any_other() {
    let freed = Arc::default();
    let mut buffer = buffer(4096, 0, &freed);
    buffer.as_mut_slice().unwrap().fill(7);
    let mut armed = buffer.arm(2).map_err(|(error, _)| error).unwrap();
    let (mut first, second) = (armed.skb_in(0..64, 16..64).unwrap(), armed.skb(64, 100).unwrap());
    drop((armed, second));
    first.push(16).unwrap().fill(1);
    assert_eq!(first.push(1).unwrap_err(), SkbError::NoHeadroom { needed: 1, have: 0 });
    assert_eq!(freed.load(Ordering::SeqCst), 0);
    drop(first);
    assert_eq!(freed.load(Ordering::SeqCst), 1);
}

/// A refused push in front of the first byte must not reach the header that stands there.
#[test]
fn without_headroom_the_header_stays_as_it_is() {
    let freed = Arc::default();
    let mut skb = buffer(4096, 0, &freed).into_skb(0..100).map_err(|(error, _)| error).unwrap();
    let header = std::ptr::from_ref(skb.header()).cast::<u8>();
    // SAFETY: the header is 64 bytes, and nobody changes it while this copy is made.
    let snapshot = || unsafe { std::slice::from_raw_parts(header, HEADER_BYTES).to_vec() };
    let before = snapshot();
    assert_eq!(skb.push(16).unwrap_err(), SkbError::NoHeadroom { needed: 16, have: 0 });
    assert_eq!(snapshot(), before);
}

#[test]
fn memory_that_does_not_fit_is_refused_and_stays_the_callers() {
    let (start, layout) = memory(4096);
    // SAFETY: a zeroed byte is a byte.
    unsafe { start.write_bytes(0xEE, 4096) };
    let shared = Arc::new(());
    let refuse = |offset: usize, size: usize| {
        let captured = Arc::clone(&shared);
        let free = Free::closure(move |_| unreachable!("{captured:?}: freed what was refused"));
        let owner = Owner::share(Arc::clone(&shared));
        // SAFETY: refused before anything is touched, so the sizes need not be true.
        unsafe { init_zero_copy_buffer(start.add(offset), size, 0, free, owner) }.unwrap_err()
    };
    assert_eq!(refuse(1, 4095), BringError::Misaligned { misaligned: 1 });
    assert_eq!(refuse(32, 2048), BringError::Misaligned { misaligned: 32 });
    assert_eq!(refuse(0, 0), BringError::TooSmall { size: 0 });
    assert_eq!(refuse(0, 63), BringError::TooSmall { size: 63 });
    let size = MAX_BUFFER_BYTES + HEADER_BYTES + 1;
    assert_eq!(refuse(0, size), BringError::TooLarge { size });
    // SAFETY: as `refuse`.
    let error = unsafe {
        adopt_raw(start, MAX_BUFFER_BYTES + 1, true, Free::nothing(), Owner::nobody()).unwrap_err()
    };
    assert_eq!(error, BringError::TooLarge { size: MAX_BUFFER_BYTES + 1 });
    assert_eq!(Arc::strong_count(&shared), 1, "what a refused buffer would have kept is let go");
    // SAFETY: nobody else has it.
    let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), 4096) };
    assert!(bytes.iter().all(|&byte| byte == 0xEE), "refused memory is untouched");
    // SAFETY: allocated above, with this layout.
    unsafe { dealloc(start.as_ptr(), layout) };
}

#[test]
fn a_header_alone_is_a_buffer_of_no_bytes() {
    let freed = Arc::default();
    let buffer = buffer(HEADER_BYTES, 0, &freed);
    assert_eq!(buffer.as_slice(), b"");
    let mut skb = buffer.into_empty_skb();
    assert_eq!(skb.put(1).unwrap_err(), SkbError::NoTailroom { needed: 1, have: 0 });
    drop(skb);
    assert_eq!(freed.load(Ordering::SeqCst), 1);
}

#[test]
fn views_of_received_data_copy_nothing() {
    let freed: Arc<AtomicU32> = Arc::default();
    let mut received = buffer(4096, 0, &freed);
    received.as_mut_slice().unwrap()[100..105].copy_from_slice(b"frame");
    let header = received.into_raw();
    // SAFETY: the driver's reference is ours, and nobody writes from here on.
    let (view, second, refused) = unsafe {
        let data = header.as_ref().data().as_ptr();
        (
            make_zero_copy_skb(5, data.add(100), header).unwrap(),
            make_zero_copy_skb(4032, data, header).unwrap(),
            [
                make_zero_copy_skb(4033, data, header).unwrap_err(),
                make_zero_copy_skb(1, data.wrapping_sub(1), header).unwrap_err(),
                make_zero_copy_skb(u32::MAX, data.add(4032), header).unwrap_err(),
                make_zero_copy_skb(0, data.wrapping_add(4033), header).unwrap_err(),
            ],
        )
    };
    assert!(refused.iter().all(|error| matches!(error, SkbError::OutOfRange { size: 4032, .. })));
    assert_eq!(view.data(), b"frame");
    assert_eq!(view.header().references(), 3, "two views and the driver");
    assert_eq!(second.data()[100..].as_ptr(), view.data().as_ptr());
    drop((view, second));
    assert_eq!(freed.load(Ordering::SeqCst), 0);
    // SAFETY: taken back once.
    drop(unsafe { Buffer::from_raw(header) });
    assert_eq!(freed.load(Ordering::SeqCst), 1);
}

#[test]
fn adopted_values_are_dropped_with_their_last_view() {
    let value = Arc::new([5u8; 300]);
    struct Shared(Arc<[u8; 300]>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &*self.0
        }
    }
    let buffer = adopt(Shared(Arc::clone(&value))).map_err(|(error, _)| error).unwrap();
    assert_eq!(buffer.as_slice().as_ptr(), value.as_ptr(), "nothing is copied");
    let skb = buffer.into_skb(0..300).map_err(|(error, _)| error).unwrap();
    let slice = skb.slice(299, 1).unwrap();
    drop(skb);
    assert_eq!((slice.data(), Arc::strong_count(&value)), (&[5][..], 2));
    drop(slice);
    assert_eq!(Arc::strong_count(&value), 1);
    // Bytes inside the value itself, and no bytes at all.
    assert_eq!(adopt([1u8, 2, 3]).map_err(|(error, _)| error).unwrap().as_slice(), [1, 2, 3]);
    assert!(adopt(Vec::new()).unwrap().as_slice().is_empty());
}

#[test]
fn adopted_memory_is_writable_if_the_caller_says_so() {
    let (start, layout) = memory(128);
    let free = Free::closure(move |gone| {
        assert_eq!((gone.size, gone.order), (128, 0));
        // SAFETY: allocated with this layout.
        unsafe { dealloc(gone.data.as_ptr(), layout) };
    });
    // SAFETY: the memory is ours, and from here on the buffer's until it is freed.
    let mut buffer = unsafe { adopt_raw(start, 128, true, free, Owner::nobody()) }.unwrap();
    assert_eq!(buffer.as_slice().as_ptr(), start.as_ptr());
    buffer.as_mut_slice().unwrap().fill(3);
    let pool = pool(1);
    let mut cache = pool.local_cache();
    let mut fill = buffer.fill().map_err(|(error, _)| error).unwrap();
    let view = fill.cut(0, 128, 0).unwrap();
    fill.finish(&mut cache);
    assert_eq!(view.data(), [3; 128]);
    cache.release(view);
    assert_eq!(cache.cached(), 0, "it went to its own free function");
}
