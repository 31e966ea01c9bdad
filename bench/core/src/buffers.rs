//! Buffers, skbs and views through a local cache, beside DPDK's mempool and mbuf.

use crate::measure::{Failure, Settings, nanoseconds};
use skbpool_pool::{
    Armed, Buffer, BufferHeader, Free, LocalCache, Owner, Pool, Skb, SkbBatch, SkbError,
    init_zero_copy_buffer,
};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::NonNull;

/// Buffers of the pool: as many as the peer's pools have.
pub const BUFFERS: u32 = 32_767;
/// Buffers that are held at most.
const HELD: usize = 16_384;
/// Skbs of a bulk, views of a buffer.
const BULK: usize = 32;
/// Bytes between views, and bytes of each.
const STRIDE: u32 = 2000;
const VIEW: u32 = 1500;

/// One skb at a time, with its metadata reset.
pub fn alloc_free_1(settings: &Settings) -> Result<f64, Failure> {
    let mut cache = settings.pool(BUFFERS, 0)?.local_cache();
    nanoseconds(settings, 1, || {
        let mut skb = cache.alloc()?.into_empty_skb();
        black_box(&mut skb);
        cache.release(skb);
        Ok(())
    })
}

/// The same in bulks.
pub fn alloc_free_bulk32(settings: &Settings) -> Result<f64, Failure> {
    held(settings, BULK)
}

/// In bulks, with 1,024 held before any is released: four caches full.
pub fn alloc_free_held_1024(settings: &Settings) -> Result<f64, Failure> {
    held(settings, 1024)
}

/// In bulks, with 16,384 held before any is released.
pub fn alloc_free_held_16384(settings: &Settings) -> Result<f64, Failure> {
    held(settings, HELD)
}

fn held(settings: &Settings, frames: usize) -> Result<f64, Failure> {
    held_of(&settings.pool(BUFFERS, 0)?, settings, frames)
}

/// In bulks from `pool`, with `frames` held before any is released.
#[inline(always)]
pub fn held_of(pool: &Pool, settings: &Settings, frames: usize) -> Result<f64, Failure> {
    let mut cache = pool.local_cache();
    let mut batches: Vec<_> = (0..frames / BULK)
        .map(|_| SkbBatch::with_capacity(BULK))
        .collect();
    nanoseconds(settings, frames as u64, || {
        for batch in &mut batches {
            cache.alloc_batch(BULK, batch)?;
            black_box(&mut *batch);
        }
        for batch in &mut batches {
            batch.release(&mut cache);
        }
        Ok(())
    })
}

/// Bulks of 32 with half of a pool of so many buffers held, released in the order they were had: each
/// header and descriptor is as cold as a pool of that size makes it.
pub fn pool_of(settings: &Settings, buffers: u32) -> Result<f64, Failure> {
    // Their bytes are not touched; huge pages would be a gibibyte and more.
    let pages = Settings {
        huge: settings.huge && buffers <= 16_384,
        ..*settings
    };
    let mut cache = pages.pool(buffers, 0)?.local_cache();
    let mut held: Vec<_> = (0..buffers as usize / 2 / BULK)
        .map(|_| SkbBatch::with_capacity(BULK))
        .collect();
    let mut oldest = 0;
    nanoseconds(settings, BULK as u64, || {
        let batch = &mut held[oldest];
        batch.release(&mut cache);
        cache.alloc_batch(BULK, batch)?;
        oldest = if oldest + 1 == held.len() {
            0
        } else {
            oldest + 1
        };
        Ok(())
    })
}

/// A second view of a buffer and its release.
pub fn clone_free_1(settings: &Settings) -> Result<f64, Failure> {
    let mut cache = settings.pool(BUFFERS, 0)?.local_cache();
    let mut skb = cache.alloc()?.into_empty_skb();
    skb.put(VIEW)?;
    nanoseconds(settings, 1, || {
        let mut clone = black_box(&skb).clone_skb()?;
        black_box(&mut clone);
        cache.release(clone);
        Ok(())
    })
}

/// Bare objects: free buffers out of the cache and back.
pub fn object_get_put_bulk32(settings: &Settings) -> Result<f64, Failure> {
    let pool = settings.pool(BUFFERS, 0)?;
    let (mut cache, mut free) = (pool.local_cache(), pool.free_buffers(BULK));
    nanoseconds(settings, BULK as u64, || {
        cache.get_bulk(BULK, &mut free)?;
        black_box(&mut free);
        cache.put_bulk(&mut free);
        Ok(())
    })
}

/// Memory that a caller brings, over and over; counts how often it was freed.
struct Brought {
    memory: NonNull<u8>,
    freed: Box<u64>,
}

