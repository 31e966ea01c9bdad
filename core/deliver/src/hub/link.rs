//! One driver's connection to one consumer: what fits it, and how it is published.

use super::delivered::Delivered;
use super::ends::{Ends, RingRx, RingTx};
use super::quota::Grant;
use super::shared::{ConsumerShared, LinkCounters};
use skbpool_pool::{Charge, DropReason, LocalCache, Share, Skb, SkbBatch};
use std::ops::Range;
use std::sync::Arc;

/// The driver's end of a link.
#[derive(Debug)]
pub(crate) struct LinkTx {
    /// Dropped first: frames in it are released before the hub can find that nobody has `shared`.
    pub(super) ring: RingTx,
    pub(super) counters: Arc<LinkCounters>,
    pub(crate) shared: Arc<ConsumerShared>,
    /// There may be chains in its ring.
    pub(super) chained: bool,
    /// What was found to fit, until it is published.
    pub(super) fit: Fit,
    /// Copies to be published behind the views.
    pub(super) copied: SkbBatch,
    /// How many views go before each copy; none: the copies come behind all of them.
    pub(super) places: Vec<usize>,
    /// Frames that the driver waits with.
    pub(super) waiting: SkbBatch,
    /// It waited to the end of its time, and the consumer made no room at all.
    pub(super) gave_up: bool,
}

/// The consumer's end of a link.
#[derive(Debug)]
pub(crate) struct LinkRx {
    /// Dropped first, as in [`LinkTx`].
    pub(crate) ring: RingRx,
    counters: Arc<LinkCounters>,
    shared: Arc<ConsumerShared>,
}

/// What of a batch fits a consumer, and why not more.
#[derive(Debug)]
pub(super) struct Fit {
    /// What the quota granted. It has to be settled, for it counts as the consumer's from here on.
    pub(super) grant: Grant,
    /// Frames and bytes that it misses.
    pub(super) refused: (u64, u64),
    pub(super) reason: DropReason,
}

/// Both ends of a new link over a ring.
pub(crate) fn link(shared: &Arc<ConsumerShared>, ring: impl Into<Ends>) -> (LinkTx, LinkRx) {
    let counters = shared.add_link();
    let (shared_tx, shared_rx) = (Arc::clone(shared), Arc::clone(shared));
    let ring = ring.into();
    let tx = LinkTx {
        shared: shared_tx,
        counters: Arc::clone(&counters),
        ring: ring.tx,
        chained: false,
        fit: Fit { grant: Grant::default(), refused: (0, 0), reason: DropReason::RingFull },
        copied: SkbBatch::new(),
        places: Vec::new(),
        waiting: SkbBatch::new(),
        gave_up: false,
    };
    (tx, LinkRx { shared: shared_rx, counters, ring: ring.rx })
}

