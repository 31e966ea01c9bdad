//! Caches, the depot and callers without a cache: a buffer is in one place at a time (I1).

use super::{Payload, check};
use crate::buffer::Buffer;
use crate::pool::{LocalCache, Pool};
use loom::thread;
use std::sync::Arc;

fn pool(buffers: u32) -> (Pool, Arc<Payload>) {
    (Pool::builder(buffers).build().unwrap(), Arc::new(Payload::new(buffers)))
}

fn write(payload: &Payload, buffer: &Buffer) {
    let index = buffer.header().index().unwrap();
    payload.write(index, payload.read(index) + 1);
}

fn alloc_two_and_release(cache: &mut LocalCache, payload: &Payload) {
    let held: Vec<Buffer> = (0..2).filter_map(|_| cache.alloc().ok()).collect();
    for buffer in held {
        write(payload, &buffer);
        cache.release_buffer(buffer);
    }
}

/// Two caches on one depot, each dropped by its owner.
#[test]
fn two_caches() {
    check(|| {
        let (pool, payload) = pool(4);
        let (mut one, mut two) = (pool.local_cache(), pool.local_cache());
        let theirs = Arc::clone(&payload);
        let thread = thread::spawn(move || {
            alloc_two_and_release(&mut two, &theirs);
            two.flush();
            two
        });
        alloc_two_and_release(&mut one, &payload);
        drop(thread.join().unwrap());
        let audit = pool.audit().unwrap();
        assert_eq!((audit.free, audit.cached, audit.in_flight), (2, 2, 0));
        drop(one);
        assert_eq!(pool.audit().unwrap().free, 4);
    });
}

/// A cache beside a caller that has none and releases to the depot.
#[test]
fn a_cache_beside_loose_buffers() {
    check(|| {
        let (pool, payload) = pool(4);
        let mut cache = pool.local_cache();
        let (theirs, other) = (Arc::clone(&payload), pool.clone());
        let thread = thread::spawn(move || {
            for _ in 0..2 {
                if let Ok(buffer) = other.alloc() {
                    write(&theirs, &buffer);
                }
            }
        });
        alloc_two_and_release(&mut cache, &payload);
        cache.flush();
        thread.join().unwrap();
        assert_eq!(pool.audit().unwrap().free, 4);
    });
}

/// Two views of one buffer, released by two threads to their own caches: it lands in one of them, and
/// whoever has it may write it.
#[test]
fn views_of_one_buffer_released_to_two_caches() {
    check(|| {
        let (pool, payload) = pool(2);
        let (mut one, mut two) = (pool.local_cache(), pool.local_cache());
        let buffer = one.alloc().unwrap();
        let index = buffer.header().index().unwrap();
        let mut armed = buffer.arm(2).map_err(|(error, _)| error).unwrap();
        let (first, second) = (armed.skb(0, 64).unwrap(), armed.skb(64, 64).unwrap());
        let theirs = Arc::clone(&payload);
        let release = move |cache: &mut LocalCache, view, payload: &Payload| {
            payload.read(index);
            cache.release(view);
            if cache.cached() != 0 {
                payload.write(index, 1);
            }
        };
        let thread = thread::spawn(move || {
            release(&mut two, second, &theirs);
            two
        });
        release(&mut one, first, &payload);
        let two = thread.join().unwrap();
        assert_eq!(one.cached() + two.cached(), 1);
        assert_eq!(pool.audit().unwrap().cached, 1);
    });
}
