//! The shards of a depot: a buffer is taken from its own shard or stolen from another one, by one
//! thread at a time, and none is lost between them (I1).

use super::{Payload, check};
use crate::depot::{CoreGroups, Depot};
use loom::thread;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Two shards with two buffers each, a magazine's worth.
struct Shared {
    depot: Depot,
    payload: Payload,
}

impl Shared {
    fn new() -> Arc<Self> {
        let groups = CoreGroups::new(2, None).unwrap();
        Arc::new(Self { depot: Depot::new(4, 2, 0, groups), payload: Payload::new(4) })
    }

    fn use_all(&self, buffers: &[u32]) {
        for &buffer in buffers {
            self.payload.write(buffer, self.payload.read(buffer) + 1);
        }
    }

    fn take(&self, home: usize) -> Vec<u32> {
        let mut into = [0; 2];
        let taken = self.depot.take(home, &mut into);
        self.use_all(&into[..taken]);
        into[..taken].to_vec()
    }

    fn assert_holds_every_buffer_once(&self) {
        let found = self.depot.contents();
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..4).collect());
    }
}

/// Each takes from its own shard, then from the other's, and gives everything to its own.
#[test]
fn two_steal_from_each_other() {
    check(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let (first, second) = (other.take(1), other.take(1));
            other.depot.put(1, &first);
            other.depot.put(1, &second);
        });
        let (first, second) = (shared.take(0), shared.take(0));
        shared.depot.put(0, &first);
        shared.depot.put(0, &second);
        thread.join().unwrap();
        shared.assert_holds_every_buffer_once();
    });
}

/// One without a cache breaks a magazine of the other shard open while that shard's owner takes it.
#[test]
fn single_buffers_are_stolen() {
    check(|| {
        let shared = Shared::new();
        let mine = shared.take(0);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let taken = other.take(1);
            other.depot.put(1, &taken);
        });
        let stolen = shared.depot.take_one(0);
        if let Some(buffer) = stolen {
            shared.use_all(&[buffer]);
            shared.depot.put_one(0, buffer);
        }
        shared.depot.put(0, &mine);
        thread.join().unwrap();
        shared.assert_holds_every_buffer_once();
    });
}

/// A magazine is taken from one shard and filled for the other, whose own empty ones are used up.
#[test]
fn empty_magazines_are_stolen() {
    check(|| {
        let shared = Shared::new();
        let (mine, theirs) = (shared.take(0), shared.take(0));
        // One buffer in each magazine: three of the four empty ones lie here, and two are wanted there.
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for buffer in theirs {
                other.use_all(&[buffer]);
                other.depot.put(1, &[buffer]);
            }
        });
        for &buffer in &mine {
            shared.use_all(&[buffer]);
            shared.depot.put(0, &[buffer]);
        }
        thread.join().unwrap();
        shared.assert_holds_every_buffer_once();
    });
}

/// Nobody finds nothing while there is something for everybody, wherever it lies.
#[test]
fn whoever_comes_second_finds_what_is_left() {
    check(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || other.take(0));
        let (mine, theirs) = (shared.take(0), thread.join().unwrap());
        assert_eq!([mine.len(), theirs.len()], [2, 2]);
        assert_eq!(shared.take(1), []);
        shared.depot.put(0, &mine);
        shared.depot.put(0, &theirs);
        shared.assert_holds_every_buffer_once();
    });
}

/// One steals a magazine, and another one of its group fills the first empty magazine that it finds.
#[test]
fn a_stolen_magazine_is_empty_before_it_is_given_on() {
    check(|| {
        let shared = Shared::new();
        let mine = shared.take(0);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            other.use_all(&mine);
            other.depot.put(0, &mine);
        });
        let stolen = shared.take(0);
        thread.join().unwrap();
        shared.depot.put(0, &stolen);
        shared.assert_holds_every_buffer_once();
    });
}
