//! S10: may the call wait? Making a view never waits and never allocates; a buffer can be had at once
//! or not at all, or waited for until a deadline.
#![cfg(not(loom))]

use skbpool_pool::{AllocError, Pool};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// Counts this thread's heap allocations.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn making_views_allocates_nothing() {
    let pool = Pool::builder(64).build().unwrap();
    let mut cache = pool.local_cache();
    let before = allocations();
    for _ in 0..1_000 {
        let mut armed = cache.alloc().unwrap().arm(3).map_err(|(error, _)| error).unwrap();
        let (first, second) = (armed.skb(0, 64).unwrap(), armed.skb(64, 64).unwrap());
        let (clone, slice) = (first.clone_skb().unwrap(), second.slice(1, 2).unwrap());
        drop(armed);
        for skb in [first, second, clone, slice] {
            cache.release(skb);
        }
    }
    let made = allocations() - before;
    println!("S10: 1000 buffers taken, 4000 views made and released, {made} heap allocations");
    assert_eq!(made, 0);
}

#[test]
fn a_buffer_at_once_or_by_a_deadline() {
    let pool = Pool::builder(1).build().unwrap();
    let held = pool.alloc().unwrap();
    println!("S10: alloc() on an empty pool: {}", pool.alloc().unwrap_err());
    let deadline = Instant::now() + Duration::from_millis(2);
    let error = pool.alloc_until(deadline).unwrap_err();
    println!("S10: alloc_until(in 2 ms) on an empty pool: {error}");
    assert_eq!(error, AllocError::Exhausted { buffers: 1, in_flight: 1, cached: 0 });
    assert!(Instant::now() >= deadline);

    let looked = pool.stats().alloc_empty;
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.alloc_until(Instant::now() + Duration::from_secs(600)));
        while pool.stats().alloc_empty == looked {
            thread::yield_now();
        }
        drop(held);
        let buffer = waiter.join().unwrap().unwrap();
        println!("S10: a waiter got buffer {:?} when it was released", buffer.header().index());
    });
    let held = pool.alloc().unwrap();
    let looked = pool.stats().alloc_empty;
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.alloc_until(Instant::now() + Duration::from_secs(600)));
        while pool.stats().alloc_empty == looked {
            thread::yield_now();
        }
        pool.close();
        let error = waiter.join().unwrap().unwrap_err();
        println!("S10: a waiter was told when the pool was closed: {error}");
        assert_eq!(error, AllocError::Closed);
    });
    drop(held);
    assert_eq!(pool.audit().unwrap().free, 1);
}
