//! Pools that run out, and get back what was parked elsewhere.

use super::{assert_all_home, pool};
use skbpool_pool::{AllocError, Buffer, MAX_BUFFERS, MAX_ORDER, Pool, PoolError, PoolState};

#[test]
fn capacity() {
    for (count, order) in [(1, 0), (7, 3), (64, 0), (1000, 1)] {
        let pool = Pool::builder(count).order(order).build().unwrap();
        let all: Vec<Buffer> = (0..count).map(|_| pool.alloc().unwrap()).collect();
        let mut addresses: Vec<_> = all.iter().map(|b| b.as_slice().as_ptr().addr()).collect();
        addresses.sort_unstable();
        let stride = 4096usize << order;
        assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] == stride));
        assert!(all.iter().all(|buffer| buffer.len() == stride));
        assert_eq!(
            pool.alloc().unwrap_err(),
            AllocError::Exhausted { buffers: count, in_flight: count, cached: 0 }
        );
        drop(all);
        assert_all_home(&pool);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for count in [0, MAX_BUFFERS + 1, u32::MAX] {
        let error = Pool::builder(count).build().unwrap_err();
        assert!(matches!(error, PoolError::Count { count: c } if c == count));
        assert!(error.to_string().contains(&count.to_string()));
    }
    let error = Pool::builder(1).order(MAX_ORDER + 1).build().unwrap_err();
    assert!(matches!(error, PoolError::Order { order } if order == MAX_ORDER + 1));
    let error = Pool::builder(MAX_BUFFERS).order(MAX_ORDER).build().unwrap_err();
    assert!(error.to_string().contains("make it smaller"), "{error}");
}

/// Whatever a few caches hold back, all buffers can be had by those who hold them, none twice.
#[test]
fn small_pools_with_several_caches() {
    for count in 1..=64 {
        let pool = pool(count);
        let mut caches = [pool.local_cache(), pool.local_cache(), pool.local_cache()];
        for _ in 0..3 {
            let mut held = Vec::new();
            let mut empty = 0;
            while empty < caches.len() {
                empty = 0;
                for cache in &mut caches {
                    match cache.alloc() {
                        Ok(buffer) => held.push(buffer),
                        Err(AllocError::Exhausted { buffers, in_flight, cached }) => {
                            assert_eq!(buffers, count);
                            assert_eq!(in_flight as usize, held.len());
                            assert_eq!(in_flight + cached, count, "the depot is empty");
                            empty += 1;
                        }
                        Err(closed) => unreachable!("nobody closed it: {closed}"),
                    }
                }
            }
            assert_eq!(held.len(), count as usize);
            for (turn, buffer) in held.into_iter().enumerate() {
                caches[turn % 3].release_buffer(buffer);
            }
            pool.audit().unwrap();
        }
        drop(caches);
        assert_all_home(&pool);
    }
}

#[test]
fn bulk_is_all_or_none() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let mut buffers = vec![cache.alloc().unwrap()];
    for count in [64, 65, 1 << 40, usize::MAX] {
        let error = cache.alloc_bulk(count, &mut buffers).unwrap_err();
        assert!(matches!(error, AllocError::Exhausted { buffers: 64, in_flight: 1, .. }));
        assert_eq!(buffers.len(), 1, "alloc_bulk({count}) left something behind");
    }
    cache.alloc_bulk(0, &mut buffers).unwrap();
    cache.alloc_bulk(63, &mut buffers).unwrap();
    assert_eq!(buffers.len(), 64);
    drop(buffers);
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn the_error_says_how_many_buffers_are_parked_elsewhere() {
    let pool = Pool::builder(64).name("small").build().unwrap();
    let mut hoarder = pool.local_cache();
    let buffers: Vec<Buffer> = (0..64).map(|_| pool.alloc().unwrap()).collect();
    let capacity = pool.cache_capacity();
    for buffer in buffers.into_iter().take(capacity as usize) {
        hoarder.release_buffer(buffer);
    }
    assert_eq!(hoarder.cached(), capacity as usize);
    let held: Vec<Buffer> = (0..64 - capacity).map(|_| pool.alloc().unwrap()).collect();
    let error = pool.alloc().unwrap_err();
    let in_flight = 64 - capacity;
    assert_eq!(error, AllocError::Exhausted { buffers: 64, in_flight, cached: capacity });
    let text = error.to_string();
    assert!(text.contains(&format!("of 64 buffers {in_flight} are in flight and {capacity}")));
    // Called for, they come at the hoarder's next release.
    pool.reclaim();
    let one = hoarder.alloc().unwrap();
    hoarder.release_buffer(one);
    assert_eq!(hoarder.cached(), 0);
    let rest: Vec<Buffer> = (0..capacity).map(|_| pool.alloc().unwrap()).collect();
    drop((held, rest, hoarder));
    assert_all_home(&pool);
}

#[test]
fn a_closed_pool_hands_out_nothing_and_takes_everything_back() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let mut held = Vec::new();
    cache.alloc_bulk(3, &mut held).unwrap();
    let cached = cache.cached() as u32;
    assert!(cached > 0);
    assert_eq!((pool.close(), pool.close()), (3, 3));
    assert!(pool.is_closed());
    assert_eq!(pool.stats().state, PoolState::Orphaned);
    assert_eq!(pool.alloc().unwrap_err(), AllocError::Closed);
    assert_eq!(pool.stats().cached, cached);
    assert_eq!(cache.alloc().unwrap_err(), AllocError::Closed);
    assert_eq!(pool.stats().cached, 0, "a cache of a closed pool holds nothing back");
    assert_eq!(cache.alloc_bulk(1, &mut Vec::new()).unwrap_err(), AllocError::Closed);
    for buffer in held {
        cache.release_buffer(buffer);
        assert_eq!(cache.cached(), 0);
    }
    assert_eq!(pool.stats().state, PoolState::Closed);
    assert_all_home(&pool);
}

/// A magazine's worth of partial magazines uses up the spare ones; nothing is lost for it.
#[test]
fn many_small_flushes() {
    let pool = pool(1024);
    let mut caches: Vec<_> = (0..40).map(|_| pool.local_cache()).collect();
    for round in 0..20 {
        let buffers: Vec<Buffer> = (0..1024).map(|_| pool.alloc().unwrap()).collect();
        for (turn, buffer) in buffers.into_iter().enumerate() {
            let cache = &mut caches[(turn * 7 + round) % 40];
            cache.release_buffer(buffer);
            if turn % 3 == 0 {
                cache.flush();
            }
        }
        for cache in &mut caches {
            cache.flush();
        }
        assert_all_home(&pool);
    }
}

#[test]
fn stats_add_up() {
    let pool = Pool::builder(32).name("tap").order(1).build().unwrap();
    let mut cache = pool.local_cache();
    let held = [cache.alloc().unwrap(), pool.alloc().unwrap()];
    let stats = pool.stats();
    assert_eq!((stats.name.as_str(), stats.buffers, stats.buffer_bytes), ("tap", 32, 8192));
    assert_eq!((stats.free, stats.cached, stats.in_flight), (29, 1, 2));
    assert_eq!((stats.alloc_fast, stats.alloc_slow, stats.refills), (0, 2, 1));
    assert_eq!(stats.state, PoolState::Open);
    drop(held);
    assert_eq!(pool.stats().releases, 2);
    assert_eq!(pool.stats().free, 31);
}
