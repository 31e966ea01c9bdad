//! The delivery ring, both ends in one thread, beside DPDK's ring.

use crate::measure::{Failure, Settings, nanoseconds};
use skbpool_deliver::Ring;
use skbpool_pool::Skb;
use std::hint::black_box;

const SLOTS: u32 = 1024;
const BULK: u32 = 32;

/// Handles of 8 bytes.
pub fn ring_spsc_bulk32(settings: &Settings) -> Result<f64, Failure> {
    in_and_out(settings, (0..u64::from(BULK)).collect())
}

/// Whole skbs.
pub fn ring_skb_bulk32(settings: &Settings) -> Result<f64, Failure> {
    let mut cache = settings.pool(SLOTS, 0)?.local_cache();
    let mut skbs: Vec<Skb> = Vec::new();
    for _ in 0..BULK {
        skbs.push(cache.alloc()?.into_empty_skb());
    }
    in_and_out(settings, skbs)
}

#[inline(always)]
fn in_and_out<T>(settings: &Settings, mut values: Vec<T>) -> Result<f64, Failure> {
    let (mut enqueue, mut dequeue) = Ring::channel(SLOTS, 0)?;
    nanoseconds(settings, u64::from(BULK), || {
        let into = enqueue.enqueue_vec(&mut values);
        black_box(&mut values);
        let out = dequeue.dequeue(&mut values, BULK);
        if (into, out) == (BULK, BULK) {
            Ok(())
        } else {
            Err("the ring lost something".into())
        }
    })
}
