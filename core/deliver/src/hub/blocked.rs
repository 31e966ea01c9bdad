//! A driver that waits for a consumer, because both agreed to it.

use super::bell::Deadline;
use super::config::Policy;
use super::control::Hub;
use super::delivered::Delivered;
use super::link::LinkTx;
use skbpool_pool::{DropReason, LocalCache, SkbBatch};

impl LinkTx {
    /// Publishes the frames that wait as the consumer makes room, until none is left, the consumer's
    /// time or `end` is over, the consumer has left, or the hub or its pool was closed; drops the rest.
    /// Answers whether the consumer has left. `scratch` is empty and stays so.
    ///
    /// A consumer that takes something, or looks for something to take, calls. A release calls nobody:
    /// it is seen when the driver looks again, within a millisecond.
    pub(super) fn wait_for_room(
        &mut self,
        hub: &Hub,
        end: Deadline,
        scratch: &mut SkbBatch,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> bool {
        let Policy::Block { at_most } = self.shared.policy else { return false };
        let own = Deadline::after(at_most);
        let before = delivered.published;
        let why = loop {
            let published = delivered.published;
            if self.shared.is_detached() || !self.publish_waiting(scratch, cache, delivered) {
                break DropReason::Detached;
            }
            if self.waiting.is_empty() {
                return false;
            }
            if delivered.published != published
                && let Some(run) = &self.shared.run
            {
                // Nobody but drivers makes room.
                run.run(cache);
                continue;
            }
            if hub.is_closed() || hub.pool().is_closed() {
                break DropReason::Closed;
            }
            let left = own.left().min(end.left());
            if left.is_zero() {
                self.gave_up = delivered.published == before;
                break self.waits_for();
            }
            self.counters.waits.add(1);
            self.shared.room.wait(left);
        };
        self.drop_waiting(why, cache, delivered);
        self.shared.is_detached()
    }
}

#[cfg(all(test, shuttle))]
impl Hub {
    /// What time does for drivers that wait, in schedules, where none passes.
    pub(crate) fn let_look_again(&self) {
        self.control().everybody().for_each(|consumer| consumer.room.call());
    }
}
