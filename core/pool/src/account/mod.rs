//! Who holds what, and why frames were dropped: counters with one writer each.

mod accounts;
mod copies;
mod drops;
mod figures;
mod holder;
#[cfg(not(loom))]
mod sets;
mod shard;
mod watch;

pub use accounts::{Accounts, AccountsError, MAX_HOLDERS, MAX_SHARDS};
pub use copies::{CopyCount, CopyStage};
pub use drops::{DropCount, DropCounters, DropReason};
pub use figures::HolderStats;
pub use holder::{Holder, HolderId, HolderKind};
#[cfg(not(loom))]
pub(crate) use sets::Held;
#[cfg(not(loom))]
pub use sets::MAX_ACCOUNTS;
pub use shard::{LATENCY_BUCKETS, LatencyHistogram, ShardHandle};
pub use watch::OldestAge;
