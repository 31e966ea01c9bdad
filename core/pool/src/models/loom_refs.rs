//! The reference count: exactly one learns that it was the last, and sees what all others did (I2).

use super::{Payload, check};
use crate::header::{BufferHeader, Put};
use crate::pool::Pool;
use loom::thread;
use std::sync::Arc;

struct Shared {
    header: BufferHeader,
    payload: Payload,
}

impl Shared {
    fn new(references: u32) -> Arc<Self> {
        Arc::new(Self { header: BufferHeader::of_nothing(references), payload: Payload::new(1) })
    }

    /// Looks at the bytes, gives `count` references back, and writes the bytes anew if those were
    /// the last.
    fn put(&self, count: u32) -> bool {
        self.payload.read(0);
        let last = self.header.put(count) == Put::Last;
        if last {
            self.payload.write(0, 1);
        }
        last
    }
}

fn droppers(counts: &'static [u32]) {
    check(move || {
        let shared = Shared::new(counts.iter().sum());
        let threads: Vec<_> = counts[1..]
            .iter()
            .map(|&count| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.put(count))
            })
            .collect();
        let mut last = u32::from(shared.put(counts[0]));
        for thread in threads {
            last += u32::from(thread.join().unwrap());
        }
        assert_eq!(last, 1);
        assert_eq!(shared.header.references(), 0);
    });
}

#[test]
fn two_droppers() {
    droppers(&[1, 1]);
}

#[test]
fn three_droppers() {
    droppers(&[1, 1, 1]);
}

#[test]
fn a_run_and_a_single_view() {
    droppers(&[2, 1]);
}

/// A view is cloned while the other one is dropped.
#[test]
fn a_clone_beside_a_drop() {
    check(|| {
        let shared = Shared::new(2);
        let other = Arc::clone(&shared);
        let dropper = thread::spawn(move || other.put(1));
        assert!(shared.header.get(1));
        let mut last = u32::from(shared.put(1));
        last += u32::from(shared.put(1));
        last += u32::from(dropper.join().unwrap());
        assert_eq!(last, 1);
    });
}

/// The only view is cloned by a plain store, which hides the last release of the other holder from
/// whoever frees the buffer: the one who cloned has to have seen it.
#[test]
fn a_clone_of_the_only_view_carries_what_others_released() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let payload = Arc::new(Payload::new(1));
        let view = pool.alloc().unwrap().into_empty_skb();
        let other = view.clone_skb().unwrap();
        let reader = {
            let payload = Arc::clone(&payload);
            thread::spawn(move || {
                payload.read(0);
                drop(other);
            })
        };
        let clone = view.clone_skb().unwrap();
        let last = {
            let (payload, pool) = (Arc::clone(&payload), pool.clone());
            thread::spawn(move || {
                drop(clone);
                if pool.alloc().is_ok() {
                    payload.write(0, 1);
                }
            })
        };
        drop(view);
        last.join().unwrap();
        reader.join().unwrap();
        assert_eq!(pool.audit().unwrap().free, 1);
    });
}

/// Whoever finds that its view is the only one may write: the other holder's reads are over.
#[test]
fn the_only_view_may_be_written() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let payload = Arc::new(Payload::new(1));
        let view = pool.alloc().unwrap().into_empty_skb();
        let other = view.clone_skb().unwrap();
        let reader = {
            let payload = Arc::clone(&payload);
            thread::spawn(move || {
                payload.read(0);
                drop(other);
            })
        };
        if view.is_writable() {
            payload.write(0, 1);
        }
        reader.join().unwrap();
    });
}

/// A run of views grows to more for many consumers while another holder lets go: by a plain store if it
/// was seen to, which then carries what that holder read, by an addition otherwise.
#[test]
fn a_run_that_grows_beside_a_drop() {
    check(|| {
        let shared = Shared::new(2);
        let other = Arc::clone(&shared);
        let dropper = thread::spawn(move || other.put(1));
        assert!(shared.header.grow(1, 3));
        let consumer = Arc::clone(&shared);
        let consumer = thread::spawn(move || consumer.put(2));
        let mut last = u32::from(shared.put(1));
        last += u32::from(dropper.join().unwrap());
        last += u32::from(consumer.join().unwrap());
        assert_eq!(last, 1);
        assert_eq!(shared.header.references(), 0);
    });
}