impl LinkTx {
    /// Finds out what of `batch` the consumer can take now, by its policy, and which frames of it this
    /// link needs views of. What was found has to be published; see [`LinkTx::publish`].
    ///
    /// `chained` says that there may be chains among them, `may_wait` that the driver may be blocked.
    #[inline]
    pub(crate) fn fit(
        &mut self,
        batch: &SkbBatch,
        chained: bool,
        may_wait: bool,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> Range<usize> {
        let frames = batch.as_slice();
        self.chained |= chained;
        let wanted = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let room = self.ring.room(wanted).min(wanted) as usize;
        let granted = self.shared.quota.fit(
            &self.shared.holder,
            frames[..room].iter(),
            chained,
            &mut self.fit.grant,
        );
        self.fit.refused = (0, 0);
        if granted == frames.len() {
            self.gave_up = false;
            return 0..granted;
        }
        self.fit_part(frames, room, chained, may_wait, cache, delivered)
    }

    /// Publishes the views of `share` that fit, and counts what the consumer misses. Answers false if
    /// it has left: then this end has to be dropped, and with it goes whatever lies in the ring.
    #[inline]
    #[must_use]
    pub(crate) fn publish(
        &mut self,
        share: &mut Share,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> bool {
        if self.fit.refused.0 != 0 {
            self.drop_frames(self.fit.reason, self.fit.refused, delivered);
        }
        if share.limited.0 != 0 {
            self.drop_frames(DropReason::SharedLimit, share.limited, delivered);
        }
        // Where some are missing, others that were not granted may make up their number.
        if share.views.len() > self.fit.grant.frames || share.limited.0 != 0 {
            self.sort_out(&mut share.views, cache, delivered);
        }
        delivered.copied += self.copied.len() as u64;
        self.enqueue(&mut share.views, cache, delivered)
    }

    /// Counts frames as offered and dropped.
    #[cold]
    pub(super) fn drop_frames(
        &mut self,
        reason: DropReason,
        (frames, bytes): (u64, u64),
        delivered: &mut Delivered,
    ) {
        self.counters.offered.add(frames);
        self.counters.count_drop(reason, frames, bytes);
        delivered.missed += frames;
        delivered.drops.add(reason, frames, bytes);
    }

    /// Publishes all of `batch`, for which there is room, with the copies behind it, and settles the
    /// grant. Answers as [`LinkTx::publish`].
    #[inline]
    fn enqueue(
        &mut self,
        batch: &mut SkbBatch,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> bool {
        let grant = std::mem::take(&mut self.fit.grant);
        let holder = self.shared.holder.id();
        let Charge { views, mut bytes, .. } = batch.hand_to(holder, cache.shard());
        if views != 0 {
            cache.note_delivered(batch.as_slice(), holder);
        }
        if grant.frames != 0 {
            self.shared.quota.settle(grant.views, grant.bytes);
        }
        if !self.copied.is_empty() {
            bytes += self.copied.bytes();
            self.place_copies(batch);
        }
        let frames = batch.len();
        if frames == 0 {
            return true;
        }
        self.counters.offered.add(frames as u64);
        self.counters.enqueued_bytes.add(bytes);
        self.counters.enqueued.add(frames as u64);
        delivered.published += frames as u64;
        let enqueued = self.ring.enqueue_vec(batch.as_mut_vec());
        debug_assert_eq!(enqueued as usize, frames, "the caller asked `fit` first");
        self.shared.doorbell.press();
        // The fence in `press` pairs with the one in `detach`: either the consumer's last look saw
        // these frames, or we see here that it has left.
        !self.shared.is_detached()
    }

    /// Publishes what fits of the frames that wait, from the first on; `batch` is empty and stays so.
    /// Answers as [`LinkTx::publish`].
    pub(super) fn publish_waiting(
        &mut self,
        batch: &mut SkbBatch,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) -> bool {
        let frames = self.waiting.as_slice();
        let wanted = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let room = self.ring.room(wanted).min(wanted) as usize;
        let (quota, holder) = (&self.shared.quota, &self.shared.holder);
        let granted = quota.fit(holder, frames[..room].iter(), true, &mut self.fit.grant);
        if granted == 0 {
            return !self.shared.is_detached();
        }
        self.gave_up = false;
        batch.extend(self.waiting.as_mut_vec().drain(..granted));
        self.enqueue(batch, cache, delivered)
    }

    /// Gives up the frames that wait, for `reason`.
    pub(super) fn drop_waiting(
        &mut self,
        reason: DropReason,
        cache: &mut LocalCache,
        delivered: &mut Delivered,
    ) {
        if !self.waiting.is_empty() {
            self.drop_frames(reason, sizes(self.waiting.as_slice()), delivered);
            self.waiting.release(cache);
        }
    }

    /// Why the first frame that waits does not fit.
    pub(super) fn waits_for(&self) -> DropReason {
        match self.waiting.as_slice().first() {
            Some(skb) if self.shared.quota.refuses(&self.shared.holder, skb) => DropReason::Quota,
            _ => DropReason::RingFull,
        }
    }

    /// Views of `wanted` that the quota grants, for models.
    #[cfg(all(test, loom))]
    pub(crate) fn grant(&self, wanted: u64) -> u64 {
        self.shared.quota.grant_views(&self.shared.holder, wanted)
    }
}

/// Frames, and their bytes.
pub(super) fn sizes<'a>(frames: impl IntoIterator<Item = &'a Skb>) -> (u64, u64) {
    frames
        .into_iter()
        .fold((0, 0), |(frames, bytes), skb| (frames + 1, bytes + u64::from(skb.len())))
}

impl LinkRx {
    /// Whether the driver has left and everything it published was taken.
    pub(crate) fn is_finished(&mut self) -> bool {
        !self.ring.is_connected() && !self.ring.has_frames()
    }

    /// Releases what lies in the ring.
    pub(crate) fn drain(&mut self) {
        let mut left = Vec::new();
        while self.ring.dequeue(&mut left, 256) != 0 {
            left.clear();
        }
    }
}

impl Drop for LinkRx {
    fn drop(&mut self) {
        // Otherwise the driver may still count; its counters stay listed with the consumer.
        if !self.ring.is_connected() {
            self.shared.fold_link(&self.counters);
        }
    }
}
