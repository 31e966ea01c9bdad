//! Why somebody could not be attached.

use crate::spsc::RingError;
use skbpool_pool::{AccountsError, AllocError, PoolTooSmall};

/// Why a driver or a consumer could not be attached. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The worst case of all who are attached would exceed the pool.
    #[error(transparent)]
    PoolTooSmall(#[from] PoolTooSmall),
    /// Too many holders.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// Bad ring size.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A quota of nothing.
    #[error("a quota of 0 views lets \"{name}\" receive nothing; give at least 1")]
    NoQuota {
        /// Who asked.
        name: String,
    },
    /// The hub was closed.
    #[error("the hub is closed; nothing can be attached any more")]
    Closed,
    /// The hub's pool is another process's, of which this one is a fork.
    #[error(transparent)]
    ForkedPool(AllocError),
}
