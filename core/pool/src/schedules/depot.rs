//! The depot between many threads: no buffer is lost between its stacks (I1).

use super::{Payload, together};
use crate::depot::Depot;
use crate::sync::explore;
use std::collections::BTreeSet;
use std::sync::Arc;

struct Shared {
    depot: Depot,
    payload: Payload,
}

impl Shared {
    fn by_magazines(&self) {
        for _ in 0..2 {
            let mut into = [0; 2];
            let taken = self.depot.take(&mut into);
            into[..taken].iter().for_each(|&buffer| self.payload.own(buffer));
            self.depot.put(&into[..taken]);
        }
    }

    fn one_by_one(&self) {
        for _ in 0..2 {
            if let Some(buffer) = self.depot.take_one() {
                self.payload.own(buffer);
                self.depot.put_one(buffer);
            }
        }
    }

    /// Gives magazines back half filled, which uses up the spare ones.
    fn by_halves(&self) {
        let mut into = [0; 2];
        let taken = self.depot.take(&mut into);
        for &buffer in &into[..taken] {
            self.payload.own(buffer);
            self.depot.put(&[buffer]);
        }
    }
}

fn six_threads(tag: u64) {
    let count = 8;
    let depot = Depot::new(count, 2, tag);
    let shared = Arc::new(Shared { depot, payload: Payload::new(count) });
    let works = [Shared::by_magazines, Shared::one_by_one, Shared::by_halves];
    let parts = works.into_iter().cycle().take(6).map(|work| -> Box<dyn FnOnce() + Send> {
        let shared = Arc::clone(&shared);
        Box::new(move || work(&shared))
    });
    together(parts.collect());
    let found = shared.depot.contents();
    assert_eq!(found.len(), count as usize, "{found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), count as usize);
}

#[test]
fn magazines_halves_and_single_buffers() {
    explore(|| six_threads(0));
}

#[test]
fn across_a_wrap_of_the_tags() {
    explore(|| six_threads(u64::MAX - 3));
}
