//! A hub in a forked child (I12): closed, with whole locks and nothing to poll.

use super::control::{Control, Hub};
use super::link::{ConsumerShared, LinkList};
use crate::sync::MutexGuard;
use skbpool_pool::fork::{AtFork, Hold};
use std::sync::Arc;

/// Unlocked in the order of the fields.
struct Held<'h> {
    _links: Vec<MutexGuard<'h, LinkList>>,
    _control: MutexGuard<'h, Control>,
}

impl AtFork for Hub {
    /// As its users lock: the list of who is there, then the list of each consumer's links.
    fn hold(&self) -> Box<dyn Hold + '_> {
        let control = self.control();
        let links = control.everybody().map(|shared| {
            // SAFETY: the lists that own the consumers are locked until after this guard is gone.
            let shared: &ConsumerShared = unsafe { &*Arc::as_ptr(shared) };
            shared.links()
        });
        let links = links.collect();
        Box::new(Held { _links: links, _control: control })
    }

    fn forked(&self) {
        self.refuse();
    }
}
