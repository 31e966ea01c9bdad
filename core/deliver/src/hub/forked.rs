//! A hub in a forked child (I12): closed, with whole locks and nothing to poll.

use super::control::{Control, Hub};
use super::shared::{ConsumerShared, LinkList};
use crate::sync::MutexGuard;
use skbpool_pool::fork::{AtFork, Hold};
use std::sync::Arc;

/// Unlocked in the order of the fields.
struct Held<'h> {
    _rooms: Vec<MutexGuard<'h, ()>>,
    _links: Vec<MutexGuard<'h, LinkList>>,
    _control: MutexGuard<'h, Control>,
}

impl AtFork for Hub {
    /// As its users lock: the list of who is there, then the list of each consumer's links; where
    /// drivers wait for a consumer, alone.
    fn hold(&self) -> Box<dyn Hold + '_> {
        let control = self.control();
        let (links, rooms) = control
            .everybody()
            .map(|shared| {
                // SAFETY: the lists that own the consumers are locked until after these guards are
                // gone.
                let shared: &ConsumerShared = unsafe { &*Arc::as_ptr(shared) };
                (shared.links(), shared.room.parking())
            })
            .unzip();
        Box::new(Held { _rooms: rooms, _links: links, _control: control })
    }

    fn forked(&self) {
        self.refuse();
    }
}
