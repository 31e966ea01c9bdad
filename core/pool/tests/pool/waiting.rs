//! Allocation that waits (S10). Nothing here sleeps: what must have happened is waited for by looking.

use super::{assert_all_home, pool};
use skbpool_pool::{AllocError, Buffer, Pool};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any run of these tests; a waiter that is never woken fails the run by its length.
const FAR: Duration = Duration::from_secs(600);

/// Returns when `waiters` calls have found the pool empty.
fn until_empty_was_found(pool: &Pool, waiters: u64) {
    while pool.stats().alloc_empty < waiters {
        thread::yield_now();
    }
}

#[test]
fn a_free_buffer_is_had_at_once_and_a_passed_deadline_never_waits() {
    let pool = pool(1);
    let passed = Instant::now();
    let buffer = pool.alloc_until(passed).unwrap();
    assert_eq!(
        pool.alloc_until(passed).unwrap_err(),
        AllocError::Exhausted { buffers: 1, in_flight: 1, cached: 0 }
    );
    assert_eq!(pool.stats().alloc_empty, 1, "one call found nothing, however often it looked");
    drop(buffer);
    assert_all_home(&pool);
}

#[test]
fn the_deadline_ends_the_wait() {
    let pool = pool(1);
    let _held = pool.alloc().unwrap();
    let deadline = Instant::now() + Duration::from_millis(5);
    assert!(matches!(pool.alloc_until(deadline), Err(AllocError::Exhausted { .. })));
    assert!(Instant::now() >= deadline, "not before the deadline");
}

#[test]
fn a_release_ends_the_wait() {
    let pool = pool(1);
    let held = pool.alloc().unwrap();
    let waiter = {
        let pool = pool.clone();
        thread::spawn(move || pool.alloc_until(Instant::now() + FAR).map(drop))
    };
    until_empty_was_found(&pool, 1);
    drop(held);
    waiter.join().unwrap().unwrap();
    assert_all_home(&pool);
}

#[test]
fn closing_ends_the_wait() {
    let pool = pool(1);
    let held = pool.alloc().unwrap();
    let waiter = {
        let pool = pool.clone();
        thread::spawn(move || pool.alloc_until(Instant::now() + FAR).map(drop))
    };
    until_empty_was_found(&pool, 1);
    assert_eq!(pool.close(), 1);
    assert_eq!(waiter.join().unwrap(), Err(AllocError::Closed));
    assert_eq!(pool.alloc_until(Instant::now() + FAR).map(drop), Err(AllocError::Closed));
    drop(held);
}

/// While anyone waits, releases bypass the caches.
#[test]
fn a_cache_holds_nothing_back_from_a_waiter() {
    let pool = pool(1);
    let mut cache = pool.local_cache();
    let mut held = cache.alloc().unwrap();
    let waiter = {
        let pool = pool.clone();
        thread::spawn(move || pool.alloc_until(Instant::now() + FAR).map(drop))
    };
    loop {
        cache.release_buffer(held);
        if cache.cached() == 0 {
            break;
        }
        // The waiter has not said so yet that it waits.
        held = cache.alloc().unwrap();
        thread::yield_now();
    }
    waiter.join().unwrap().unwrap();
    drop(cache);
    assert_all_home(&pool);
}

/// More waiters than buffers: each gets one in the end, and hands it back from another thread.
#[test]
fn many_waiters_share_few_buffers() {
    let pool = pool(2);
    let held = [pool.alloc().unwrap(), pool.alloc().unwrap()];
    let (give_back, given) = mpsc::channel::<Buffer>();
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (pool, give_back) = (pool.clone(), give_back.clone());
            thread::spawn(move || {
                for _ in 0..50 {
                    give_back.send(pool.alloc_until(Instant::now() + FAR).unwrap()).unwrap();
                }
            })
        })
        .collect();
    drop(give_back);
    until_empty_was_found(&pool, 8);
    drop(held);
    assert_eq!(given.into_iter().map(drop).count(), 400);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_all_home(&pool);
}
