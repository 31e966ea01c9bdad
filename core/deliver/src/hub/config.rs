//! Settings of those who attach.

use super::bell::{Bell, Token};
use skbpool_pool::LocalCache;
use std::sync::Arc;
use std::time::Duration;

/// What happens to frames that a consumer cannot take, because its ring is full or its quota is used
/// up. Decided when frames are published; views that the consumer took are its own.
///
/// A frame that would not fit if the consumer held nothing, a chain of more views than its quota or one of
/// more bytes, is dropped alone whatever the policy, unless memory for copies can hold it: those beside it
/// fare as if it had not been there, and nobody waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The newest are dropped and counted: those that were just to be published.
    #[default]
    DropNewest,
    /// The oldest are dropped and counted as [`Evicted`](skbpool_pool::DropReason::Evicted): those in
    /// the ring of the driver that publishes. What other drivers published, and what the consumer
    /// took, stays; where that uses up the quota, and of what the ring cannot hold at once, the
    /// newest frames of the batch are published and the others dropped. Costs a compare-and-swap a
    /// poll.
    DropOldest,
    /// What the quota does not grant is copied into memory of the consumer's own, and the buffer goes
    /// home. Copies carry [`SkbFlags::COPIED`](skbpool_pool::SkbFlags::COPIED), are charged to a holder
    /// beside the consumer's, and not to its quota. Where that memory is used up too, the newest are
    /// dropped.
    CopyOut {
        /// Bytes of that memory: whole buffers of the size of the pool's, at least one.
        bytes: u64,
    },
    /// The driver waits for the consumer to make room, but no longer than this in one call and no
    /// longer than it allows itself ([`DriverConfig::may_block`]); then the newest are dropped. A
    /// driver that may not be blocked drops at once. A consumer that took nothing while a driver
    /// waited to the end is waited for again when it has made room.
    Block {
        /// The longest wait in one call.
        at_most: Duration,
    },
}

/// A consumer's work, run by whoever delivers to it: to completion, with no thread to wake.
pub trait RunToCompletion: Send + Sync + std::fmt::Debug {
    /// Polls the consumer until nothing is left. Called in each delivery, one that it had no room for
    /// included: before the driver waits for consumers that may block it, and again if it then published
    /// more. `cache` is the driver's, where what is released is at hand for its next burst.
    ///
    /// No lock of the hub's is held; the driver's caller may hold others. Several drivers call it at a
    /// time, so it needs a lock of its own around the consumer, and then they wait for one another. It has
    /// to let go of that before it releases what it took: a free function may deliver through another port,
    /// and so get here again on the same thread.
    fn run(&self, cache: &mut LocalCache);
}

/// Settings of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// Most views it may hold, those in its rings included. Each may pin a whole buffer, so as many
    /// buffers are reserved.
    pub quota: u32,
    /// Most bytes it may hold by truesize, those in its rings included; none: as many as the views
    /// come to.
    pub quota_bytes: Option<u64>,
    /// Slots of each of its rings; 0: as many as the quota, and with [`Policy::CopyOut`] as many again
    /// as its memory has buffers. Rounded up to a power of two.
    pub ring_slots: u32,
    /// What happens to frames it cannot take.
    pub policy: Policy,
    /// The bell that calls it, and its name there; none: a bell of its own.
    pub bell: Option<(Arc<Bell>, Token)>,
    /// Whether it takes frames out of the process, so that they wait for a peer.
    pub outside: bool,
    /// What drivers run when they have delivered; none: it polls by itself.
    pub run: Option<Arc<dyn RunToCompletion>>,
    /// Where ring indices and the quota's counters begin, so that tests see them wrap.
    pub start_index: u32,
}

impl ConsumerConfig {
    /// A consumer that may hold `quota` views and drops the newest.
    pub fn with_quota(quota: u32) -> Self {
        Self {
            quota,
            quota_bytes: None,
            ring_slots: 0,
            policy: Policy::DropNewest,
            bell: None,
            outside: false,
            run: None,
            start_index: 0,
        }
    }
}

/// Settings of a driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriverConfig {
    /// Buffers it has out at worst: its descriptors, what it holds in hand, and its cache.
    pub buffers: u32,
    /// The longest that one delivery may wait for consumers with [`Policy::Block`], all together; 0:
    /// it never waits.
    pub may_block: Duration,
}

impl DriverConfig {
    /// A driver that has `buffers` buffers out at worst and never waits.
    pub fn with_buffers(buffers: u32) -> Self {
        Self { buffers, may_block: Duration::ZERO }
    }
}
