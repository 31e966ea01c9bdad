//! Many threads on two cores, and what keeping accounts costs.

use crate::measure::{Failure, Settings, nanoseconds, thread_ns};
use rustix::thread::{CpuSet, sched_setaffinity};
use skbpool_pool::{HolderKind, Provenance, RxFrame, SkbBatch};
use std::hint::black_box;
use std::sync::Barrier;

/// Skbs that each thread holds before it releases them: twice what a cache holds, so that half of them
/// go through the depot.
const HELD: usize = 512;
const BULK: usize = 32;

/// Millions of skbs allocated and released a second of processor time, by `threads` threads together
/// on both cores. No call in it sleeps, so what a thread wastes waiting for another shows.
pub fn threads(settings: &Settings, threads: usize) -> Result<f64, Failure> {
    let pool = settings.pool(32_768, 0)?;
    let start = Barrier::new(threads);
    let length_ns = (settings.seconds * 2e9 / threads as f64) as u64;
    let run = || {
        let mut both = CpuSet::new();
        settings.cores.iter().for_each(|&core| both.set(core));
        sched_setaffinity(None, &both)?;
        let mut cache = pool.local_cache();
        let mut batches: Vec<_> = (0..HELD / BULK)
            .map(|_| SkbBatch::with_capacity(BULK))
            .collect();
        start.wait();
        let (begin, mut done) = (thread_ns(), 0);
        loop {
            for _ in 0..16 {
                for batch in &mut batches {
                    cache.alloc_batch(BULK, batch)?;
                }
                for batch in &mut batches {
                    batch.release(&mut cache);
                }
                done += HELD;
            }
            let took = thread_ns() - begin;
            if took >= length_ns {
                return Ok::<_, Failure>((done, took));
            }
        }
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let (mut done, mut took) = (0, 0);
        for thread in all {
            let (its_done, its_took) = thread.join().map_err(|_| "a thread panicked")??;
            done += its_done;
            took += its_took;
        }
        Ok(done as f64 * 1e3 / took as f64)
    })
}

const FRAME: u32 = 64;
const VIEWS: u32 = 256;

/// 64-byte frames written into a buffer, cut into skbs, released: nobody answers for them, and no
/// allocation is recorded.
pub fn unaccounted_64(settings: &Settings) -> Result<f64, Failure> {
    written(settings, false)
}

/// The same with a holder that is charged for every skb, each one's age measured and one of 4,096
/// allocations recorded: what every frame of the product pays.
pub fn accounted_64(settings: &Settings) -> Result<f64, Failure> {
    written(settings, true)
}

#[inline(always)]
fn written(settings: &Settings, accounted: bool) -> Result<f64, Failure> {
    let pool = settings.pool(256, 2)?;
    if !accounted {
        pool.set_provenance(Provenance::Off);
    }
    let holder = pool.accounts().holder("bench", HolderKind::Driver)?;
    let (mut cache, mut batch) = (pool.local_cache(), SkbBatch::with_capacity(VIEWS as usize));
    let template = [0x55; FRAME as usize];
    // A receive loop finds these in its descriptors.
    let mut frames = [RxFrame::default(); VIEWS as usize];
    let first = RxFrame {
        len: FRAME,
        end: FRAME,
        original_length: FRAME,
        link_type: 1,
        ..RxFrame::default()
    };
    first.repeat(&mut frames, FRAME);
    nanoseconds(settings, u64::from(VIEWS), || {
        let mut buffer = cache.alloc()?;
        let bytes = buffer.as_mut_slice()?;
        for place in black_box(bytes).chunks_exact_mut(FRAME as usize) {
            place.copy_from_slice(&template);
        }
        let mut armed = buffer.arm(VIEWS).map_err(|(error, _)| error)?;
        let birth = if accounted { cache.shard().tick() } else { 0 };
        if armed.skbs_of(&frames, birth, &mut batch).0 != frames.len() {
            return Err("the frames do not fit their buffer".into());
        }
        if accounted {
            batch.hand_to(holder.id(), cache.shard());
        }
        black_box(&mut batch).release(&mut cache);
        Ok(())
    })
}
