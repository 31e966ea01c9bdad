//! Bare objects: free buffers that change hands without becoming buffers.

use super::{assert_all_home, pool};
use skbpool_pool::{AllocError, Audit, FreeBuffers, GetBulkError, Pool};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// In the depot, in caches and containers, in flight; by the figures and by walking.
fn places(pool: &Pool) -> (u32, u32, u32) {
    let Audit { free, cached, in_flight, .. } = pool.audit().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.free, stats.cached, stats.in_flight), (free, cached, in_flight));
    (free, cached, in_flight)
}

fn fill(pool: &Pool, count: usize) -> FreeBuffers {
    let mut free = pool.free_buffers(0);
    pool.local_cache().get_bulk(count, &mut free).unwrap();
    free
}

/// Magazines hold 4 buffers here, and a cache 16.
#[test]
fn every_buffer_is_in_one_place_whatever_is_moved() {
    let pool = pool(64);
    let (mut cache, mut free) = (pool.local_cache(), pool.free_buffers(8));
    for (count, in_it, left) in [(3, 3, 1), (0, 3, 1), (5, 8, 0), (1, 9, 3)] {
        cache.get_bulk(count, &mut free).unwrap();
        assert_eq!((free.len(), cache.cached()), (in_it, left));
        let cached = (in_it + left) as u32;
        assert_eq!(places(&pool), (64 - cached, cached, 0));
    }
    let mut buffer = free.pop().unwrap();
    assert_eq!(buffer.header().references(), 1);
    buffer.as_mut_slice().unwrap().fill(7);
    assert_eq!(places(&pool), (52, 11, 1));
    cache.put_bulk(&mut free);
    assert!(free.is_empty());
    assert_eq!(cache.cached(), 11);
    drop((buffer, cache, free));
    let stats = pool.stats();
    // Only what was popped counts as allocated; each of the three refills found the cache empty.
    assert_eq!((stats.releases, stats.refills, stats.violations), (1, 3, 0));
    assert_all_home(&pool);
}

#[test]
fn what_is_popped_is_a_buffer_like_any_other() {
    let pool = pool(16);
    let mut free = fill(&pool, 16);
    let buffers: Vec<_> = std::iter::from_fn(|| free.pop()).collect();
    let distinct: BTreeSet<_> = buffers.iter().map(|buffer| buffer.header().index()).collect();
    assert_eq!(distinct.len(), 16);
    assert_eq!(places(&pool), (0, 0, 16));
    drop(buffers);
    assert_all_home(&pool);
}

#[test]
fn all_or_none() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let mut free = fill(&pool, 10);
    let held: Vec<_> = (0..14).map(|_| cache.alloc().unwrap()).collect();
    for count in [41, 64, 65, usize::MAX] {
        let error = cache.get_bulk(count, &mut free).unwrap_err();
        let GetBulkError::Alloc(AllocError::Exhausted { buffers, in_flight, cached }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((buffers, in_flight), (64, 14));
        assert!((10..=50).contains(&cached));
        assert_eq!(free.len(), 10);
        let (_, now_cached, in_flight) = places(&pool);
        assert_eq!((now_cached, in_flight), (10 + cache.cached() as u32, 14));
    }
    cache.get_bulk(40, &mut free).unwrap();
    assert_eq!((free.len(), places(&pool)), (50, (0, 50, 14)));
    drop((held, free, cache));
    assert_all_home(&pool);
}

#[test]
fn what_a_cache_has_no_room_for_goes_to_the_depot() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let kept: Vec<_> = (0..16).map(|_| cache.alloc().unwrap()).collect();
    kept.into_iter().for_each(|buffer| cache.release_buffer(buffer));
    let mut free = fill(&pool, 40);
    assert_eq!((cache.cached(), places(&pool)), (16, (8, 56, 0)));
    cache.put_bulk(&mut free);
    assert_eq!((free.len(), cache.cached()), (0, 16));
    assert_eq!(places(&pool), (48, 16, 0));
}

#[test]
fn pools_do_not_mix() {
    let (mine, theirs) = (pool(16), pool(16));
    let mut cache = mine.local_cache();
    let mut foreign = fill(&theirs, 4);
    let error = cache.get_bulk(1, &mut foreign).unwrap_err();
    assert_eq!(error, GetBulkError::OtherPool);
    assert!(error.to_string().contains("another pool"));
    assert_eq!(foreign.len(), 4);
    cache.put_bulk(&mut foreign);
    assert_eq!((foreign.len(), cache.cached()), (0, 0));
    assert_all_home(&theirs);
    assert_all_home(&mine);
}

#[test]
fn a_closed_pool_takes_back_and_gives_nothing() {
    let pool = pool(16);
    let mut cache = pool.local_cache();
    let mut free = fill(&pool, 6);
    assert_eq!(pool.close(), 0);
    assert!(free.pop().is_none());
    let error = cache.get_bulk(1, &mut free).unwrap_err();
    assert_eq!(error, GetBulkError::Alloc(AllocError::Closed));
    assert_eq!(free.len(), 6);
    cache.put_bulk(&mut free);
    assert_all_home(&pool);
}

#[test]
fn a_container_keeps_its_pool_alive() {
    let pool = pool(16);
    let mut free = fill(&pool, 3);
    drop(pool);
    let mut buffer = free.pop().unwrap();
    drop(free);
    buffer.as_mut_slice().unwrap().fill(1);
    assert_eq!(buffer.as_slice(), [1; 4096]);
}

#[test]
fn buffers_called_for_and_waited_for_are_not_kept() {
    let pool = pool(16);
    let mut cache = pool.local_cache();
    for count in [4, 16] {
        // As many as a cache holds, and more.
        let mut free = fill(&pool, count);
        pool.reclaim();
        assert_eq!(free.len(), count);
        cache.put_bulk(&mut free);
        assert_all_home(&pool);
    }

    let mut free = fill(&pool, 16);
    let waiting = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            waiting.wait();
            pool.alloc_until(Instant::now() + Duration::from_secs(30))
        });
        waiting.wait();
        while !waiter.is_finished() {
            cache.put_bulk(&mut free);
            // What did not go to the waiter is taken again, until it has come to wait.
            let _ = cache.get_bulk(1, &mut free);
        }
        waiter.join().unwrap().unwrap();
    });
    drop((free, cache));
    assert_all_home(&pool);
}
