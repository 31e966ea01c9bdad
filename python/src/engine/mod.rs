//! Classes over `skbpool-engine`, for the daemon, the client and the command line; delivery within the
//! program, and events. One file a class.
//!
//! They let go of the interpreter lock before they take a lock of their own or work on a message, and
//! take it again only afterwards, so that no two threads wait for each other.

pub(crate) mod bell;
pub(crate) mod boot;
pub(crate) mod capture_writer;
pub(crate) mod consumer;
pub(crate) mod decode;
pub(crate) mod driver_port;
mod drops;
pub(crate) mod emulated_nic;
pub(crate) mod failure;
pub(crate) mod frame_encoder;
pub(crate) mod hub;
pub(crate) mod ingest_port;
pub(crate) mod latency;
pub(crate) mod lease_port;
pub(crate) mod lease_table;
mod memory;
pub(crate) mod nic_driver;
mod policy;
pub(crate) mod pool_events;
pub(crate) mod quota_events;
pub(crate) mod rate;
mod slot;
pub(crate) mod stamp_consumer;
pub(crate) mod subscription;
mod watcher;
