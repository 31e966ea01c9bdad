//! Why somebody could not be attached.

use crate::spsc::RingError;
use skbpool_pool::{AccountsError, AllocError, PoolError, PoolTooSmall, ReserveError};

/// Why a driver or a consumer could not be attached. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The worst case of all who are attached would exceed the pool.
    #[error(transparent)]
    PoolTooSmall(PoolTooSmall),
    /// Too many holders.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// Bad ring size, or no memory for a ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A quota of nothing.
    #[error("a quota of 0 views or 0 bytes lets \"{name}\" receive nothing; give at least 1")]
    NoQuota {
        /// Who asked.
        name: String,
    },
    /// A consumer that copies, without memory for a single copy.
    #[error(
        "\"{name}\" copies frames into {bytes} bytes of its own, which is no buffer of {buffer}; give it \
         one at least"
    )]
    NoCopyMemory {
        /// Who asked.
        name: String,
        /// Bytes asked for.
        bytes: u64,
        /// Bytes of a buffer.
        buffer: u32,
    },
    /// The memory for a consumer's copies could not be had.
    #[error("no memory for a consumer's copies: {0}")]
    Copies(#[from] PoolError),
    /// The hub was closed.
    #[error("the hub is closed; nothing can be attached any more")]
    Closed,
    /// The hub's pool is another process's, of which this one is a fork.
    #[error(transparent)]
    ForkedPool(AllocError),
}

impl From<ReserveError> for HubError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::TooSmall(error) => Self::PoolTooSmall(error),
            ReserveError::ForkedPool(error) => Self::ForkedPool(error),
        }
    }
}
