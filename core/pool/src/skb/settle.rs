//! Keeping a holder's account while views come and go one at a time.

use super::{Skb, SkbBatch};
use crate::account::{Accounts, Holder, HolderId, ShardHandle};
use crate::clock;
use crate::pool::{LocalCache, Pool};
use crate::provenance::{NOT_LOGGED, TransitionKind, note};
use std::sync::Arc;

impl Skb {
    /// The accounts that its memory belongs to: its pool's, or the process's for brought memory.
    /// Usually its holder is registered there; if not, they find out where.
    #[inline]
    pub(crate) fn with_accounts<R>(&self, use_them: impl FnOnce(&Arc<Accounts>) -> R) -> R {
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

    /// Settles the account of a view that is about to go, through the shared shard: its holder's, and
    /// the latency if its arrival was measured.
    #[inline]
    pub(crate) fn settle_shared(&mut self) {
        if self.birth != 0 {
            let ticks = clock::tick().wrapping_sub(self.birth);
            self.with_accounts(|accounts| accounts.observe_latency_shared(self.holder(), ticks, 1));
        }
        self.give_up_holder();
    }

    /// Counts the view as given back by its holder, through the shared shard, and makes it nobody's.
    #[inline]
    pub(crate) fn give_up_holder(&mut self) {
        let holder = self.holder();
        if holder != HolderId::NONE {
            let (views, bytes) = self.charge();
            self.with_accounts(|accounts| accounts.release_shared(holder, views, bytes));
            self.set_holder(HolderId::NONE);
        }
    }

    /// Changes the view, and then what its holder is charged for: first for what it is now, then no
    /// longer for what it was, so that the holder is never seen to hold less than it does. A view
    /// that `change` moved to memory of accounts in which its holder is not registered becomes
    /// nobody's.
    pub(super) fn recharge(&mut self, change: impl FnOnce(&mut Skb)) {
        let holder = self.holder();
        if holder == HolderId::NONE {
            return change(self);
        }
        let (views, bytes) = self.charge();
        let (accounts, memory) = (self.with_accounts(Arc::clone), self.header);
        self.set_holder(HolderId::NONE);
        change(self);
        if self.header == memory || self.with_accounts(|now| now.has(holder)) {
            let (views, bytes) = self.charge();
            accounts.acquire_shared(holder, views, bytes);
            self.set_holder(holder);
        }
        accounts.release_shared(holder, views, bytes);
    }

    /// What its holder answers for: views and their truesize in bytes, fragments included.
    #[inline(always)]
    fn charge(&self) -> (u64, u64) {
        (u64::from(self.views()), u64::from(self.truesize()))
    }

    /// As [`Skb::settle_shared`], through the shard of `cache`, fragments' references included; all
    /// that is left to give back is the reference of the skb's own buffer.
    #[inline]
    pub(crate) fn settle_into(&mut self, cache: &mut LocalCache) {
        if self.holder() != HolderId::NONE || self.birth != 0 {
            let mut settlement = Settlement::default();
            settlement.add_alike(std::slice::from_ref(self), cache.shard());
            settlement.close(cache.shard());
        }
        if let Some(mut fragments) = self.fragments.take() {
            fragments.release(cache);
        }
    }

    /// Hands the view to `holder`: its last holder's account is settled, the new one's charged, both
    /// through `shard`, or where they are registered if that is of other accounts.
    #[inline]
    pub fn hand_to(&mut self, holder: HolderId, shard: &mut ShardHandle) {
        let (views, bytes) = self.charge();
        let before = self.holder();
        if holder != HolderId::NONE {
            shard.acquire(holder, views, bytes);
        }
        if before != HolderId::NONE {
            shard.release(before, views, bytes);
        }
        self.set_holder(holder);
        self.note_delivered(holder);
    }

    /// As [`Skb::hand_to`], for whoever has no shard of its own: two atomic additions, and two more if it
    /// had a holder.
    pub fn hand_to_shared(&mut self, holder: &Holder) {
        self.charge_to(holder);
        self.note_delivered(holder.id());
    }

    /// As [`Skb::hand_to_shared`], for who made the view itself: no delivery is recorded.
    pub fn charge_to(&mut self, holder: &Holder) {
        let (views, bytes) = self.charge();
        holder.acquire(views, bytes);
        self.give_up_holder();
        self.set_holder(holder.id());
    }

    #[inline(always)]
    fn note_delivered(&self, holder: HolderId) {
        if self.header().logged() != NOT_LOGGED {
            // SAFETY: our reference keeps the header valid.
            unsafe { note(self.header, TransitionKind::Delivered, holder, 1) };
        }
    }
}

/// What a batch is, for whoever answers for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Buffers that its skbs have views of, one for each view.
    pub views: u64,
    /// What those are charged for.
    pub truesize: u64,
    /// Bytes of data.
    pub bytes: u64,
}

