//! The two kinds of rings, as a link sees them.

use crate::{claimed, spsc};
use skbpool_pool::Skb;

/// Where a driver publishes.
#[derive(Debug)]
pub(crate) enum RingTx {
    Plain(spsc::Enqueue<Skb>),
    /// The driver may take the oldest back.
    Claimed(claimed::Enqueue<Skb>),
}

/// Where a consumer takes.
#[derive(Debug)]
pub(crate) enum RingRx {
    Plain(spsc::Dequeue<Skb>),
    Claimed(claimed::Dequeue<Skb>),
}

impl RingTx {
    /// Empty slots, at least: looks at the consumer's index only if fewer than `wanted` are known.
    #[inline(always)]
    pub(crate) fn room(&mut self, wanted: u32) -> u32 {
        match self {
            Self::Plain(ring) => ring.room(wanted),
            Self::Claimed(ring) => ring.room(wanted),
        }
    }

    /// Moves values from the front of `values` into the ring; returns how many.
    #[inline(always)]
    pub(crate) fn enqueue_vec(&mut self, values: &mut Vec<Skb>) -> u32 {
        match self {
            Self::Plain(ring) => ring.enqueue_vec(values),
            Self::Claimed(ring) => ring.enqueue_vec(values),
        }
    }
}

impl RingRx {
    /// Moves up to `at_most` skbs to the end of `into`; returns how many.
    #[inline(always)]
    pub(crate) fn dequeue(&mut self, into: &mut Vec<Skb>, at_most: u32) -> u32 {
        match self {
            Self::Plain(ring) => ring.dequeue(into, at_most),
            Self::Claimed(ring) => ring.dequeue(into, at_most),
        }
    }

    /// Whether there is something to take.
    #[inline(always)]
    pub(crate) fn has_frames(&mut self) -> bool {
        match self {
            Self::Plain(ring) => ring.filled(1) != 0,
            Self::Claimed(ring) => ring.filled() != 0,
        }
    }

    /// Whether the driver's end still exists; if not, what is there is all.
    #[inline(always)]
    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Plain(ring) => ring.is_connected(),
            Self::Claimed(ring) => ring.is_connected(),
        }
    }
}

impl From<(spsc::Enqueue<Skb>, spsc::Dequeue<Skb>)> for Ends {
    fn from((tx, rx): (spsc::Enqueue<Skb>, spsc::Dequeue<Skb>)) -> Self {
        Self { tx: RingTx::Plain(tx), rx: RingRx::Plain(rx) }
    }
}

impl From<(claimed::Enqueue<Skb>, claimed::Dequeue<Skb>)> for Ends {
    fn from((tx, rx): (claimed::Enqueue<Skb>, claimed::Dequeue<Skb>)) -> Self {
        Self { tx: RingTx::Claimed(tx), rx: RingRx::Claimed(rx) }
    }
}

/// Both ends of one ring.
pub(crate) struct Ends {
    pub(crate) tx: RingTx,
    pub(crate) rx: RingRx,
}
