//! Who delivers to whom.

mod bell;
mod consumer;
mod control;
mod delivered;
mod error;
#[cfg(not(loom))]
mod forked;
mod link;
mod port;
mod quota;
mod stats;

pub use bell::{Bell, Token};
pub use consumer::Consumer;
pub use control::{ConsumerConfig, DriverConfig, Hub, Policy};
pub use delivered::{Delivered, Drops};
pub use error::HubError;
pub use port::DriverPort;
pub use stats::{ConsumerStats, DriverStats, HubStats};

#[cfg(all(test, loom))]
pub(crate) use {
    bell::Doorbell,
    link::{ConsumerShared, LinkRx, LinkTx, link},
    quota::Quota,
};
