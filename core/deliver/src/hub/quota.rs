//! How much a consumer may hold, however many drivers deliver to it.

use super::quota_events::{QuotaBoard, QuotaEvents};
use crate::sync::{AtomicU64, Ordering};
use skbpool_pool::{Holder, Skb};
use std::sync::Arc;

/// What one call of a driver was granted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Grant {
    /// Frames that it is for.
    pub(crate) frames: usize,
    /// Their views.
    pub(crate) views: u64,
    /// Their truesize, if there is a limit of bytes.
    pub(crate) bytes: u64,
}

/// A consumer's quota, in views and where it was set in bytes by truesize: what it holds and what
/// drivers are about to charge it with never exceed either limit.
#[derive(Debug)]
pub(crate) struct Quota {
    views: Limit,
    bytes: Option<Limit>,
    board: Arc<QuotaBoard>,
}

impl Quota {
    /// A quota of `views` views and `bytes` bytes whose counters begin at `start`.
    pub(crate) fn start_at(views: u32, bytes: Option<u64>, start: u64) -> Self {
        let views = Limit::start_at(u64::from(views), start);
        let bytes = bytes.map(|bytes| Limit::start_at(bytes, start));
        Self { views, bytes, board: QuotaBoard::new() }
    }

    /// A watcher of when it is exceeded, when there is room again, and when that is over.
    pub(crate) fn events(&self) -> QuotaEvents {
        QuotaEvents::new(Arc::clone(&self.board))
    }

    /// Tells the watchers that the consumer was detached.
    pub(super) fn tell_end(&self) {
        self.board.tell_end();
    }

    /// Tells of a refusal, or that half of the quota was free after one.
    #[inline(always)]
    fn note(&self, holder: &Holder, short: bool, grant: &Grant) {
        if short != self.board.is_over() {
            self.cross(holder, short, grant);
        }
    }

    #[cold]
    fn cross(&self, holder: &Holder, short: bool, grant: &Grant) {
        // What is held is asked after what is settled: the other way round is no true ceiling.
        let half_was_free =
            |limit: &Limit, left: u64, granted: u64| left + granted >= limit.limit.div_ceil(2);
        let recovered = || {
            let left = self.views.leaves(|| holder.held().0);
            half_was_free(&self.views, left, grant.views)
                && self.bytes.as_ref().is_none_or(|limit| {
                    let left = limit.leaves(|| holder.held().1);
                    half_was_free(limit, left, grant.bytes)
                })
        };
        if short || recovered() {
            self.board.set_over(short);
        }
    }

    /// Most views.
    pub(crate) fn views(&self) -> u64 {
        self.views.limit
    }

