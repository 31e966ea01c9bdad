//! Admission: promises never exceed the pool.

use super::pool;
use skbpool_pool::{PoolTooSmall, ReserveError};
use std::thread;

#[test]
fn promises_fill_the_pool_and_come_back() {
    let pool = pool(64);
    let ring = pool.reserve(32, "the ring").unwrap();
    let quota = pool.reserve(32, "a quota").unwrap();
    assert_eq!((ring.buffers(), pool.stats().reserved), (32, 64));
    let error = pool.reserve(1, "one more consumer").unwrap_err();
    assert_eq!(
        error,
        ReserveError::TooSmall(PoolTooSmall {
            pool: "pool".into(),
            what: "one more consumer".into(),
            needed: 1,
            reserved: 64,
            buffers: 64
        })
    );
    let text = error.to_string();
    for part in ["\"pool\"", "one more consumer", "needs 1", "64", "make the pool larger"] {
        assert!(text.contains(part), "{text}");
    }
    drop(quota);
    assert!(pool.reserve(u32::MAX, "everything").is_err());
    assert!(pool.reserve(33, "too much").is_err());
    assert_eq!(pool.stats().reserved, 32);
    pool.reserve(0, "nothing").unwrap();
    let _rest = pool.reserve(32, "the rest").unwrap();
    assert_eq!(pool.stats().reserved, 64);
}

#[test]
fn a_promise_holds_no_buffer() {
    let pool = pool(4);
    let _all = pool.reserve(4, "all").unwrap();
    let buffers: Vec<_> = (0..4).map(|_| pool.alloc().unwrap()).collect();
    assert_eq!(buffers.len(), 4);
}

#[test]
fn promises_of_many_threads_never_exceed_the_pool() {
    let pool = pool(100);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for step in 0..2_000 {
                    let promise = pool.reserve(step % 60, "a consumer");
                    assert!(pool.stats().reserved <= 100);
                    drop(promise);
                }
            });
        }
    });
    assert_eq!(pool.stats().reserved, 0);
}
