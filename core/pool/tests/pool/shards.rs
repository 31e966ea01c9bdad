//! Pools whose depot has a shard for each core group; the groups are pretended.

use super::assert_all_home;
use skbpool_pool::{Accounts, AllocError, Buffer, MAX_DEPOT_SHARDS, Pool, PoolError, SkbBatch};
use std::cell::Cell;

thread_local! {
    static GROUP: Cell<u32> = const { Cell::new(0) };
}

fn pool(count: u32, shards: u32) -> Pool {
    GROUP.set(0);
    Pool::builder(count)
        .accounts(Accounts::new())
        .depot_shards(shards)
        .core_group(|| GROUP.get())
        .build()
        .unwrap()
}

/// Which buffer of the pool it is, if `first` is where the pool begins.
fn number(buffer: &Buffer, first: usize) -> usize {
    (buffer.as_slice().as_ptr().addr() - first) / buffer.len()
}

fn first(pool: &Pool) -> usize {
    let all: Vec<Buffer> = (0..pool.count()).map(|_| pool.alloc().unwrap()).collect();
    let first = all.iter().map(|buffer| buffer.as_slice().as_ptr().addr()).min().unwrap();
    // Home again, each to the shard that it began in.
    for buffer in all {
        let number = number(&buffer, first) as u32;
        GROUP.set(number * pool.depot_shards() / pool.count());
        drop(buffer);
    }
    GROUP.set(0);
    first
}

#[test]
fn shards_out_of_range_are_refused() {
    for shards in [0, MAX_DEPOT_SHARDS + 1, u32::MAX] {
        let error = Pool::builder(1).depot_shards(shards).build().unwrap_err();
        assert!(matches!(error, PoolError::DepotShards { shards: told } if told == shards));
        assert!(error.to_string().contains(&shards.to_string()), "{error}");
    }
    assert_eq!(Pool::builder(1).build().unwrap().depot_shards(), 1);
    let pool = Pool::builder(64).depot_shards(4).build().unwrap();
    let (mut cache, held) = (pool.local_cache(), pool.alloc().unwrap());
    cache.release_buffer(held);
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn every_buffer_can_be_had_from_every_shard() {
    for (count, shards) in [(1, 4), (63, 2), (256, 4), (1000, 64)] {
        let pool = pool(count, shards);
        for group in [0, 1, shards - 1, u32::MAX] {
            GROUP.set(group);
            let mut cache = pool.local_cache();
            let mut held = Vec::new();
            cache.alloc_bulk(count as usize, &mut held).unwrap();
            let empty = AllocError::Exhausted { buffers: count, in_flight: count, cached: 0 };
            assert_eq!(pool.alloc().unwrap_err(), empty);
            assert_eq!(cache.alloc().unwrap_err(), empty);
            drop(held);
            drop(cache);
            assert_all_home(&pool);
        }
    }
}

#[test]
fn a_group_takes_its_own_before_it_steals() {
    let pool = pool(1024, 4);
    let first = first(&pool);
    for group in 0..4 {
        GROUP.set(group);
        let mut cache = pool.local_cache();
        // Where the cache was made counts, not where it is used.
        GROUP.set(group + 1);
        let mut held = Vec::new();
        cache.alloc_bulk(256, &mut held).unwrap();
        let own = group as usize * 256..(group as usize + 1) * 256;
        assert!(held.iter().all(|buffer| own.contains(&number(buffer, first))));
        held.into_iter().for_each(|buffer| cache.release_buffer(buffer));
    }
    assert_all_home(&pool);
}

#[test]
fn audit_and_figures_cover_all_shards() {
    let pool = pool(64, 4);
    let held: Vec<Buffer> = (0..10).map(|_| pool.alloc().unwrap()).collect();
    for (group, buffer) in held.into_iter().enumerate() {
        GROUP.set(group as u32);
        drop(buffer);
    }
    let audit = pool.audit().unwrap();
    assert_eq!((audit.free, pool.stats().free), (64, 64));
}

/// What tells the group is somebody else's code. While it panics, threads are of the first group: nothing
/// unwinds out of a release, and nothing is lost.
#[test]
fn a_group_that_panics_is_the_first() {
    const PANICS: u32 = 99;
    GROUP.set(0);
    let pool = Pool::builder(64)
        .accounts(Accounts::new())
        .depot_shards(4)
        .core_group(|| {
            assert_ne!(GROUP.get(), PANICS, "on purpose: a group that panics");
            GROUP.get()
        })
        .build()
        .unwrap();
    let mut held: Vec<Buffer> = (0..64).map(|_| pool.alloc().unwrap()).collect();
    let mut batch = SkbBatch::from_iter(held.drain(32..).map(Buffer::into_empty_skb));
    GROUP.set(PANICS);
    batch.release_uncached();
    drop(held);
    assert_all_home(&pool);
    drop(pool.local_cache().alloc().unwrap());
    drop(pool.alloc().unwrap());
    assert_all_home(&pool);
}