impl SkbBatch {
    /// Hands every skb to `holder`: whoever answered for one is settled, `holder` charged for all by
    /// one count, through `shard`, or where they are registered if that is of other accounts.
    #[inline]
    pub fn hand_to(&mut self, holder: HolderId, shard: &mut ShardHandle) -> Charge {
        let mut charge = Charge { views: self.len() as u64, ..Charge::default() };
        for skb in self.as_mut_slice() {
            if (skb.holder != HolderId::NONE.raw()) | skb.fragments.is_some() {
                let before = skb.holder();
                let (views, truesize) = skb.charge();
                if before != HolderId::NONE {
                    shard.release(before, views, truesize);
                }
                charge.views += views - 1;
                charge.truesize += truesize;
                charge.bytes += u64::from(skb.len());
            } else {
                charge.truesize += u64::from(skb.truesize);
                charge.bytes += u64::from(skb.len);
            }
            skb.set_holder(holder);
        }
        if charge.views != 0 && holder != HolderId::NONE {
            shard.acquire(holder, charge.views, charge.truesize);
        }
        charge
    }
}

/// As [`Skb::settle_shared`] for views of one buffer that are about to go: one count for each run of one
/// holder and one arrival, which are fragments' as well.
pub(super) fn settle_run_shared(mut skbs: &[Skb]) {
    while let Some(first) = skbs.first() {
        let (holder, birth) = (first.holder(), first.birth);
        let alike = |skb: &&Skb| skb.holder() == holder && skb.birth == birth;
        let run = skbs.iter().take_while(alike).count();
        if holder != HolderId::NONE || birth != 0 {
            let charges = skbs[..run].iter().map(Skb::charge);
            let (views, bytes) =
                charges.fold((0, 0), |sum, charge| (sum.0 + charge.0, sum.1 + charge.1));
            first.with_accounts(|accounts| {
                if holder != HolderId::NONE {
                    accounts.release_shared(holder, views, bytes);
                }
                if birth != 0 {
                    let ticks = clock::tick().wrapping_sub(birth);
                    accounts.observe_latency_shared(holder, ticks, run as u64);
                }
            });
        }
        skbs = &skbs[run..];
    }
}

/// Sums what a batch gives back, so that one holder's run costs one count. Every call names the same
/// shard.
#[derive(Default)]
pub(super) struct Settlement {
    holder: u16,
    views: u64,
    bytes: u64,
    /// The clock, read once at the first view whose arrival was measured; 0: not yet.
    now: u32,
    birth: u32,
    births: u64,
}

impl Settlement {
    /// Adds the first of `skbs`, which are about to be released, and those that follow it as long as
    /// they are views of the same buffer, of the same holder and arrival, and no chains. Returns how
    /// many that were.
    #[inline(always)]
    pub(super) fn add_alike(&mut self, skbs: &[Skb], shard: &mut ShardHandle) -> usize {
        let first = &skbs[0];
        if first.fragments.is_some() {
            self.add(first, 1, first.charge(), shard);
            return 1;
        }
        let (header, matter) = (first.header, first.matter());
        let (mut alike, mut bytes) = (0, 0);
        for skb in skbs {
            if skb.header != header || skb.matter() != matter || skb.fragments.is_some() {
                break;
            }
            alike += 1;
            bytes += u64::from(skb.truesize);
        }
        self.add(first, alike, (alike, bytes), shard);
        alike as usize
    }

    #[inline(always)]
    fn add(&mut self, skb: &Skb, skbs: u64, charge: (u64, u64), shard: &mut ShardHandle) {
        if skb.holder != self.holder || skb.birth != self.birth {
            // A latency is its holder's too.
            self.close_birth(shard);
            self.birth = skb.birth;
        }
        if skb.holder != self.holder {
            self.close_holder(shard);
            self.holder = skb.holder;
        }
        self.views += charge.0;
        self.bytes += charge.1;
        self.births += skbs;
    }

    #[inline]
    fn close_holder(&mut self, shard: &mut ShardHandle) {
        let holder = HolderId::from_raw(self.holder);
        if holder != HolderId::NONE && self.views != 0 {
            shard.release(holder, self.views, self.bytes);
        }
        self.views = 0;
        self.bytes = 0;
    }

    #[inline]
    fn close_birth(&mut self, shard: &mut ShardHandle) {
        if self.birth != 0 && self.births != 0 {
            if self.now == 0 {
                self.now = shard.tick();
            }
            // The low bit of a tick is always set, so it is no part of the age.
            let holder = HolderId::from_raw(self.holder);
            shard.observe_latency(holder, self.now.wrapping_sub(self.birth), self.births);
        }
        self.births = 0;
    }

    /// Counts what was added and not counted yet.
    #[inline]
    pub(super) fn close(&mut self, shard: &mut ShardHandle) {
        self.close_birth(shard);
        self.close_holder(shard);
    }
}
