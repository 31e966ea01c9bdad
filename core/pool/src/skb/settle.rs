//! Keeping a holder's account while views come and go one at a time.

use super::Skb;
use crate::account::{Accounts, HolderId, ShardHandle};
use crate::clock;
use crate::pool::{LocalCache, Pool};

impl Skb {
    /// The accounts its holder is registered in: its pool's, or the process's for brought memory.
    #[inline]
    pub(crate) fn with_accounts<R>(&self, use_them: impl FnOnce(&Accounts) -> R) -> R {
        match self.header().index() {
            Some(_) => {
                // SAFETY: a header with an index lies in a pool, which lives while our reference is
                // out.
                let pool = unsafe { Pool::of_header(self.header).as_ref() };
                use_them(pool.accounts())
            }
            #[cfg(not(loom))]
            None => use_them(Accounts::global()),
            #[cfg(loom)]
            None => unreachable!("models use pool memory only"),
        }
    }

    /// Counts the view as given back by its holder, through the shared shard, and makes it nobody's.
    /// Returns who the holder was.
    #[inline]
    pub(crate) fn settle_shared(&mut self) -> HolderId {
        let holder = self.holder();
        if holder != HolderId::NONE {
            let truesize = u64::from(self.truesize());
            self.with_accounts(|accounts| accounts.release_shared(holder, 1, truesize));
            self.set_holder(HolderId::NONE);
        }
        holder
    }

    /// As [`Skb::settle_shared`], through the shard of `cache`, fragments' references included; all
    /// that is left to give back is the reference of the skb's own buffer.
    #[inline]
    pub(crate) fn settle_into(&mut self, cache: &mut LocalCache) {
        if self.holder() != HolderId::NONE || self.birth != 0 {
            let mut settlement = Settlement::new(cache.shard(), self.birth != 0);
            settlement.add(self);
            settlement.finish();
        }
        if let Some(mut fragments) = self.fragments.take() {
            fragments.release(cache);
        }
    }

    /// Counts the view as taken by `holder`, through the shared shard.
    pub(crate) fn charge_shared(&mut self, holder: HolderId) {
        if holder != HolderId::NONE {
            let truesize = u64::from(self.truesize());
            self.with_accounts(|accounts| accounts.acquire_shared(holder, 1, truesize));
            self.set_holder(holder);
        }
    }

    /// Hands the view to `holder`: its last holder's account is settled, the new one's charged, both
    /// through `shard`, which must be of the accounts both are registered in.
    #[inline]
    pub fn hand_to(&mut self, holder: HolderId, shard: &mut ShardHandle) {
        let truesize = u64::from(self.truesize());
        let before = self.holder();
        if before != HolderId::NONE {
            shard.release(before, 1, truesize);
        }
        if holder != HolderId::NONE {
            shard.acquire(holder, 1, truesize);
        }
        self.set_holder(holder);
    }
}

/// Sums what a batch gives back, so that one holder's run costs one count.
pub(super) struct Settlement<'a> {
    shard: &'a mut ShardHandle,
    holder: HolderId,
    views: u64,
    bytes: u64,
    now: u32,
    birth: u32,
    births: u64,
}

impl<'a> Settlement<'a> {
    pub(super) fn new(shard: &'a mut ShardHandle, measured: bool) -> Self {
        let now = if measured { clock::tick() } else { 0 };
        Self { shard, holder: HolderId::NONE, views: 0, bytes: 0, now, birth: 0, births: 0 }
    }

    /// Adds one view that is about to be released.
    #[inline(always)]
    pub(super) fn add(&mut self, skb: &Skb) {
        if skb.holder() != self.holder {
            self.close_holder();
            self.holder = skb.holder();
        }
        self.views += 1;
        self.bytes += u64::from(skb.truesize());
        if skb.birth != self.birth {
            self.close_birth();
            self.birth = skb.birth;
        }
        self.births += 1;
    }

    #[inline]
    fn close_holder(&mut self) {
        if self.holder != HolderId::NONE && self.views != 0 {
            self.shard.release(self.holder, self.views, self.bytes);
        }
        self.views = 0;
        self.bytes = 0;
    }

    #[inline]
    fn close_birth(&mut self) {
        if self.birth != 0 && self.now != 0 && self.births != 0 {
            // The low bit of a tick is always set, so it is no part of the age.
            self.shard.observe_latency(self.now.wrapping_sub(self.birth), self.births);
        }
        self.births = 0;
    }

    #[inline]
    pub(super) fn finish(mut self) {
        self.close_holder();
        self.close_birth();
    }
}