    /// Most bytes, if there is a limit.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.bytes.as_ref().map(|bytes| bytes.limit)
    }

    /// Grants views and bytes of as many of `frames` as both limits leave, in order and as if those that
    /// never fit were not there; returns how many, and tells the rest in `grant`. All that was granted
    /// has to be settled, after what is used of it was charged to `holder`. `chained` says that there may
    /// be chains among them.
    ///
    /// One compare-and-swap, at the ceiling also a sum over the shards of the accounts; with a limit of
    /// bytes both twice.
    #[inline]
    pub(crate) fn fit<'a>(
        &self,
        holder: &Holder,
        frames: impl ExactSizeIterator<Item = &'a Skb> + Clone,
        chained: bool,
        grant: &mut Grant,
    ) -> usize {
        if chained || self.bytes.is_some() {
            return self.fit_sized(holder, frames, grant);
        }
        let wanted = frames.len() as u64;
        let views = self.views.grant(|| holder.held().0, wanted);
        *grant = Grant { frames: views as usize, views, bytes: 0 };
        self.note(holder, views < wanted, grant);
        grant.frames
    }

    /// Views of `wanted` that are granted, for models.
    #[cfg(all(test, loom))]
    pub(crate) fn grant_views(&self, holder: &Holder, wanted: u64) -> u64 {
        let views = self.views.grant(|| holder.held().0, wanted);
        let grant = Grant { frames: views as usize, views, bytes: 0 };
        self.note(holder, views < wanted, &grant);
        views
    }

    /// As [`Quota::fit`], where frames are charged differently.
    #[inline(never)]
    fn fit_sized<'a>(
        &self,
        holder: &Holder,
        frames: impl Iterator<Item = &'a Skb> + Clone,
        grant: &mut Grant,
    ) -> usize {
        let mut frames = frames.filter(|skb| self.may_ever_grant(skb));
        let (views, bytes) = charge(frames.clone());
        let granted_views = self.views.grant(|| holder.held().0, views);
        let granted_bytes = match &self.bytes {
            Some(limit) => {
                let held = || holder.held().1;
                // Private copies are charged more than the views they were made of, which no grant
                // was for: an older ceiling would leave too much.
                limit.raise_ceiling(&held);
                limit.grant(held, bytes)
            }
            None => bytes,
        };
        let mut left = (granted_views, granted_bytes);
        let mut fitting = 0;
        let short = frames.any(|skb| {
            let fits = take_charge(&mut left, skb);
            fitting += usize::from(fits);
            !fits
        });
        let (views, bytes) = left;
        self.settle(views, bytes);
        *grant =
            Grant { frames: fitting, views: granted_views - views, bytes: granted_bytes - bytes };
        // One that never fits does not count as refused.
        self.note(holder, short, grant);
        fitting
    }

    /// Views and bytes that are in the way of granting those of `frames` now that ever fit.
    #[cold]
    pub(crate) fn lacks<'a>(
        &self,
        holder: &Holder,
        frames: impl Iterator<Item = &'a Skb>,
    ) -> (u64, u64) {
        let (views, bytes) = charge(frames.filter(|skb| self.may_ever_grant(skb)));
        let limit = self.bytes.as_ref();
        (
            views.saturating_sub(self.views.leaves(|| holder.held().0)),
            limit.map_or(0, |limit| bytes.saturating_sub(limit.leaves(|| holder.held().1))),
        )
    }

    /// Whether `skb` would not be granted now.
    #[cold]
    pub(crate) fn refuses(&self, holder: &Holder, skb: &Skb) -> bool {
        let refuses = self.views.leaves(|| holder.held().0) < u64::from(skb.views())
            || self
                .bytes
                .as_ref()
                .is_some_and(|bytes| bytes.leaves(|| holder.held().1) < u64::from(skb.truesize()));
        if refuses {
            self.board.set_over(true);
        }
        refuses
    }

    /// Whether `skb` would be granted to a consumer that holds nothing.
    pub(crate) fn may_ever_grant(&self, skb: &Skb) -> bool {
        u64::from(skb.views()) <= self.views.limit
            && self.bytes().is_none_or(|bytes| u64::from(skb.truesize()) <= bytes)
    }

    /// Says that `views` and `bytes` of a grant were charged to the holder, or will not be used.
    #[inline]
    pub(crate) fn settle(&self, views: u64, bytes: u64) {
        self.views.settle(views);
        if let Some(limit) = &self.bytes {
            limit.settle(bytes);
        }
    }
}

/// Views of `frames`, where a chain is one in every buffer it lies in, and their truesize.
pub(crate) fn charge<'a>(frames: impl Iterator<Item = &'a Skb>) -> (u64, u64) {
    frames.fold((0, 0), |(views, bytes), skb| {
        (views + u64::from(skb.views()), bytes + u64::from(skb.truesize()))
    })
}

