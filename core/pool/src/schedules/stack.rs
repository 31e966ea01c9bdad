//! The tagged stack between many threads: every index has one owner at a time (I1).

use super::{Payload, together};
use crate::depot::stack::{NIL, TaggedStack};
use crate::sync::{AtomicU32, explore};
use std::sync::Arc;

struct Shared {
    stack: TaggedStack,
    links: Vec<AtomicU32>,
    payload: Payload,
}

/// Each thread takes up to two indices and puts them back in the order that makes ABA likely: the
/// one that was on top first.
fn pops_and_pushes(threads: usize, tag: u64) {
    let count = 3;
    let shared = Arc::new(Shared {
        stack: TaggedStack::new(tag),
        links: (0..count).map(|_| AtomicU32::new(NIL)).collect(),
        payload: Payload::new(count),
    });
    for index in 0..count {
        shared.stack.push(&shared.links, index);
    }
    let part = || -> Box<dyn FnOnce() + Send> {
        let shared = Arc::clone(&shared);
        Box::new(move || {
            for _ in 0..2 {
                let held = [(); 2].map(|()| shared.stack.pop(&shared.links));
                for index in held.into_iter().rev().flatten() {
                    shared.payload.own(index);
                    shared.stack.push(&shared.links, index);
                }
            }
        })
    };
    together((0..threads).map(|_| part()).collect());
    let mut found: Vec<u32> = std::iter::from_fn(|| shared.stack.pop(&shared.links)).collect();
    found.sort_unstable();
    assert_eq!(found, (0..count).collect::<Vec<_>>());
}

#[test]
fn four_threads() {
    explore(|| pops_and_pushes(4, 0));
}

/// I4: with a tag that wraps meanwhile.
#[test]
fn eight_threads_across_a_wrap_of_the_tag() {
    explore(|| pops_and_pushes(8, u64::MAX - 3));
}
