//! Watermarks and the events of a pool.

use super::assert_all_home;
use PoolEvent::{Exhausted, Gone, HighWatermark, LowWatermark, Orphaned};
use skbpool_pool::{
    Accounts, Buffer, Pool, PoolError, PoolEvent, PoolEvents, StartValues, Watermarks,
};
use std::time::{Duration, Instant};

fn pool(buffers: u32, low: u32, high: u32) -> Pool {
    Pool::builder(buffers).watermarks(low, high).accounts(Accounts::new()).build().unwrap()
}

fn take(pool: &Pool, buffers: u32) -> Vec<Buffer> {
    (0..buffers).map(|_| pool.alloc().unwrap()).collect()
}

fn told(events: &mut PoolEvents) -> Vec<PoolEvent> {
    std::iter::from_fn(|| events.try_next()).collect()
}

/// A bound for waits that are expected to end at once.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn between_the_watermarks_nothing_is_told() {
    let pool = pool(16, 4, 8);
    let mut events = pool.events();
    let mut held = take(&pool, 12);
    assert!(!pool.is_low(), "four are free, which is not below four");
    held.extend(take(&pool, 1));
    assert!(pool.is_low());
    assert_eq!(told(&mut events), [LowWatermark]);
    for _ in 0..3 {
        held.truncate(9);
        held.extend(take(&pool, 4));
    }
    assert!(pool.is_low(), "seven were free, which is below eight");
    assert_eq!(told(&mut events), []);
    held.truncate(8);
    assert!(!pool.is_low());
    assert_eq!(told(&mut events), [HighWatermark]);
    held.extend(take(&pool, 4));
    assert_eq!((pool.is_low(), told(&mut events)), (false, vec![]));
    let stats = pool.watermarks();
    assert_eq!((stats.low, stats.high, stats.exhausted), (1, 1, 0));
    assert_eq!((stats.marks, stats.is_low), (Watermarks { low: 4, high: 8 }, false));
}

#[test]
fn exhaustion_is_told_once_until_the_pool_has_recovered() {
    let pool = pool(8, 2, 4);
    let mut events = pool.events();
    let mut held = take(&pool, 8);
    assert_eq!(told(&mut events), [LowWatermark], "nobody was refused yet");
    for _ in 0..3 {
        pool.alloc().unwrap_err();
        held.truncate(5);
        held.extend(take(&pool, 3));
    }
    assert_eq!(told(&mut events), [Exhausted]);
    held.truncate(4);
    assert_eq!(told(&mut events), [HighWatermark]);
    held.extend(take(&pool, 4));
    pool.alloc_until(Instant::now()).unwrap_err();
    assert_eq!(told(&mut events), [LowWatermark, Exhausted]);
    assert_eq!(pool.watermarks().exhausted, 2);
}

/// What is parked in a cache nobody else can have: it is not free. Bulks that are refused because they
/// ask for more than a pool has are no exhaustion.
#[test]
fn caches_take_from_what_is_free_and_flushing_gives_it_back() {
    let pool = pool(64, 56, 60);
    let mut events = pool.events();
    let mut cache = pool.local_cache();
    cache.alloc_bulk(65, &mut Vec::new()).unwrap_err();
    assert_eq!(told(&mut events), []);
    let buffers: Vec<Buffer> = (0..9).map(|_| cache.alloc().unwrap()).collect();
    buffers.into_iter().for_each(|buffer| cache.release_buffer(buffer));
    assert_eq!((cache.cached(), pool.stats().in_flight, pool.is_low()), (12, 0, true));
    cache.flush();
    assert!(!pool.is_low());
    assert_eq!(told(&mut events), [LowWatermark, HighWatermark]);
    let mut other = pool.local_cache();
    let mut all = Vec::new();
    other.alloc_bulk(64, &mut all).unwrap();
    cache.alloc().unwrap_err();
    assert_eq!(told(&mut events), [LowWatermark, Exhausted]);
    drop((all, cache, other));
    assert_all_home(&pool);
}

#[test]
fn without_watermarks_only_exhaustion_makes_a_pool_low() {
    let pool = pool(4, 0, 0);
    let mut events = pool.events();
    let mut held = take(&pool, 4);
    assert_eq!((pool.is_low(), told(&mut events)), (false, vec![]));
    pool.alloc().unwrap_err();
    assert_eq!((pool.is_low(), told(&mut events)), (true, vec![LowWatermark, Exhausted]));
    held.pop();
    assert_eq!((pool.is_low(), told(&mut events)), (false, vec![HighWatermark]));
}

#[test]
fn every_pool_has_watermarks_and_impossible_ones_are_refused() {
    for (buffers, low, high) in [(1, 1, 1), (2, 1, 2), (16, 1, 2), (100, 6, 12), (4096, 256, 512)] {
        assert_eq!(Watermarks::of(buffers), Watermarks { low, high });
        let built = Pool::builder(buffers).build().unwrap();
        assert_eq!(built.watermarks().marks, Watermarks::of(buffers));
        let _low = pool(buffers, low, high);
    }
    for (low, high) in [(5, 4), (0, 9), (9, 9), (u32::MAX, u32::MAX)] {
        let error = Pool::builder(8).watermarks(low, high).build().unwrap_err();
        assert!(matches!(error, PoolError::Watermarks { count: 8, .. }), "{error}");
    }
}

