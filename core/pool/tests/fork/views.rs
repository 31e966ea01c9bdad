//! What a child has of its parent's pools.

use super::child::Child;
use skbpool_pool::{
    Accounts, AllocError, AuditError, CopyError, Free, GetBulkError, Owner, Pool, PoolState,
    ReserveError, SkbBatch, adopt_raw,
};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn pool(count: u32) -> Pool {
    Pool::builder(count).order(1).accounts(Accounts::new()).build().unwrap()
}

/// Views are read after the parent has rewritten their buffers.
#[test]
fn inherited_views_keep_their_bytes_whatever_the_parent_writes() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let mut views = Vec::new();
    for number in 0..40u8 {
        let mut buffer = cache.alloc().unwrap();
        buffer.as_mut_slice().unwrap().fill(number);
        views.push(buffer.into_skb(0..8192).unwrap());
    }
    let seen: Vec<(usize, u8)> =
        views.iter().zip(0..).map(|(view, number)| (view.data().as_ptr().addr(), number)).collect();
    let child = {
        let views = &views;
        Child::fork(move || {
            for (view, (address, number)) in views.iter().zip(seen) {
                assert_eq!(view.data().as_ptr().addr(), address, "views stay where they are");
                assert!(view.data().iter().all(|&byte| byte == number), "view {number}");
            }
            let mapping = mapping_of(views[0].data().as_ptr().addr()).unwrap();
            assert!(!mapping.contains("memfd"), "its pages are still shared: {mapping}");
        })
    };
    for view in views.drain(..) {
        cache.release(view);
    }
    for _ in 0..40 {
        let mut buffer = cache.alloc().unwrap();
        buffer.as_mut_slice().unwrap().fill(0xee);
        views.push(buffer.into_skb(0..8192).unwrap());
    }
    child.join();
}

/// What the child writes into a buffer that it inherited stays the child's.
#[test]
fn what_the_child_writes_the_parent_does_not_see() {
    let pool = pool(16);
    let mut buffer = pool.alloc().unwrap();
    buffer.as_mut_slice().unwrap().fill(1);
    let mut only = pool.alloc().unwrap().into_skb(0..100).unwrap();
    only.data_mut().unwrap().fill(2);
    let child = Child::fork(|| {
        buffer.as_mut_slice().unwrap().fill(0xee);
        only.data_mut().unwrap().fill(0xee);
    });
    child.join();
    assert!(buffer.as_slice().iter().all(|&byte| byte == 1));
    assert!(only.data().iter().all(|&byte| byte == 2));
}

#[test]
fn every_call_for_a_buffer_is_refused() {
    let (pool, other) = (pool(64), pool(4));
    let mut cache = pool.local_cache();
    let mut filled = pool.free_buffers(8);
    cache.get_bulk(8, &mut filled).unwrap();
    let shared = cache.alloc().unwrap().into_skb(0..100).unwrap();
    let mut clone = shared.clone_skb().unwrap();
    let child = Child::fork(|| {
        let refused = AllocError::ForkedPool;
        assert_eq!(pool.alloc().map(drop), Err(refused));
        assert_eq!(cache.alloc().map(drop), Err(refused));
        assert_eq!(pool.local_cache().alloc().map(drop), Err(refused));
        assert_eq!(cache.alloc_bulk(2, &mut Vec::new()), Err(refused));
        assert_eq!(cache.alloc_batch(2, &mut SkbBatch::new()), Err(refused));
        assert_eq!(cache.get_bulk(2, &mut filled), Err(GetBulkError::Alloc(refused)));
        assert!(filled.pop().is_none());
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(pool.alloc_until(far).map(drop), Err(refused));
        assert_eq!(clone.unshare(&mut cache), Err(CopyError::Alloc(refused)));
        assert_eq!(pool.audit(), Err(AuditError::ForkedPool));
        let promise = pool.reserve(1, "a promise").map(drop);
        assert_eq!(promise, Err(ReserveError::ForkedPool(refused)));
        assert_eq!(pool.stats().state, PoolState::Forked);
        assert!(pool.is_forked() && other.is_forked(), "each pool there was");
        assert_eq!(shared.slice(10, 20).unwrap().len(), 20, "views of views are views");
        assert!(refused.to_string().contains("a pool made here"));
    });
    child.join();
    assert!(!pool.is_forked());
    drop(pool.alloc().unwrap());
}

