//! What a depot in four shards costs one thread, which needs one.

use crate::buffers::{BUFFERS, held_of, uncached_of};
use crate::measure::{Failure, Settings};
use skbpool_pool::Pool;

const SHARDS: u32 = 4;

fn pool(settings: &Settings) -> Result<Pool, Failure> {
    Ok(settings.builder(BUFFERS, 0).depot_shards(SHARDS).build()?)
}

/// Bulks of 32 skbs, of which `frames` are held before any is released: up to 256 the cache has them
/// all, beyond that the depot gives and takes magazines.
pub fn held(settings: &Settings, frames: usize) -> Result<f64, Failure> {
    held_of(&pool(settings)?, settings, frames)
}

/// One skb straight from the depot and back, each with a look at the processor it runs on.
pub fn alloc_free_uncached_1(settings: &Settings) -> Result<f64, Failure> {
    uncached_of(&pool(settings)?, settings)
}
