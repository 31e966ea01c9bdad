//! What a depot in four shards costs one thread, which needs one.

use crate::measure::{Failure, Settings, nanoseconds};
use skbpool_pool::SkbBatch;
use std::hint::black_box;

/// Buffers of the pool, as in `buffers`.
const BUFFERS: u32 = 16_384;
const BULK: usize = 32;
const SHARDS: u32 = 4;

/// Bulks of 32 skbs, of which `frames` are held before any is released: up to 256 the cache has them
/// all, beyond that the depot gives and takes magazines.
pub fn held(settings: &Settings, frames: usize) -> Result<f64, Failure> {
    let pool = settings.builder(BUFFERS, 0).depot_shards(SHARDS).build()?;
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

/// One skb straight from the depot and back, each with a look at the processor it runs on.
pub fn alloc_free_uncached_1(settings: &Settings) -> Result<f64, Failure> {
    let pool = settings.builder(BUFFERS, 0).depot_shards(SHARDS).build()?;
    nanoseconds(settings, 1, || {
        drop(black_box(pool.alloc()?.into_empty_skb()));
        Ok(())
    })
}
