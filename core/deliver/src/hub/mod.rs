//! Who delivers to whom.

mod bell;
mod blocked;
mod config;
mod consumer;
mod control;
mod copies;
mod delivered;
mod ends;
mod error;
mod evict;
#[cfg(not(loom))]
mod forked;
mod link;
mod misfit;
mod port;
mod quota;
mod quota_events;
mod room;
mod shared;
mod stats;

pub use bell::{Bell, Token};
pub use config::{ConsumerConfig, DriverConfig, Policy, RunToCompletion};
pub use consumer::Consumer;
pub use control::Hub;
pub use delivered::{Delivered, Drops};
pub use error::HubError;
pub use port::{DriverObserver, DriverPort};
pub use quota_events::{QuotaEvent, QuotaEvents};
pub use stats::{ConsumerStats, DriverStats, HubStats};

#[cfg(all(test, loom))]
pub(crate) use {
    bell::Doorbell,
    link::{LinkRx, LinkTx, link},
    quota::{Limit, Quota},
    quota_events::QuotaBoard,
    room::Room,
    shared::ConsumerShared,
};
