//! What becomes of frames that a consumer cannot take now, and of those that it never can.

use super::config::Policy;
use super::copies::Copies;
use super::delivered::Delivered;
use super::link::{LinkTx, sizes};
use super::quota::{charge, take_charge};
use skbpool_pool::{CopyStage, DropReason, LocalCache, Skb, SkbBatch};
use std::ops::Range;

impl LinkTx {
    /// What becomes of a batch of which not all was granted; there are slots for `room` of its frames.
    /// Answers as [`LinkTx::fit`]. Frames that never fit may be in that range: [`LinkTx::sort_out`]
    /// takes them out of what was shared.
    #[cold]
    pub(super) fn fit_part(
        &mut self,
        frames: &[Skb],
        room: usize,
        chained: bool,
        may_wait: bool,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> Range<usize> {
        let (quota, holder) = (&self.shared.quota, &self.shared.holder);
        let may_grant = |skb: &Skb| quota.may_ever_grant(skb);
        // Of single views and without a limit of bytes, each fits an empty consumer.
        let sized = chained || quota.bytes().is_some();
        let mixed = sized && !frames.iter().all(may_grant);
        let mut upto = room;
        if mixed && room < frames.len() {
            // Those that never fit need no slots.
            upto = reach(frames.iter(), room, |skb| self.may_ever_take(skb));
            quota.settle(self.fit.grant.views, self.fit.grant.bytes);
            quota.fit(holder, frames[..upto].iter(), chained, &mut self.fit.grant);
        }
        let granted = self.fit.grant.frames;
        let mut fitting = 0..reach(frames.iter(), granted, may_grant);
        // Frames behind those that fit that were copied or dropped.
        let mut told = 0;
        self.gave_up &= granted == 0;
        // Or only such follow as never fit, for which no policy does anything.
        let short = fitting.end < upto;
        let next = frames[upto..].iter().find(|skb| self.may_ever_take(skb));
        if short || next.is_some() {
            // Where both are in the way, the quota is what the consumer can do something about.
            let refuses = |skb: &Skb| !may_grant(skb) || quota.refuses(holder, skb);
            let is_quota = short || next.is_some_and(refuses);
            self.fit.reason = if is_quota { DropReason::Quota } else { DropReason::RingFull };
            match self.shared.policy {
                Policy::DropNewest => {}
                Policy::DropOldest => fitting = self.fit_newest(frames, chained, cache, delivered),
                // What has no slot lacks neither quota nor memory: with one it might come as a copy.
                Policy::CopyOut { .. } if mixed => self.fit.reason = DropReason::RingFull,
                Policy::CopyOut { .. } => {
                    let copied = self.copy(&frames[granted..room], cache);
                    let lacking = sizes(&frames[granted + copied..room]);
                    if lacking.0 != 0 {
                        self.drop_frames(DropReason::Quota, lacking, delivered);
                    }
                    told = room - granted;
                    self.fit.reason = DropReason::RingFull;
                }
                Policy::Block { .. } if may_wait && !self.gave_up => return 0..frames.len(),
                Policy::Block { .. } => {}
            }
        }
        if mixed && self.shared.copies.is_some() {
            // Copied when they are sorted out, so that each comes in its place.
            fitting = 0..upto;
        }
        let outside = || frames[..fitting.start].iter().chain(&frames[fitting.end + told..]);
        self.fit.refused = sizes(outside().filter(|skb| self.may_ever_take(skb)));
        let never = sizes(outside().filter(|skb| !self.may_ever_take(skb)));
        if never.0 != 0 {
            self.drop_frames(DropReason::Quota, never, delivered);
        }
        fitting
    }

    /// Whether `skb` would come to a consumer that holds nothing, and whose memory for copies is unused.
    fn may_ever_take(&self, skb: &Skb) -> bool {
        self.shared.quota.may_ever_grant(skb)
            || self.shared.copies.as_ref().is_some_and(|copies| copies.may_ever_hold(skb))
    }

    /// Leaves in `views` what was granted. Of the others, which never fit or do not fit now, those that
    /// may wait do, those that there is memory for are copied, and the rest is dropped.
    #[cold]
    pub(super) fn sort_out(
        &mut self,
        views: &mut SkbBatch,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) {
        let quota = &self.shared.quota;
        let blocks = matches!(self.shared.policy, Policy::Block { .. });
        // Copies that were made before are of frames behind all of these.
        let copies = self.shared.copies.as_ref().filter(|_| self.copied.is_empty());
        let mut copying = copies.map(Copies::begin);
        let grant = self.fit.grant;
        let mut left = (grant.views, if quota.bytes().is_some() { grant.bytes } else { u64::MAX });
        let (mut copied, mut dropped) = (SkbBatch::new(), SkbBatch::new());
        for skb in std::mem::take(views) {
            if self.waiting.is_empty() && take_charge(&mut left, &skb) {
                views.push(skb);
                continue;
            }
            if blocks && quota.may_ever_grant(&skb) {
                self.waiting.push(skb);
                continue;
            }
            // What the memory is too small for does not use it up.
            let copying = copying.as_mut().filter(|_| self.may_ever_take(&skb));
            match copying.and_then(|copying| copying.copy(&skb)) {
                Some(copy) => {
                    self.copied.push(copy);
                    self.places.push(views.len());
                    copied.push(skb);
                }
                None => dropped.push(skb),
            }
        }
        if !copied.is_empty() {
            self.charge_copies(cache);
            copied.release(cache);
        }
        if !dropped.is_empty() {
            self.drop_frames(DropReason::Quota, sizes(dropped.as_slice()), delivered);
            dropped.release(cache);
        }
    }

    /// Copies what the quota did not grant, as far as there is memory; returns how many.
    fn copy(&mut self, frames: &[Skb], cache: &mut LocalCache) -> usize {
        let Some(copies) = &self.shared.copies else { return 0 };
        let mut copying = copies.begin();
        self.copied.extend(frames.iter().map_while(|skb| copying.copy(skb)));
        drop(copying);
        self.charge_copies(cache);
        self.copied.len()
    }

    /// Charges the copies to their holder, and counts them.
    fn charge_copies(&mut self, cache: &mut LocalCache) {
        let Some(copies) = &self.shared.copies else { return };
        let (copied, bytes) = (self.copied.len() as u64, self.copied.bytes());
        if copied != 0 {
            let holder = copies.holder.id();
            for skb in self.copied.as_mut_slice() {
                skb.set_holder(holder);
            }
            let (views, truesize) = charge(self.copied.as_slice().iter());
            cache.shard().acquire(holder, views, truesize);
            cache.shard().count_copy(CopyStage::CopyOut, copied, bytes);
            self.counters.copied.add(copied);
            self.counters.copied_bytes.add(bytes);
        }
    }

    /// Puts the copies behind the views, or each in its place among them.
    #[cold]
    #[inline(never)]
    pub(super) fn place_copies(&mut self, views: &mut SkbBatch) {
        if self.places.is_empty() {
            return views.append(&mut self.copied);
        }
        let mut copies = self.places.drain(..).zip(self.copied.drain()).peekable();
        for (at, view) in std::mem::take(views).into_iter().enumerate() {
            while let Some((_, copy)) = copies.next_if(|(place, _)| *place == at) {
                views.push(copy);
            }
            views.push(view);
        }
        views.extend(copies.map(|(_, copy)| copy));
    }
}

/// How many of `frames` to go through for `count` of those that `test`; all, if there are fewer.
pub(super) fn reach<'a>(
    frames: impl ExactSizeIterator<Item = &'a Skb>,
    count: usize,
    test: impl Fn(&Skb) -> bool,
) -> usize {
    let len = frames.len();
    let Some(last) = count.checked_sub(1) else { return 0 };
    frames.enumerate().filter(|(_, skb)| test(skb)).nth(last).map_or(len, |(at, _)| at + 1)
}