impl Brought {
    const BYTES: usize = 65_536 + 64;
    const LAYOUT: Layout = match Layout::from_size_align(Self::BYTES, 64) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn new() -> Self {
        // SAFETY: the layout has a size.
        let memory = NonNull::new(unsafe { alloc_zeroed(Self::LAYOUT) }).expect("64 KiB");
        Self {
            memory,
            freed: Box::new(0),
        }
    }

    /// Writes the header and arms it for a bulk of views.
    #[inline(always)]
    fn arm(&mut self) -> Result<Armed, Failure> {
        unsafe extern "C" fn count(_: *mut BufferHeader, freed: *mut c_void) {
            // SAFETY: it is the count of whoever armed this, which is used by one thread.
            unsafe { *freed.cast::<u64>() += 1 };
        }
        let context = NonNull::from(&mut *self.freed).as_ptr().cast();
        // SAFETY: the count outlives every view, and views stay on this thread.
        let free = unsafe { Free::function(count, context) };
        // SAFETY: the memory is that large; the views of the last time are gone.
        let buffer =
            unsafe { init_zero_copy_buffer(self.memory, Self::BYTES, 4, free, Owner::nobody())? };
        Ok(buffer.arm(BULK as u32).map_err(|(error, _)| error)?)
    }

    fn check(&self, expected: u64) -> Result<(), Failure> {
        if *self.freed == expected {
            return Ok(());
        }
        Err(format!("freed {} times instead of {expected}", self.freed).into())
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and no view is left.
        unsafe { dealloc(self.memory.as_ptr(), Self::LAYOUT) };
    }
}

#[inline(always)]
fn view(armed: &mut Armed, number: usize) -> Result<Skb, SkbError> {
    armed.skb(number as u32 * STRIDE, VIEW)
}

/// Views of one brought buffer, made and released as a batch, its free function called each time.
pub fn views_of_one_buffer_32(settings: &Settings) -> Result<f64, Failure> {
    views(settings, |batch, cache| batch.release(cache))
}

/// The same, each view released by a call of its own.
pub fn views_released_singly_32(settings: &Settings) -> Result<f64, Failure> {
    views(settings, |batch, cache| {
        batch.drain().for_each(|skb| cache.release(skb))
    })
}

#[inline(always)]
fn views(
    settings: &Settings,
    mut release: impl FnMut(&mut SkbBatch, &mut LocalCache),
) -> Result<f64, Failure> {
    let mut cache = settings.pool(BUFFERS, 0)?.local_cache();
    let (mut brought, mut batch) = (Brought::new(), SkbBatch::with_capacity(BULK));
    let mut times = 0;
    let result = nanoseconds(settings, BULK as u64, || {
        let mut armed = brought.arm()?;
        for number in 0..BULK {
            batch.push(view(&mut armed, number)?);
        }
        black_box(&mut batch);
        release(&mut batch, &mut cache);
        times += 1;
        Ok(())
    })?;
    brought.check(times)?;
    Ok(result)
}

/// 32 views of each of 32 brought buffers, released in batches that hold one view of each.
pub fn views_interleaved_32(settings: &Settings) -> Result<f64, Failure> {
    let mut cache = settings.pool(BUFFERS, 0)?.local_cache();
    let mut brought: Vec<_> = (0..BULK).map(|_| Brought::new()).collect();
    let mut batches: Vec<_> = (0..BULK).map(|_| SkbBatch::with_capacity(BULK)).collect();
    let mut times = 0;
    let result = nanoseconds(settings, (BULK * BULK) as u64, || {
        for memory in &mut brought {
            let mut armed = memory.arm()?;
            for (number, batch) in batches.iter_mut().enumerate() {
                batch.push(view(&mut armed, number)?);
            }
        }
        for batch in &mut batches {
            black_box(&mut *batch).release(&mut cache);
        }
        times += 1;
        Ok(())
    })?;
    brought.iter().try_for_each(|memory| memory.check(times))?;
    Ok(result)
}

/// One buffer without a view of it.
pub fn buffer_1(settings: &Settings) -> Result<f64, Failure> {
    let mut cache = settings.pool(BUFFERS, 0)?.local_cache();
    nanoseconds(settings, 1, || {
        let mut buffer: Buffer = cache.alloc()?;
        black_box(&mut buffer);
        cache.release_buffer(buffer);
        Ok(())
    })
}

/// One skb straight from the depot and back, without a cache.
pub fn alloc_free_uncached_1(settings: &Settings) -> Result<f64, Failure> {
    uncached_of(&settings.pool(BUFFERS, 0)?, settings)
}

/// One skb at a time straight from the depot of `pool` and back.
#[inline(always)]
pub fn uncached_of(pool: &Pool, settings: &Settings) -> Result<f64, Failure> {
    nanoseconds(settings, 1, || {
        drop(black_box(pool.alloc()?.into_empty_skb()));
        Ok(())
    })
}
