//! Allocating many buffers at once from a cache.

use super::cache::LocalCache;
use super::error::AllocError;
use super::inner::PoolInner;
use crate::buffer::Buffer;
use crate::header::BufferHeader;
#[cfg(target_arch = "x86_64")]
use crate::skb::{ByLines, has_lines};
use crate::skb::{ByWords, Skb, SkbBatch, WriteSkb};
use std::panic::Location;
use std::ptr::NonNull;

/// Free headers, the last released first.
type FreeHeaders<'a> =
    std::iter::Copied<std::iter::Rev<std::slice::Iter<'a, NonNull<BufferHeader>>>>;

impl LocalCache {
    /// Appends `count` buffers to `into`: all or none. Never blocks.
    ///
    /// # Errors
    /// As [`LocalCache::alloc`]; `into` is as it was.
    #[inline]
    #[track_caller]
    pub fn alloc_bulk(&mut self, count: usize, into: &mut Vec<Buffer>) -> Result<(), AllocError> {
        let before = into.len();
        self.take_bulk(count, |free, more| {
            into.reserve(more);
            // SAFETY: they came from the free list.
            into.extend(free.map(|header| unsafe { PoolInner::hand_out(header) }));
        })
        .map_err(|error| self.take_back(error, into.drain(before..).map(Buffer::into_empty_skb)))
    }

    /// Appends `count` skbs without data, each the only view of a buffer, to `into`: all or none.
    /// Never blocks. What [`LocalCache::alloc_bulk`] and [`Buffer::into_empty_skb`] do, in one step.
    ///
    /// # Errors
    /// As [`LocalCache::alloc`]; `into` is as it was.
    #[inline]
    #[track_caller]
    pub fn alloc_batch(&mut self, count: usize, into: &mut SkbBatch) -> Result<(), AllocError> {
        #[cfg(target_arch = "x86_64")]
        if has_lines() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.alloc_by_lines(count, into) };
        }
        self.alloc_skbs(ByWords, count, into)
    }

    /// # Safety
    /// - `has_lines`.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    #[track_caller]
    unsafe fn alloc_by_lines(
        &mut self,
        count: usize,
        into: &mut SkbBatch,
    ) -> Result<(), AllocError> {
        // SAFETY: as the caller promises.
        self.alloc_skbs(unsafe { ByLines::new() }, count, into)
    }

    #[inline(always)]
    #[track_caller]
    fn alloc_skbs(
        &mut self,
        writer: impl WriteSkb,
        count: usize,
        into: &mut SkbBatch,
    ) -> Result<(), AllocError> {
        let size = self.pool.buffer_bytes();
        let before = into.len();
        self.take_bulk(count, |free, more| {
            let write = |place: *mut Skb, header| {
                // SAFETY: it came from the free list; its only reference becomes the skb's, which is
                // written to where the batch says.
                unsafe { writer.blank(place, PoolInner::hand_out(header).into_raw(), size) };
            };
            // SAFETY: each call writes an skb.
            unsafe { into.extend_by(more, free, write) };
        })
        .map_err(|error| self.take_back(error, into.as_mut_vec().drain(before..)))
    }

    /// Hands `count` free headers to `append`, in parts, each with how many are still to come, itself
    /// included. On an error some may have been handed out.
    #[inline(always)]
    #[track_caller]
    fn take_bulk(
        &mut self,
        count: usize,
        mut append: impl FnMut(FreeHeaders<'_>, usize),
    ) -> Result<(), AllocError> {
        if self.is_signalled() {
            self.check_open()?;
        }
        if count > self.pool.count() as usize {
            self.slot.count_empty();
            return Err(self.pool.inner().exhausted());
        }
        let mut missing = count;
        while missing != 0 {
            let mut counted = 0;
            if self.cached() == 0 || self.is_signalled() {
                counted = self.prepare_alloc()?;
            }
            let cached = self.cached();
            let now = missing.min(cached);
            let rest = cached - now;
            append(self.items[rest..][..now].iter().rev().copied(), missing);
            let count = self.slot.count_alloc(now as u64 - counted, rest);
            if self.sampler.is_due(count) {
                self.record(now, count, Location::caller());
            }
            missing -= now;
        }
        Ok(())
    }
}
