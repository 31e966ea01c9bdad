//! Joins drivers and consumers: batches of skbs go over one single-producer ring for each pair.
//!
//! A [`Hub`] knows who is there. A driver delivers through its [`DriverPort`], which waits for nobody
//! it did not agree to: what a consumer cannot take, because its ring is full or its quota used up, is
//! its own to miss, by its [`Policy`], and counted for it alone (S5). A consumer reads through its [`Consumer`], in place,
//! and releases when it is done.

mod claimed;
mod hub;
#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, shuttle))]
mod schedules;
mod slots;
mod spsc;
mod sync;

pub use hub::{
    Bell, Consumer, ConsumerConfig, ConsumerStats, Delivered, DriverConfig, DriverObserver,
    DriverPort, DriverStats, Drops, Hub, HubError, HubStats, Policy, QuotaEvent, QuotaEvents,
    RunToCompletion, Token,
};
pub use spsc::{Dequeue, Enqueue, MAX_SLOTS, Ring, RingError};
