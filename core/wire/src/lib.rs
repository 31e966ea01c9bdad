//! Frames on the wire: the `FrameBatch` message of `skbpool.v1`, without a protobuf library.
//!
//! [`FrameBatchView::parse`] reads a message where it lies and yields its frames as slices of it;
//! whatever a conforming protobuf implementation may produce is accepted. [`BatchEncoder`] decides
//! which frames go into one message, and [`BatchMessage`] writes that message into memory of
//! exactly its size, copying each payload byte once. `DESIGN.md` has the format and the rules.
//!
//! The crate knows nothing of pools: whatever implements [`EncodeFrame`] can be sent.
#![deny(missing_docs)]

mod decode;
mod encode;
mod error;
mod frame;

pub use decode::batch::FrameBatchView;
pub use decode::frames::Frames;
pub use decode::request::{IngestRequestView, SubscribeResponseView};
pub use encode::batch::{BatchEncoder, BatchLimits, Cut, Pushed};
pub use encode::message::BatchMessage;
pub use encode::output::FrameSink;
pub use encode::response::{DropCount, IngestResponse};
pub use error::{EncodeError, WireError};
pub use frame::{EncodeFrame, Frame};

/// Largest frame on the wire, in bytes: the largest snap length of tcpdump and libpcap
/// (`MAXIMUM_SNAPLEN`).
pub const MAX_FRAME: u32 = 262_144;
