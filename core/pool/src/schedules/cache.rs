//! Caches, callers without one, clones and foreign releases: a buffer is in one place at a time, and
//! the pool goes with the last one who has anything of it (I1, I2).

use super::{Payload, together};
use crate::account::Accounts;
use crate::pool::{Pool, StartValues};
use crate::skb::{Skb, SkbBatch};
use crate::sync::explore;
use shuttle::sync::mpsc;
use std::sync::Arc;

const BUFFERS: u32 = 8;

fn pool(start: StartValues) -> Pool {
    Pool::builder(BUFFERS).accounts(Accounts::new()).start_at(start).build().unwrap()
}

fn seven_threads(start: StartValues) {
    let pool = pool(start);
    let payload = Arc::new(Payload::new(BUFFERS));
    let (to_readers, views) = mpsc::channel::<Skb>();
    let views = Arc::new(shuttle::sync::Mutex::new(views));
    let mut parts: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for _ in 0..3 {
        let (pool, payload, to_readers) = (pool.clone(), Arc::clone(&payload), to_readers.clone());
        parts.push(Box::new(move || {
            let mut cache = pool.local_cache();
            let mut batch = SkbBatch::new();
            for _ in 0..2 {
                if let Ok(buffer) = cache.alloc() {
                    payload.own(buffer.header().index().unwrap());
                    let view = buffer.into_empty_skb();
                    to_readers.send(view.clone_skb().unwrap()).unwrap();
                    cache.release(view);
                }
                let _ = cache.alloc_batch(2, &mut batch);
                cache.release_batch(&mut batch);
            }
        }));
    }
    drop(to_readers);
    for _ in 0..2 {
        let (pool, views) = (pool.clone(), Arc::clone(&views));
        parts.push(Box::new(move || {
            let mut cache = pool.local_cache();
            loop {
                let view = views.lock().unwrap().recv();
                let Ok(view) = view else { break };
                cache.release(view);
            }
        }));
    }
    for _ in 0..2 {
        let (pool, payload) = (pool.clone(), Arc::clone(&payload));
        parts.push(Box::new(move || {
            for _ in 0..2 {
                if let Ok(buffer) = pool.alloc() {
                    payload.own(buffer.header().index().unwrap());
                }
            }
            pool.reclaim();
        }));
    }
    together(parts);
    let audit = pool.audit().unwrap();
    assert_eq!((audit.free, audit.cached, audit.in_flight), (BUFFERS, 0, 0));
    assert_eq!(pool.stats().violations, 0);
}

#[test]
fn caches_loose_callers_and_readers() {
    explore(|| seven_threads(StartValues::default()));
}

/// I4: every counter, tag and generation wraps meanwhile.
#[test]
fn across_every_wrap() {
    let start = StartValues { counter: u64::MAX - 3, tag: u64::MAX - 3, generation: u32::MAX - 3 };
    explore(move || seven_threads(start));
}

/// The pool is closed and let go of while views of it are on their way home.
#[test]
fn a_pool_that_goes_with_its_last_view() {
    explore(|| {
        let pool = pool(StartValues::default());
        let accounts = Arc::clone(pool.accounts());
        let mut parts: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        for _ in 0..4 {
            let view = pool.alloc().unwrap().into_empty_skb();
            let (clone, pool) = (view.clone_skb().unwrap(), pool.clone());
            parts.push(Box::new(move || drop(view)));
            parts.push(Box::new(move || {
                let mut cache = pool.local_cache();
                drop(pool);
                cache.release(clone);
            }));
        }
        parts.push(Box::new(move || {
            pool.close();
        }));
        together(parts);
        assert_eq!(Arc::strong_count(&accounts), 1, "the pool is gone, with all it held");
    });
}
