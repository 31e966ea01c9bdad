//! The life of a pool: its memory is unmapped once, by whoever lets go last, and after everybody
//! else's last use of it (I7).

use super::check;
use crate::pool::Pool;
use loom::thread;
use std::sync::Arc;

/// The last handle goes while the last view comes home.
#[test]
fn the_last_handle_beside_the_last_view() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let pages = Arc::clone(pool.pages());
        let view = pool.alloc().unwrap().into_empty_skb();
        let theirs = Arc::clone(&pages);
        let holder = thread::spawn(move || {
            theirs.touch();
            drop(view);
        });
        pages.touch();
        drop(pool);
        holder.join().unwrap();
        assert_eq!(pages.unmapped(), 1);
    });
}

/// Nobody has a handle any more, and two views come home.
#[test]
fn the_last_two_views() {
    check(|| {
        let pool = Pool::builder(2).build().unwrap();
        let pages = Arc::clone(pool.pages());
        let [one, two] = [(); 2].map(|()| pool.alloc().unwrap().into_empty_skb());
        drop(pool);
        let theirs = Arc::clone(&pages);
        let holder = thread::spawn(move || {
            theirs.touch();
            drop(two);
        });
        pages.touch();
        drop(one);
        holder.join().unwrap();
        assert_eq!(pages.unmapped(), 1);
    });
}

/// A cache with free buffers in it is the last that has a handle.
#[test]
fn the_last_cache_beside_the_last_view() {
    check(|| {
        let pool = Pool::builder(4).build().unwrap();
        let pages = Arc::clone(pool.pages());
        let mut cache = pool.local_cache();
        drop(pool);
        let view = cache.alloc().unwrap().into_empty_skb();
        assert_eq!(cache.cached(), 1);
        let theirs = Arc::clone(&pages);
        let holder = thread::spawn(move || {
            theirs.touch();
            drop(view);
        });
        pages.touch();
        drop(cache);
        holder.join().unwrap();
        assert_eq!(pages.unmapped(), 1);
    });
}

/// Handles are cloned and dropped by two threads.
#[test]
fn handles() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let pages = Arc::clone(pool.pages());
        let other = pool.clone();
        let thread = thread::spawn(move || {
            let clone = other.clone();
            drop(other);
            clone.pages().touch();
        });
        pages.touch();
        drop(pool);
        thread.join().unwrap();
        assert_eq!(pages.unmapped(), 1);
    });
}
