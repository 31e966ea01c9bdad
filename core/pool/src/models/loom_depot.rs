//! The depot: magazines change hands with what is in them, and no buffer is lost between the stacks
//! (I1).

use super::{Payload, check};
use crate::depot::{CoreGroups, Depot};
use loom::thread;
use std::collections::BTreeSet;
use std::sync::Arc;

struct Shared {
    depot: Depot,
    payload: Payload,
}

impl Shared {
    fn new(count: u32) -> Arc<Self> {
        let groups = CoreGroups::new(1, None).unwrap();
        Arc::new(Self { depot: Depot::new(count, 2, 0, groups), payload: Payload::new(count) })
    }

    fn take(&self) -> Vec<u32> {
        let mut into = [0; 2];
        let taken = self.depot.take(0, &mut into);
        self.use_all(&into[..taken]);
        into[..taken].to_vec()
    }

    fn take_one(&self) -> Option<u32> {
        let taken = self.depot.take_one(0)?;
        self.use_all(&[taken]);
        Some(taken)
    }

    fn use_all(&self, buffers: &[u32]) {
        for &buffer in buffers {
            self.payload.write(buffer, self.payload.read(buffer) + 1);
        }
    }

    fn assert_holds_every_buffer_once(&self) {
        let found = self.depot.contents();
        let count = self.payload.cells.len();
        assert_eq!(found.len(), count, "{found:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), count);
    }
}

/// Two caches refill and flush: magazines go from full to spare and back.
#[test]
fn magazines() {
    check(|| {
        let shared = Shared::new(4);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let taken = other.take();
            other.depot.put(0, &taken);
        });
        let taken = shared.take();
        shared.depot.put(0, &taken);
        let taken = shared.take();
        shared.depot.put(0, &taken);
        thread.join().unwrap();
        shared.assert_holds_every_buffer_once();
    });
}

/// A caller without a cache breaks a magazine open while a cache takes whole ones.
#[test]
fn single_buffers_beside_magazines() {
    check(|| {
        let shared = Shared::new(4);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            if let Some(taken) = other.take_one() {
                other.depot.put_one(0, taken);
            }
        });
        let taken = shared.take();
        shared.depot.put(0, &taken);
        let one = shared.take_one();
        thread.join().unwrap();
        if let Some(one) = one {
            shared.depot.put_one(0, one);
        }
        shared.assert_holds_every_buffer_once();
    });
}

/// Half-filled magazines use up the spare ones; what finds none becomes loose.
#[test]
fn overflow() {
    check(|| {
        let shared = Shared::new(4);
        let mut held = shared.take();
        held.extend(shared.take());
        let (mine, theirs) = held.split_at(2);
        let (other, theirs) = (Arc::clone(&shared), theirs.to_vec());
        let thread = thread::spawn(move || {
            for buffer in theirs {
                other.use_all(&[buffer]);
                other.depot.put(0, &[buffer]);
            }
        });
        for &buffer in mine {
            shared.use_all(&[buffer]);
            shared.depot.put(0, &[buffer]);
        }
        thread.join().unwrap();
        shared.assert_holds_every_buffer_once();
    });
}

/// Two caches refill from loose buffers while a third caller brings one back.
#[test]
fn loose_buffers() {
    check(|| {
        let shared = Shared::new(2);
        for buffer in shared.take() {
            shared.depot.put_one(0, buffer);
        }
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for buffer in other.take() {
                other.depot.put_one(0, buffer);
            }
        });
        let taken = shared.take();
        thread.join().unwrap();
        shared.depot.put(0, &taken);
        shared.assert_holds_every_buffer_once();
    });
}
