//! What the daemon and its clients run on, without Python and without gRPC.
//!
//! ```text
//!   IngestRequest ──► Ingest ──────────► hub ──► Subscription ──► SubscribeResponse
//!                     (decode, land,      │                              │
//!   LeaseTable ─────► LeasePort ──────────┘──► StampConsumer             ├─► view_frames
//!                      deliver)                                          └─► CaptureOutput
//!   card and its driver ──► NicRun ────► IngestRequest
//!   card and its driver ──► NicDriver ─► hub
//!   frames of a program ──► FrameComposer ──► IngestRequest
//! ```
//! Each of these handles a whole message or burst at a time. What waits says so: `Subscription::wait`,
//! `NicRun::plan_request` for frames, and whatever ends a thread, for that thread, at most for the delivery
//! it is at (`NicDriver::finish`, `detach` and its drop; the ends of `NicRun` and `StampConsumer`).
//! `DESIGN.md` beside this crate holds the arguments.

#![deny(missing_docs)]

mod adopt;
mod boot;
mod capture_output;
mod card;
mod compose;
mod error;
mod frame;
mod ingest;
mod landing;
mod lease;
mod lease_error;
mod lease_items;
mod lease_slots;
mod lease_table;
mod linger;
#[cfg(all(test, loom))]
mod models;
mod nic_driver;
mod nic_run;
mod progress;
mod sender;
mod skb_encoder;
mod stamps;
mod subscribe;
mod thread;
mod timed;
mod uplink;
mod view;

pub use adopt::{Adoption, AdoptionBudget, Kept};
pub use boot::boot_id;
pub use capture_output::{CaptureFormat, CaptureOutput, CaptureOutputError};
pub use compose::FrameComposer;
pub use error::{MessageError, NicDriverError, NicRunError};
pub use ingest::{DEFAULT_CREDIT_BYTES, Ingest, IngestConfig};
pub use landing::BURST_FRAMES;
pub use lease::{LeaseDelivered, LeasePort};
pub use lease_error::LeaseError;
pub use lease_items::{LeaseHolds, LeaseRange, LeaseView, LeaseWrite};
pub use lease_table::{LeaseTable, LeaseTaken};
pub use nic_driver::{
    DriverTraffic, NicDriver, NicDriverConfig, NicDriverObserver, NicDriverReport,
};
pub use nic_run::{NicObserver, NicReport, NicRun, NicRunConfig, Traffic};
pub use progress::Progress;
pub use sender::PlannedRequest;
pub use stamps::{StampConsumer, StampConsumerError, StampConsumerReport};
pub use subscribe::{PlannedResponse, Subscription, SubscriptionConfig};
pub use view::{ViewError, view_frames};
