//! What safe Rust can get wrong, what a bitwise copy in other hands can, and the bugs that others had:
//! each has an answer. The tables in `DESIGN.md` name these tests.
#![cfg(not(loom))]

#[path = "fork/child.rs"]
mod child;

use child::Child;
use skbpool_pool::{
    Accounts, AllocError, Free, HolderKind, MAX_REFERENCES, Owner, Pool, Provenance, Skb, SkbBatch,
    SkbError, adopt_raw,
};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn pool(count: u32) -> Pool {
    Pool::builder(count).accounts(Accounts::new()).build().unwrap()
}

/// The same bytes twice, as C makes them by assigning a struct.
fn copied(skb: &Skb) -> Skb {
    // SAFETY: none: that is the misuse. The copy is released once more than there are references.
    unsafe { std::ptr::read(skb) }
}

#[test]
fn a_copied_view_released_twice_is_counted_and_the_buffer_stays_free() {
    let pool = pool(4);
    let view = pool.alloc().unwrap().into_empty_skb();
    let copy = copied(&view);
    drop(view);
    drop(copy);
    assert_eq!(pool.stats().violations, 1);
    let audit = pool.audit().unwrap();
    assert_eq!((audit.free, audit.quarantined), (4, 0));
}

/// With a copy given back under the feet of another view, nobody knows whose reference is missing: the
/// last of them finds too few, and the buffer is never handed out again while anybody may look at it.
#[test]
fn a_buffer_of_which_too_many_references_went_is_quarantined() {
    let pool = pool(4);
    pool.set_provenance(Provenance::Full);
    let view = pool.alloc().unwrap().into_empty_skb();
    let mut batch = SkbBatch::new();
    let other = view.clone_skb().unwrap();
    for _ in 0..2 {
        batch.push(copied(&view));
    }
    batch.push(view);
    // A run of three of two references.
    batch.release(&mut pool.local_cache());
    assert_eq!(pool.stats().violations, 1);
    drop(other);
    let audit = pool.audit().unwrap();
    assert_eq!((audit.free, audit.in_flight, audit.quarantined), (3, 1, 1));
    assert_eq!(pool.stats().violations, 2, "each release of it is one");
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.buffers, outstanding.references), (1, 1));
    let report = pool.leak_report(Duration::ZERO, 1);
    assert_eq!(report.sites[0].examples[0].references, 0, "nobody knows");
    assert!(report.to_string().contains("armed for 0, in quarantine; "), "{report}");
    drop((0..3).map(|_| pool.alloc().unwrap()).collect::<Vec<_>>());
}

/// A 32-bit sum of offset and length wraps past such a check (memif).
#[test]
fn an_offset_and_a_length_that_wrap_together_are_outside_the_buffer() {
    let pool = pool(1);
    let mut armed = pool.alloc().unwrap().arm(2).map_err(|(error, _)| error).unwrap();
    for (offset, len) in [(u32::MAX - 3, 8), (8, u32::MAX - 3), (u32::MAX, u32::MAX), (4096, 1)] {
        assert!(
            matches!(armed.skb(offset, len), Err(SkbError::OutOfRange { .. })),
            "{offset} {len}"
        );
    }
    let view = armed.skb(100, 100).unwrap();
    for (offset, len) in [(u32::MAX - 3, 8), (8, u32::MAX - 3), (100, 1)] {
        assert!(matches!(view.slice(offset, len), Err(SkbError::OutOfRange { .. })));
    }
    let mut view = view;
    assert!(matches!(view.put(u32::MAX), Err(SkbError::Shared | SkbError::NoTailroom { .. })));
    assert_eq!((view.len(), view.data().len()), (100, 100));
}

/// Clones at high load used the pool up, and the server panicked on the next allocation (demikernel).
#[test]
fn clones_take_no_buffers_and_an_empty_pool_is_an_error() {
    let pool = pool(1);
    let view = pool.alloc().unwrap().into_empty_skb();
    let clones: Vec<Skb> = (0..10_000).map(|_| view.clone_skb().unwrap()).collect();
    assert_eq!(pool.stats().in_flight, 1);
    let refused = AllocError::Exhausted { buffers: 1, in_flight: 1, cached: 0 };
    assert_eq!(pool.alloc().map(drop), Err(refused));
    drop((view, clones));
    drop(pool.alloc().unwrap());
}

/// A slice of 32 bytes keeps a whole buffer (bytes): it does here as well, and its holder is charged for
/// that.
#[test]
fn a_small_slice_of_a_large_buffer_is_charged_for_what_it_pins() {
    let accounts = Accounts::new();
    let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
    let pool = Pool::builder(1).order(9).accounts(accounts).build().unwrap();
    let view = pool.alloc().unwrap().into_skb(0..1000).unwrap();
    let mut slice = view.slice(10, 32).unwrap();
    drop(view);
    slice.hand_to(holder.id(), &mut pool.accounts().shard_handle());
    assert_eq!(holder.held(), (1, 2 << 20));
    drop(slice);
    assert_eq!(holder.held(), (0, 0));
}

#[test]
fn a_view_at_the_limit_of_its_count_is_refused_another() {
    let pool = pool(1);
    let armed = pool.alloc().unwrap().arm(MAX_REFERENCES - 1);
    let mut armed = armed.map_err(|(error, _)| error).unwrap();
    let view = armed.skb(0, 10).unwrap();
    let last = view.clone_skb().unwrap();
    assert!(matches!(view.clone_skb(), Err(SkbError::TooManyReferences)));
    assert!(matches!(view.slice(0, 1), Err(SkbError::TooManyReferences)));
    drop((last, armed));
    assert!(!view.is_shared(), "refusals left nothing behind");
}

/// A free function that panics is called no second time, and its panic goes no further, even where the
/// release comes from a batch with others behind it.
#[test]
fn a_free_function_that_panics_costs_the_others_nothing() {
    let calls = Arc::new(AtomicU32::new(0));
    let pool = pool(2);
    let mut memory = [0u8; 64];
    let data = NonNull::new(memory.as_mut_ptr()).unwrap();
    let counted = Arc::clone(&calls);
    let free = Free::closure(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose: a free function");
    });
    // SAFETY: the memory outlives the buffer.
    let brought = unsafe { adopt_raw(data, 64, false, free, Owner::nobody()) }.unwrap();
    let mut batch = SkbBatch::new();
    batch.push(brought.into_skb(0..64).unwrap());
    batch.push(pool.alloc().unwrap().into_empty_skb());
    batch.release(&mut pool.local_cache());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(pool.audit().unwrap().free, 2);
}

#[test]
fn a_pool_closed_twice_and_forked_with_views_out_stays_what_it_is() {
    let pool = pool(2);
    let view = pool.alloc().unwrap().into_empty_skb();
    assert_eq!((pool.close(), pool.close()), (1, 1));
    Child::fork(|| {
        assert_eq!(view.len(), 0);
        assert_eq!(pool.alloc().map(drop), Err(AllocError::ForkedPool));
        assert_eq!(pool.close(), 1);
    })
    .join();
    assert_eq!(pool.alloc().map(drop), Err(AllocError::Closed));
    drop(view);
    assert_eq!(pool.close(), 0);
}