/// Takes what `skb` is charged from the views and bytes that are `left`, if there is as much.
#[inline]
pub(crate) fn take_charge(left: &mut (u64, u64), skb: &Skb) -> bool {
    let views = left.0.checked_sub(u64::from(skb.views()));
    let rest = views.zip(left.1.checked_sub(u64::from(skb.truesize())));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// One limit: what is held of it and what drivers are about to charge never exceed it together.
///
/// ```text
/// granted - settled   in the hands of drivers: granted, not yet charged to the holder
/// held                charged to the holder and not released, by the accounts
/// ceiling             settled + limit - held, as of some moment: `granted` never passes it
/// ```
/// A ceiling stays true for ever: what is settled only grows, and a release only makes room. So
/// drivers look at the accounts only when the last ceiling is reached. A driver keeps nothing of a
/// grant beyond the call it was made for; one that idles takes nothing from the others.
#[derive(Debug)]
pub(crate) struct Limit {
    limit: u64,
    /// Ever granted; wraps.
    granted: AtomicU64,
    /// Of that, what was charged to the holder or given back unused; wraps.
    settled: AtomicU64,
    /// How far `granted` may go; wraps.
    ceiling: AtomicU64,
}

impl Limit {
    /// A limit whose counters begin at `start`.
    pub(crate) fn start_at(limit: u64, start: u64) -> Self {
        Self {
            // Distances are compared as signed numbers.
            limit: limit.min(i64::MAX as u64 / 2),
            granted: AtomicU64::new(start),
            settled: AtomicU64::new(start),
            ceiling: AtomicU64::new(start),
        }
    }

    /// Grants up to `wanted`: as much as the limit leaves, 0 if it is used up. All that was granted has
    /// to be settled, after what is used of it was charged; `held` tells what is.
    ///
    /// One compare-and-swap; at the ceiling also a call of `held`.
    #[inline]
    pub(crate) fn grant(&self, held: impl Fn() -> u64, wanted: u64) -> u64 {
        // Relaxed: the compare-and-swap below decides.
        let mut granted = self.granted.load(Ordering::Relaxed);
        loop {
            // Relaxed: every ceiling there ever was is a true one.
            let mut left = room(self.ceiling.load(Ordering::Relaxed), granted);
            if left < wanted {
                left = room(self.raise_ceiling(&held), granted);
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

    /// How much would be granted now.
    fn leaves(&self, held: impl Fn() -> u64) -> u64 {
        // Relaxed: an answer about this moment, which is over when it is given.
        let granted = self.granted.load(Ordering::Relaxed);
        room(self.raise_ceiling(&held), granted)
    }

    /// Says that `amount` of a grant was charged to the holder, or will not be used.
    #[inline]
    pub(crate) fn settle(&self, amount: u64) {
        // SYNC: Release pairs with the Acquire of `raise_ceiling`: who sees it settled sees it charged.
        self.settled.fetch_add(amount, Ordering::Release);
    }

    fn raise_ceiling(&self, held: &impl Fn() -> u64) -> u64 {
        // SYNC: Acquire pairs with the Release of `settle`: what is settled here is part of `held`.
        let settled = self.settled.load(Ordering::Acquire);
        let ceiling = settled.wrapping_add(self.limit).wrapping_sub(held());
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
            let quota = Limit::start_at(8, start);
            let held = || holder.held().0;
            for _ in 0..3 {
                assert_eq!(quota.grant(held, 5), 5);
                assert_eq!(quota.grant(held, 5), 3, "granted and not charged is used as well");
                shard.acquire(holder.id(), 6, 6);
                quota.settle(8);
                assert_eq!(quota.grant(held, 5), 2, "what was not used is there again");
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
        let quota = Limit::start_at(4, 0);
        let held = || holder.held().0;
        assert_eq!(quota.grant(held, 4), 4);
        shard.acquire(holder.id(), 4, 4);
        quota.settle(4);
        for _ in 0..10 {
            shard.release(holder.id(), 4, 4);
            shard.acquire(holder.id(), 4, 8);
            assert_eq!(quota.grant(held, 1), 0);
        }
        shard.release(holder.id(), 4, 8);
        assert_eq!(quota.grant(held, 9), 4);
    }
}
