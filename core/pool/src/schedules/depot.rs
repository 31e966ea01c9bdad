//! The depot between many threads: no buffer is lost between its stacks (I1).

use super::{Payload, together};
use crate::depot::{CoreGroups, Depot};
use crate::sync::explore;
use std::collections::BTreeSet;
use std::sync::Arc;

struct Shared {
    depot: Depot,
    payload: Payload,
}

impl Shared {
    fn by_magazines(&self, home: usize) {
        for _ in 0..2 {
            let mut into = [0; 2];
            let taken = self.depot.take(home, &mut into);
            into[..taken].iter().for_each(|&buffer| self.payload.own(buffer));
            self.depot.put(home, &into[..taken]);
        }
    }

    fn one_by_one(&self, home: usize) {
        for _ in 0..2 {
            if let Some(buffer) = self.depot.take_one(home) {
                self.payload.own(buffer);
                self.depot.put_one(home, buffer);
            }
        }
    }

    /// Gives magazines back half filled, which uses up the spare ones.
    fn by_halves(&self, home: usize) {
        let mut into = [0; 2];
        let taken = self.depot.take(home, &mut into);
        for &buffer in &into[..taken] {
            self.payload.own(buffer);
            self.depot.put(home, &[buffer]);
        }
    }
}

/// Six threads, taking turns among so many shards, which steal from each other.
fn six_threads(shards: u32, tag: u64) {
    let count = 8;
    let groups = CoreGroups::new(shards, None).unwrap();
    let depot = Depot::new(count, 2, tag, groups);
    let shared = Arc::new(Shared { depot, payload: Payload::new(count) });
    let works = [Shared::by_magazines, Shared::one_by_one, Shared::by_halves];
    let parts = (0..6).map(|thread| -> Box<dyn FnOnce() + Send> {
        let (shared, work) = (Arc::clone(&shared), works[thread % works.len()]);
        Box::new(move || work(&shared, thread % shards as usize))
    });
    together(parts.collect());
    let found = shared.depot.contents();
    assert_eq!(found.len(), count as usize, "{found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), count as usize);
}

#[test]
fn magazines_halves_and_single_buffers() {
    explore(|| six_threads(1, 0));
}

#[test]
fn across_a_wrap_of_the_tags() {
    explore(|| six_threads(1, u64::MAX - 3));
}

#[test]
fn shards_that_steal_from_each_other() {
    explore(|| six_threads(2, 0));
}
