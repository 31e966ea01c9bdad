//! How many views a consumer may hold, however many drivers deliver to it.

use crate::sync::{AtomicU64, Ordering};
use skbpool_pool::Holder;

/// A consumer's quota: what it holds and what drivers are about to charge it with never exceed the
/// limit together.
///
/// ```text
/// granted - settled   views in the hands of drivers: granted, not yet charged to the holder
/// held                views charged to the holder and not released, by the accounts
/// ceiling             settled + limit - held, as of some moment: `granted` never passes it
/// ```
/// A ceiling stays true for ever: what is settled only grows, and a release only makes room. So
/// drivers look at the accounts only when the last ceiling is reached. A driver keeps nothing of a
/// grant beyond the call it was made for; one that idles takes nothing from the others.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: u64,
    /// Views ever granted; wraps.
    granted: AtomicU64,
    /// Of those, the ones that were charged to the holder or given back unused; wraps.
    settled: AtomicU64,
    /// How far `granted` may go; wraps.
    ceiling: AtomicU64,
}

impl Quota {
    /// A quota of `limit` views whose counters begin at `start`.
    pub(crate) fn start_at(limit: u32, start: u64) -> Self {
        Self {
            limit: u64::from(limit),
            granted: AtomicU64::new(start),
            settled: AtomicU64::new(start),
            ceiling: AtomicU64::new(start),
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Grants up to `wanted` views: as many as the quota leaves, 0 if it is used up. All that was
    /// granted has to be settled, after what is used of it was charged to `holder`.
    ///
    /// One compare-and-swap; at the ceiling also a sum over the shards of the accounts.
    #[inline]
    pub(crate) fn grant(&self, holder: &Holder, wanted: u64) -> u64 {
        // Relaxed: the compare-and-swap below decides.
        let mut granted = self.granted.load(Ordering::Relaxed);
        loop {
            // Relaxed: every ceiling there ever was is a true one.
            let mut left = room(self.ceiling.load(Ordering::Relaxed), granted);
            if left < wanted {
                left = room(self.raise_ceiling(holder), granted);
            }
            let given = left.min(wanted);
            if given == 0 {
                return 0;
            }
            let next = granted.wrapping_add(given);
            // Relaxed: a sum of promises; the views themselves are published by the ring.
            match self.granted.compare_exchange_weak(
                granted,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return given,
                Err(now) => granted = now,
            }
        }
    }

    /// Whether nothing would be granted now.
    #[cold]
    pub(crate) fn is_used_up(&self, holder: &Holder) -> bool {
        // Relaxed: an answer about this moment, which is over when it is given.
        let granted = self.granted.load(Ordering::Relaxed);
        room(self.raise_ceiling(holder), granted) == 0
    }

    /// Says that `views` of a grant were charged to the holder, or will not be used.
    #[inline]
    pub(crate) fn settle(&self, views: u64) {
        // SYNC: Release pairs with the Acquire of `raise_ceiling`: who sees the views settled sees
        // them charged.
        self.settled.fetch_add(views, Ordering::Release);
    }

    fn raise_ceiling(&self, holder: &Holder) -> u64 {
        // SYNC: Acquire pairs with the Release of `settle`: what is settled here is part of `held`.
        let settled = self.settled.load(Ordering::Acquire);
        let (held, _) = holder.held();
        let ceiling = settled.wrapping_add(self.limit).wrapping_sub(held);
        // Relaxed: as in `grant`. A lower one stored over a higher one costs another look.
        self.ceiling.store(ceiling, Ordering::Relaxed);
        ceiling
    }
}

/// How far `granted` is below `ceiling`; 0 if it is not.
#[inline(always)]
fn room(ceiling: u64, granted: u64) -> u64 {
    (ceiling.wrapping_sub(granted) as i64).max(0) as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use skbpool_pool::{Accounts, HolderKind};

    #[test]
    fn grants_what_is_left_and_counts_across_a_wrap() {
        for start in [0, u64::MAX - 3, i64::MAX as u64 - 3] {
            let accounts = Accounts::start_at(start);
            let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
            let mut shard = accounts.shard_handle();
            let quota = Quota::start_at(8, start);
            for _ in 0..3 {
                assert_eq!(quota.grant(&holder, 5), 5);
                assert_eq!(quota.grant(&holder, 5), 3, "granted and not charged is used as well");
                shard.acquire(holder.id(), 6, 6);
                quota.settle(8);
                assert_eq!(quota.grant(&holder, 5), 2, "what was not used is there again");
                quota.settle(2);
                shard.release(holder.id(), 6, 6);
            }
        }
    }

    /// A view may change its charge while its holder keeps it: a chain that is linearized, a view
    /// that is made private.
    #[test]
    fn charging_anew_neither_widens_nor_narrows_the_quota() {
        let accounts = Accounts::new();
        let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
        let mut shard = accounts.shard_handle();
        let quota = Quota::start_at(4, 0);
        assert_eq!(quota.grant(&holder, 4), 4);
        shard.acquire(holder.id(), 4, 4);
        quota.settle(4);
        for _ in 0..10 {
            shard.release(holder.id(), 4, 4);
            shard.acquire(holder.id(), 4, 8);
            assert_eq!(quota.grant(&holder, 1), 0);
        }
        shard.release(holder.id(), 4, 8);
        assert_eq!(quota.grant(&holder, 9), 4);
    }
}
