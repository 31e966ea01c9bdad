//! What can be wrong with a message or a run.

use skbpool_deliver::HubError;
use skbpool_nic::{CaptureError, NicError, TrafficError};
use skbpool_pool::{AccountsError, PoolError, ReserveError};
use skbpool_wire::{MAX_FRAME, WireError};

/// A message that nothing was taken of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It contradicts itself, or is none.
    #[error(transparent)]
    Malformed(WireError),
    /// The interface does not fit an skb.
    #[error("FrameBatch.interface is {interface}: number the interfaces from 0 to 65535")]
    Interface {
        /// The number sent.
        interface: u32,
    },
    /// Batches of a stream that may be resumed are missing before it.
    #[error(
        "FrameBatch.sequence is {sequence} where {handled} was handled last: number the batches of a \
         stream with a stream_id without gaps, from 1 or more, and send again those that were not \
         acknowledged"
    )]
    Sequence {
        /// The number sent.
        sequence: u64,
        /// The highest number handled; 0: none was.
        handled: u64,
    },
    /// A frame is over the limit.
    #[error(
        "frame {index} has {length} bytes, more than the limit of {limit}: \
         leave it out or cut it short"
    )]
    FrameTooLarge {
        /// Which frame of the batch, from 0.
        index: usize,
        /// Its bytes.
        length: u32,
        /// Bytes it may have.
        limit: u32,
    },
}

impl From<WireError> for MessageError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::FrameTooLarge { index, length } => {
                Self::FrameTooLarge { index, length, limit: MAX_FRAME }
            }
            error => Self::Malformed(error),
        }
    }
}

/// An emulated card that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NicRunError {
    /// No pool for it.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Too many holders.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// No such card.
    #[error(transparent)]
    Nic(#[from] NicError),
    /// No such traffic.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// The capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No thread to be had.
    #[error("no thread for the card: {0}; raise the limit on processes, or stop some")]
    Thread(#[source] std::io::Error),
}

/// A driver that could not be attached. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum NicDriverError {
    /// The hub has no place for it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Its pool cannot promise what it has out at worst.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// No such card.
    #[error(transparent)]
    Nic(#[from] NicError),
    /// No such traffic.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// The capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No thread to be had.
    #[error("no thread for the card: {0}; raise the limit on processes, or stop some")]
    Thread(#[source] std::io::Error),
}