/// Giving things back in the child is the child's own business.
#[test]
fn releases_in_the_child_change_nothing_in_the_parent() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let mut held = SkbBatch::new();
    cache.alloc_batch(10, &mut held).unwrap();
    let single = pool.alloc().unwrap().into_skb(0..64).unwrap();
    let before = pool.stats();
    let base = single.data().as_ptr().addr();
    let mut inherited = Some((cache, held, single, pool.clone()));
    // The child's copies of the parent's handles; the parent keeps its own.
    let theirs = &mut inherited;
    let name = &pool;
    let child = Child::fork(|| {
        let (mut cache, mut held, single, handle) = theirs.take().unwrap();
        let out = handle.stats().in_flight;
        cache.release_batch(&mut held);
        drop(single);
        assert_eq!(handle.stats().in_flight, out - 11, "counted here");
        assert_eq!(handle.stats().violations, 0);
        drop((cache, held));
        assert_eq!(handle.close(), 0);
        drop(handle);
        assert!(is_mapped(base), "one handle is left");
        // SAFETY: the child never returns to where `pool` is used or dropped.
        drop(unsafe { std::ptr::read(name) });
        assert!(!is_mapped(base), "the last one to go takes the copy with it");
    });
    child.join();
    assert_eq!(pool.stats(), before);
    let (mut cache, mut held, single, handle) = inherited.take().unwrap();
    assert!(is_mapped(base));
    cache.release_batch(&mut held);
    cache.release(single);
    drop((cache, handle));
    assert_eq!(pool.audit().unwrap().free, 64);
}

fn is_mapped(address: usize) -> bool {
    mapping_of(address).is_some()
}

/// The line of `/proc/self/maps` that an address is in.
fn mapping_of(address: usize) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let found = maps.lines().find(|line| {
        let range = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let at = |text| usize::from_str_radix(text, 16).unwrap();
        (at(range.0)..at(range.1)).contains(&address)
    });
    found.map(str::to_owned)
}

/// Memory that a caller brought is the process's own, so each process frees its copy, once.
#[test]
fn brought_memory_is_freed_once_in_each_process() {
    let freed = Arc::new(AtomicU32::new(0));
    let mut memory = vec![7u8; 100];
    let counted = Arc::clone(&freed);
    let free = Free::closure(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let data = NonNull::new(memory.as_mut_ptr()).unwrap();
    // SAFETY: the memory outlives the buffer, and nobody touches it.
    let buffer = unsafe { adopt_raw(data, 100, false, free, Owner::nobody()) }.unwrap();
    let _pools_make_handlers = pool(1);
    let mut view = Some(buffer.into_skb(0..100).unwrap());
    let inherited = &mut view;
    let child = Child::fork(|| {
        assert!(inherited.as_ref().unwrap().data().iter().all(|&byte| byte == 7));
        drop(inherited.take());
        assert_eq!(freed.load(Ordering::Relaxed), 1);
    });
    child.join();
    assert_eq!(freed.load(Ordering::Relaxed), 0);
    drop(view);
    assert_eq!(freed.load(Ordering::Relaxed), 1);
}

/// A child is a process like any other: what it makes itself works, and its own children have copies.
#[test]
fn pools_made_in_the_child_work_and_are_dead_in_the_grandchild() {
    let parents = pool(4);
    let mut buffer = parents.alloc().unwrap();
    buffer.as_mut_slice().unwrap().fill(1);
    Child::fork(|| {
        let own = pool(4);
        let mut view = own.alloc().unwrap().into_skb(0..100).unwrap();
        view.data_mut().unwrap().fill(2);
        let grandchild = Child::fork(|| {
            assert_eq!(own.alloc().map(drop), Err(AllocError::ForkedPool));
            assert_eq!(parents.alloc().map(drop), Err(AllocError::ForkedPool));
            assert!(view.data().iter().all(|&byte| byte == 2));
            assert!(buffer.as_slice().iter().all(|&byte| byte == 1), "a copy of the copy");
        });
        view.data_mut().unwrap().fill(3);
        grandchild.join();
        drop(own.alloc().unwrap());
        drop(view);
        assert_eq!(own.audit().unwrap().free, 4);
    })
    .join();
}
