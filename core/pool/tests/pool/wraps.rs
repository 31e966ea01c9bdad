//! Everything that may wrap begins three steps before it does (I4).

use super::assert_all_home;
use skbpool_pool::{Accounts, HolderKind, Pool, StartValues};

const ALMOST: StartValues =
    StartValues { counter: u64::MAX - 3, tag: (1 << 40) - 4, generation: u32::MAX - 3 };

fn wrapping_pool(buffers: u32) -> Pool {
    let accounts = Accounts::start_at(ALMOST.counter);
    Pool::builder(buffers).accounts(accounts).start_at(ALMOST).build().unwrap()
}

#[test]
fn tags_wrap_in_every_stack() {
    let pool = wrapping_pool(64);
    let mut cache = pool.local_cache();
    for round in 0..50 {
        let loose: Vec<_> = (0..16).map(|_| pool.alloc().unwrap()).collect();
        let mut cached = Vec::new();
        cache.alloc_bulk(40, &mut cached).unwrap();
        let mut indices: Vec<_> =
            loose.iter().chain(&cached).map(|buffer| buffer.header().index().unwrap()).collect();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), 56, "round {round}: a buffer was handed out twice");
        drop(loose);
        for buffer in cached {
            cache.release_buffer(buffer);
        }
        cache.flush();
        pool.audit().unwrap();
    }
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn counters_wrap_and_report_from_zero() {
    let pool = wrapping_pool(16);
    assert_eq!((pool.stats().alloc_slow, pool.stats().releases), (0, 0));
    for _ in 0..10 {
        drop(pool.alloc().unwrap());
    }
    let all: Vec<_> = (0..16).map(|_| pool.alloc().unwrap()).collect();
    for _ in 0..5 {
        pool.alloc().unwrap_err();
    }
    drop(all);
    let mut cache = pool.local_cache();
    for _ in 0..10 {
        let buffer = cache.alloc().unwrap();
        cache.release_buffer(buffer);
    }
    let stats = pool.stats();
    assert_eq!((stats.alloc_fast, stats.alloc_slow), (9, 27));
    assert_eq!((stats.alloc_empty, stats.refills, stats.releases), (5, 1, 36));
    drop(cache);
    assert_eq!(pool.stats(), skbpool_pool::PoolStats { cached: 0, free: 16, ..stats });
    assert_all_home(&pool);
}

#[test]
fn generations_wrap() {
    let pool = wrapping_pool(1);
    let seen: Vec<u32> = (0..6).map(|_| pool.alloc().unwrap().header().generation()).collect();
    assert_eq!(seen, [u32::MAX - 3, u32::MAX - 2, u32::MAX - 1, u32::MAX, 0, 1]);
}

#[test]
fn calls_for_buffers_wrap() {
    let pool = wrapping_pool(16);
    let mut cache = pool.local_cache();
    for _ in 0..8 {
        let [a, b] = [cache.alloc().unwrap(), cache.alloc().unwrap()];
        cache.release_buffer(a);
        assert_eq!(cache.cached(), 1);
        pool.reclaim();
        cache.release_buffer(b);
        assert_eq!(cache.cached(), 0);
    }
}

#[test]
fn holders_wrap() {
    let pool = wrapping_pool(16);
    let holder = pool.accounts().holder("h", HolderKind::Consumer).unwrap();
    let mut cache = pool.local_cache();
    let mut held = Vec::new();
    for step in 1..=8u64 {
        let mut skb = cache.alloc().unwrap().into_empty_skb();
        skb.hand_to(holder.id(), cache.shard());
        held.push(skb);
        assert_eq!(holder.held(), (step, step * 4096));
    }
    drop(held);
    assert_eq!(holder.held(), (0, 0));
    let stats = &pool.accounts().snapshot()[0];
    assert_eq!((stats.acquired, stats.released), (8, 8));
    drop(holder);
    let next = pool.accounts().holder("next", HolderKind::Consumer).unwrap();
    assert_eq!(next.held(), (0, 0));
    assert_eq!(pool.accounts().snapshot()[0].acquired, 0);
}
