//! How many views a consumer may hold, however many drivers deliver to it.

use skbpool_pool::sync::{AtomicU64, Ordering};
use skbpool_pool::{Accounts, Holder, HolderId};
use std::sync::Arc;

/// A consumer's quota. Drivers take credit from it in advance; `granted - released` never exceeds
/// the limit, and what a consumer holds never exceeds what was granted.
#[derive(Debug)]
pub(crate) struct Quota {
    accounts: Arc<Accounts>,
    holder: HolderId,
    limit: u64,
    /// Credit ever granted minus credit ever given back unused, from `base` on; wraps.
    granted: AtomicU64,
    /// What the holder's number had released when the quota began.
    base: u64,
}

impl Quota {
    pub(crate) fn new(holder: &Holder, limit: u32) -> Self {
        let accounts = Arc::clone(holder.accounts());
        let base = accounts.released(holder.id());
        let limit = u64::from(limit);
        Self { accounts, holder: holder.id(), limit, granted: AtomicU64::new(0), base }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Grants up to `wanted` views: as many as the quota leaves, 0 if it is used up.
    ///
    /// One load for each shard of the accounts and one compare-and-swap, so drivers ask for many.
    pub(crate) fn grant(&self, wanted: u64) -> u64 {
        let released = self.accounts.released(self.holder).wrapping_sub(self.base);
        let mut given = 0;
        // Relaxed: a sum of promises; the views themselves are published by the ring.
        let _ = self.granted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |granted| {
            let used = granted.wrapping_sub(released);
            // A release that was counted after `released` was read only makes `used` too large.
            given = self.limit.saturating_sub(used).min(wanted);
            (given != 0).then(|| granted.wrapping_add(given))
        });
        given
    }

    /// Takes back credit that was not used.
    pub(crate) fn give_back(&self, unused: u64) {
        // Relaxed: as in `grant`.
        self.granted.fetch_sub(unused, Ordering::Relaxed);
    }
}