/// However long a watcher does not look, it is told low and high alternately, and how many it missed;
/// also where the counters wrap.
#[test]
fn a_watcher_that_slept_is_told_the_last_and_how_many_it_missed() {
    for counter in [0, u64::MAX - 3, u64::MAX - 2] {
        let start = StartValues { counter, ..StartValues::default() };
        let pool = Pool::builder(4).watermarks(1, 2).start_at(start).build().unwrap();
        let (mut early, mut attentive) = (pool.events(), pool.events());
        for _ in 0..10 {
            let held = take(&pool, 4);
            pool.alloc().unwrap_err();
            drop(held);
            assert_eq!(told(&mut attentive), [LowWatermark, Exhausted, HighWatermark]);
        }
        let held = take(&pool, 4);
        let mut late = pool.events();
        assert_eq!(told(&mut early), [LowWatermark, Exhausted]);
        assert_eq!(early.missed(), 20 + 9, "ten times low and high, and nine exhaustions");
        assert_eq!(told(&mut attentive), [LowWatermark]);
        assert_eq!(attentive.missed(), 0);
        drop(held);
        for watcher in [&mut early, &mut late, &mut attentive] {
            assert_eq!(told(watcher), [HighWatermark]);
        }
    }
}

#[test]
fn a_closed_pool_is_orphaned_until_its_last_buffer_is_home() {
    let pool = pool(8, 0, 0);
    let mut events = pool.events();
    let mut cache = pool.local_cache();
    let held = [pool.alloc().unwrap(), cache.alloc().unwrap()];
    assert_eq!((pool.close(), pool.close()), (2, 2));
    assert_eq!(told(&mut events), [Orphaned]);
    drop(held);
    assert_eq!(
        (cache.cached(), told(&mut events)),
        (0, vec![Gone]),
        "one at a time in so small a pool"
    );
    assert!(events.is_over());
    assert_eq!(events.next_until(soon()), None, "nobody waits for what cannot come");
}

/// Free buffers in a cache are nobody's views, but not home either.
#[test]
fn a_pool_closed_with_full_caches_is_not_orphaned_and_not_gone_before_they_are_flushed() {
    let pool = pool(64, 0, 0);
    let mut events = pool.events();
    let mut cache = pool.local_cache();
    let buffer = cache.alloc().unwrap();
    cache.release_buffer(buffer);
    assert_eq!((cache.cached(), pool.close()), (4, 0));
    assert_eq!(told(&mut events), []);
    cache.alloc().unwrap_err();
    assert_eq!(told(&mut events), [Gone]);
}

#[test]
fn a_pool_that_was_let_go_of_is_gone_with_its_last_view() {
    let pool = pool(4, 0, 0);
    let mut events = pool.events();
    let view = pool.alloc().unwrap().into_empty_skb();
    drop(pool);
    assert_eq!(events.next_until(Instant::now()), None);
    drop(view);
    assert_eq!(told(&mut events), [Gone]);
}

#[test]
fn waiting_ends_with_the_event_and_not_before() {
    let pool = pool(4, 1, 1);
    let mut waiting: Vec<_> = (0..3).map(|_| pool.events()).collect();
    let mut idle = pool.events();
    let deadline = Instant::now() + Duration::from_millis(2);
    assert_eq!(idle.next_until(deadline), None);
    assert!(Instant::now() >= deadline);
    std::thread::scope(|scope| {
        for events in &mut waiting {
            scope.spawn(|| {
                let all: Vec<_> = std::iter::from_fn(|| events.next_until(soon())).collect();
                assert_eq!(all.last(), Some(&Gone));
                assert_eq!(all.len() as u64 + events.missed(), 2 * 1000 + 1);
            });
        }
        for _ in 0..1000 {
            drop(take(&pool, 4));
        }
        pool.close();
    });
}

/// Threads with caches and without push a pool across both watermarks all the time.
#[test]
fn many_threads_cross_alternately() {
    let pool = pool(96, 24, 48);
    let mut events = pool.events();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let pool = &pool;
            scope.spawn(move || {
                let mut cache = pool.local_cache();
                for turn in 0..2000 {
                    if (thread + turn) % 3 == 0 {
                        let held: Vec<_> = (0..80).map_while(|_| pool.alloc().ok()).collect();
                        drop(held);
                    } else {
                        let held: Vec<_> = (0..80).map_while(|_| cache.alloc().ok()).collect();
                        held.into_iter().for_each(|buffer| cache.release_buffer(buffer));
                        cache.flush();
                    }
                }
            });
        }
    });
    let stats = pool.watermarks();
    assert_eq!((stats.is_low, stats.low), (false, stats.high));
    assert!(stats.low > 0 && stats.exhausted <= stats.low, "{stats:?}");
    let rest = told(&mut events);
    assert_eq!(rest.iter().filter(|&&event| event != Exhausted).count(), 2, "{rest:?}");
    assert_eq!(rest.len() as u64 + events.missed(), 2 * stats.low + stats.exhausted);
    assert_all_home(&pool);
}
