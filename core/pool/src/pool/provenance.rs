//! Recording allocations as they happen.

use super::cache::LocalCache;
use super::handle::Pool;
use super::inner::PoolInner;
use crate::account::HolderId;
use crate::buffer::Buffer;
use crate::header::BufferHeader;
use crate::provenance::{
    LOGGED_FULL, Log, Mode, NOT_LOGGED, Provenance, Site, TransitionKind, is_sampled, note_runs,
};
use crate::skb::Skb;
use crate::sync::{Ordering, fence};
use std::panic::Location;
use std::ptr::NonNull;

impl Pool {
    /// Switches the recording of allocations. Takes effect in a cache at its next allocation or release.
    ///
    /// The first time it is switched on, 64 bytes a buffer are allocated, which stay until the pool goes.
    /// Caches give back what they hold at their next release, as after [`Pool::reclaim`].
    pub fn set_provenance(&self, provenance: Provenance) {
        let (inner, mode) = (self.inner(), Mode::from(provenance));
        if inner.log.mode() != mode {
            let slots = inner.slots();
            inner.log.switch(mode, inner.headers.len());
            drop(slots);
            // SYNC: Release fence pairs with the Acquire fence of `Log::mode_signalled`: a cache that sees
            // the call sees the mode.
            fence(Ordering::Release);
            self.reclaim();
        }
    }

    /// Which allocations are recorded.
    pub fn provenance(&self) -> Provenance {
        self.inner().log.mode().into()
    }

    /// Names the site where `buffer` was allocated and whom it is for, for callers whose own call site says
    /// nothing: an interpreter's frame, say. Nothing, and `site` is not asked, unless the allocation was
    /// recorded; else it takes a lock. Nobody is charged. Answers whether it was recorded.
    pub fn name_origin(buffer: &Buffer, holder: HolderId, site: impl FnOnce() -> Site) -> bool {
        let header = buffer.header();
        let Some(index) = header.index() else { return false };
        if header.logged() == NOT_LOGGED {
            return false;
        }
        // SAFETY: a header with an index is a pool's, which lives while the buffer is out.
        let inner = unsafe { Pool::of_header(NonNull::from(header)).as_ref() };
        inner.log.has(index, header.generation())
            && inner.log.name_origin(index, header.generation(), holder, site())
    }

    /// The records.
    pub(crate) fn log(&self) -> &Log {
        &self.inner().log
    }

    /// The headers of its buffers.
    pub(crate) fn headers(&self) -> &[BufferHeader] {
        &self.inner().headers
    }
}

impl PoolInner {
    /// The records.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Records an allocation that a counter without a sampler gave the number `count`, if it is to be.
    #[inline]
    pub(super) fn record_if_sampled(
        &self,
        buffer: &Buffer,
        count: u64,
        site: &'static Location<'static>,
    ) {
        let mode = self.log.mode();
        if !mode.is_off() && is_sampled(mode, count) {
            self.record(buffer.header(), mode, site, HolderId::NONE);
        }
    }

    /// Begins the record of a buffer that was just handed out, and nobody else knows yet.
    #[cold]
    fn record(
        &self,
        header: &BufferHeader,
        mode: Mode,
        site: &'static Location<'static>,
        holder: HolderId,
    ) {
        let index = header.index;
        header.set_logged(self.log.begin(mode, index, header.generation(), site, holder));
    }
}

impl LocalCache {
    /// Names who the buffers are for that are allocated through this cache, in leak reports only. It is
    /// not charged; a delivery names another.
    pub fn set_allocates_for(&mut self, holder: HolderId) {
        self.allocates_for = holder;
    }

    /// Notes that views were handed to `holder`, of buffers whose allocation was recorded. Whoever
    /// charges a batch to a holder calls it once; while provenance is off it costs one comparison.
    #[inline(always)]
    pub fn note_delivered(&self, skbs: &[Skb], holder: HolderId) {
        if self.may_be_recorded() {
            note_runs(skbs, |logged| logged != NOT_LOGGED, TransitionKind::Delivered, Some(holder));
        }
    }

    /// Whether it is worth to look at headers for records: not while provenance is off.
    #[inline(always)]
    pub(crate) fn may_be_recorded(&self) -> bool {
        !self.sampler.mode().is_off()
    }

    /// Notes that views are about to be released, in full mode.
    #[inline(always)]
    pub(crate) fn note_released(&self, skbs: &[Skb]) {
        if self.sampler.mode().is_full() {
            note_runs(skbs, |logged| logged == LOGGED_FULL, TransitionKind::Released, None);
        }
    }

    /// Takes over the pool's mode, if it changed.
    #[cold]
    pub(super) fn heed_provenance(&mut self) {
        let mode = self.pool.inner().log.mode_signalled();
        if mode != self.sampler.mode() {
            self.sampler.switch(mode, self.slot.allocs());
        }
    }

    /// Records those of the last `taken` allocations that are due. Their headers are still where they
    /// were: `items[len..][..taken]`, the last one first.
    #[cold]
    #[inline(never)]
    pub(super) fn record(&mut self, taken: usize, count: u64, site: &'static Location<'static>) {
        let mode = self.sampler.mode();
        while let Some(behind) = self.sampler.take(count) {
            if behind >= taken as u64 {
                continue;
            }
            let header = self.items[self.cached() + behind as usize];
            // SAFETY: it is one of this pool's, which the cache keeps alive.
            let header = unsafe { header.as_ref() };
            self.pool.inner().record(header, mode, site, self.allocates_for);
        }
    }
}
