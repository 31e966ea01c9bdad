//! Drop oldest: the newest frames take the place of those that this driver published first.

use super::delivered::Delivered;
use super::ends::RingTx;
use super::link::LinkTx;
use super::misfit::reach;
use super::quota::charge;
use crate::claimed;
use skbpool_pool::{DropReason, LocalCache, Skb, SkbBatch};
use std::ops::Range;

impl LinkTx {
    /// Makes place for the newest of `frames` by taking the oldest out of the ring; returns which fit.
    pub(super) fn fit_newest(
        &mut self,
        frames: &[Skb],
        chained: bool,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> Range<usize> {
        let len = frames.len();
        let RingTx::Claimed(ring) = &mut self.ring else { return 0..0 };
        let (quota, holder) = (&self.shared.quota, &self.shared.holder);
        let even = !self.chained && quota.bytes().is_none();
        // Nothing goes for frames that do not fit an empty ring, or an empty consumer.
        let may_grant = |skb: &Skb| quota.may_ever_grant(skb);
        let newest = frames.iter().rev().filter(|skb| may_grant(skb));
        let mut wanted = newest.take(ring.slots() as usize).count();
        let mut evicted = SkbBatch::new();
        // What was granted so far was for others.
        quota.settle(self.fit.grant.views, self.fit.grant.bytes);
        let fitting = loop {
            let room = (ring.room(wanted as u32) as usize).min(wanted);
            if room < wanted {
                // While the consumer is in the middle of a copy, evicting what follows makes no room.
                let missing = (wanted - room) as u32;
                if ring.is_held_up() || ring.evict(evicted.as_mut_vec(), missing) == 0 {
                    wanted = room;
                } else {
                    self.counters.count_evicted(&mut evicted, cache, delivered);
                    continue;
                }
            }
            let newest = frames.iter().rev();
            let newest = newest.clone().take(reach(newest, wanted, may_grant));
            let granted = quota.fit(holder, newest.clone(), chained, &mut self.fit.grant);
            let fitting = reach(newest.clone(), granted, may_grant);
            if granted == wanted {
                break fitting;
            }
            let missing = quota.lacks(holder, newest.skip(fitting));
            if !evict_charge(ring, &mut evicted, missing, even) {
                break fitting;
            }
            quota.settle(self.fit.grant.views, self.fit.grant.bytes);
            self.counters.count_evicted(&mut evicted, cache, delivered);
        };
        // Why the one in front of them does not.
        let next = frames[..len - fitting].iter().rev().find(|skb| may_grant(skb));
        let is_quota = next.is_some_and(|skb| quota.refuses(holder, skb));
        self.fit.reason = if is_quota { DropReason::Quota } else { DropReason::RingFull };
        len - fitting..len
    }
}

/// Takes as few of the oldest out of `ring` as have `missing` views and bytes, at least one; answers
/// false if there is none. `even` says that each is charged as one view, and bytes have no limit.
fn evict_charge(
    ring: &mut claimed::Enqueue<Skb>,
    into: &mut SkbBatch,
    missing: (u64, u64),
    even: bool,
) -> bool {
    if even {
        return ring.evict(into.as_mut_vec(), u32::try_from(missing.0).unwrap_or(u32::MAX).max(1))
            != 0;
    }
    let (mut views, mut bytes) = (0, 0);
    while into.is_empty() || views < missing.0 || bytes < missing.1 {
        if ring.evict(into.as_mut_vec(), 1) == 0 {
            break;
        }
        let (more, truesize) = charge(into.as_slice().last().into_iter());
        (views, bytes) = (views + more, bytes + truesize);
    }
    !into.is_empty()
}
