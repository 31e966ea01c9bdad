//! Memory outlives the pool's owner, and no longer than its last view (S6, I7).
#![cfg(not(loom))]

use skbpool_pool::{Accounts, Pool, PoolState, Skb, SkbBatch};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// The tests of this file look at the mappings of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Regions that this process has mapped, and descriptors that keep one.
fn regions() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().filter(|line| line.contains("/memfd:skbpool")).count();
    let open = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().contains("/memfd:skbpool"))
        .count();
    (mapped, open)
}

/// Views of every kind: single, several of one buffer, a chain, clones.
fn views(pool: &Pool, stamp: u8) -> SkbBatch {
    let buffer = |byte: u8| {
        let mut buffer = pool.alloc().unwrap();
        buffer.as_mut_slice().unwrap().fill(byte);
        buffer
    };
    let mut batch = SkbBatch::new();
    batch.push(buffer(stamp).into_skb(0..100).map_err(|(error, _)| error).unwrap());
    let mut armed = buffer(stamp).arm(3).map_err(|(error, _)| error).unwrap();
    batch.extend((0..3).map(|view| armed.skb(view * 1000, 900).unwrap()));
    let mut chain = buffer(stamp).into_skb(0..4096).map_err(|(error, _)| error).unwrap();
    let tail = buffer(stamp).into_skb(0..10).map_err(|(error, _)| error).unwrap();
    chain.append_frag(tail).unwrap();
    batch.push(chain.clone_skb().unwrap());
    batch.push(chain);
    batch
}

fn assert_intact(skb: &Skb, stamp: u8) {
    assert!(skb.parts().flatten().all(|&byte| byte == stamp));
    assert!(!skb.is_empty());
}

#[test]
fn two_hundred_pools_dropped_with_views_outstanding() {
    let _alone = alone();
    assert_eq!(regions(), (0, 0));
    for cycle in 0..200u32 {
        let stamp = cycle as u8 | 1;
        let pool = Pool::builder(16).accounts(Accounts::new()).build().unwrap();
        let mut batch = views(&pool, stamp);
        if cycle % 2 == 0 {
            assert_eq!(pool.close(), 4);
        }
        drop(pool);
        assert_eq!(regions(), (1, 1), "cycle {cycle}: the views keep the memory");
        // Let go in another order each time, from this thread and from another one.
        let turn = cycle as usize % batch.len();
        batch.as_mut_slice().rotate_left(turn);
        let mut rest = batch.split_off(3);
        batch.as_slice().iter().chain(&rest).for_each(|skb| assert_intact(skb, stamp));
        let other = thread::spawn(move || {
            for skb in batch {
                assert_intact(&skb, stamp);
            }
        });
        while rest.len() > 1 {
            assert_intact(&rest.pop().unwrap(), stamp);
        }
        other.join().unwrap();
        assert_eq!(regions(), (1, 1), "cycle {cycle}: one view is left");
        assert_intact(&rest.pop().unwrap(), stamp);
        assert_eq!(regions(), (0, 0), "cycle {cycle}: nothing is left");
    }
}

#[test]
fn a_cache_keeps_its_pool_and_flushes_when_dropped() {
    let _alone = alone();
    let pool = Pool::builder(64).build().unwrap();
    let mut cache = pool.local_cache();
    drop(pool);
    let skb = cache.alloc().unwrap().into_empty_skb();
    assert!(cache.cached() > 0);
    cache.pool().close();
    assert_eq!(cache.pool().stats().state, PoolState::Orphaned);
    drop(cache);
    assert_eq!(regions(), (1, 1));
    drop(skb);
    assert_eq!(regions(), (0, 0));
}

/// Every thread lets go of its part at about the same time; whoever is last unmaps.
#[test]
fn eight_threads_let_go_of_one_pool() {
    let _alone = alone();
    for _ in 0..50 {
        let pool = Pool::builder(256).accounts(Accounts::new()).build().unwrap();
        let threads: Vec<_> = (0..8u8)
            .map(|stamp| {
                let mut cache = pool.local_cache();
                let mut batch = views(&pool, stamp);
                thread::spawn(move || {
                    batch.as_slice().iter().for_each(|skb| assert_intact(skb, stamp));
                    if stamp % 2 == 0 {
                        cache.release_batch(&mut batch);
                    }
                    drop(cache);
                    drop(batch);
                })
            })
            .collect();
        drop(pool);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(regions(), (0, 0));
    }
}

/// A promise and a handle in another thread keep the pool as well.
#[test]
fn whatever_names_the_pool_keeps_it() {
    let _alone = alone();
    let pool = Pool::builder(4).build().unwrap();
    let promise = pool.reserve(2, "a driver").unwrap();
    let handle = pool.clone();
    assert!(handle.is_same(&pool));
    drop(pool);
    let skb = thread::spawn(move || handle.alloc().unwrap().into_empty_skb()).join().unwrap();
    drop(skb);
    assert_eq!(regions(), (1, 1));
    drop(promise);
    assert_eq!(regions(), (0, 0));
}
