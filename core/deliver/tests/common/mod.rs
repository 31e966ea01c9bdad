//! Pools of their own, numbered frames, and what every test checks at its end.
#![allow(dead_code, reason = "no test uses all of it")]

use skbpool_deliver::{ConsumerStats, Hub};
use skbpool_pool::{Accounts, DropReason, LocalCache, Pool, SkbBatch};
use std::ops::Range;
use std::sync::Arc;

/// A pool of `buffers` buffers with accounts of its own, so that tests in one process do not meet.
pub fn pool(buffers: u32) -> Pool {
    Pool::builder(buffers).accounts(Accounts::new()).build().unwrap()
}

/// A hub over such a pool.
pub fn hub(buffers: u32) -> Arc<Hub> {
    Hub::new(pool(buffers))
}

/// Views of one buffer, eight bytes each, with these numbers.
pub fn numbered(cache: &mut LocalCache, numbers: Range<u64>) -> SkbBatch {
    let mut buffer = cache.alloc().expect("a free buffer");
    let bytes = buffer.as_mut_slice().unwrap();
    for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers.clone()) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    let count = (numbers.end - numbers.start) as u32;
    let mut armed = buffer.arm(count).unwrap();
    (0..count).map(|at| armed.skb(at * 8, 8).unwrap()).collect()
}

/// The numbers in a batch.
pub fn numbers(batch: &SkbBatch) -> Vec<u64> {
    batch.as_slice().iter().map(|skb| u64::from_le_bytes(skb.data().try_into().unwrap())).collect()
}

/// Frames dropped for `reason`.
pub fn dropped(stats: &ConsumerStats, reason: DropReason) -> u64 {
    stats.dropped.iter().find(|drop| drop.reason == reason).map_or(0, |drop| drop.frames)
}

/// Frames dropped, whatever the reason.
pub fn all_dropped(stats: &ConsumerStats) -> u64 {
    stats.dropped.iter().map(|drop| drop.frames).sum()
}

/// Everything offered was taken, dropped and counted, or lies in a ring (I9).
#[track_caller]
pub fn check_edge(stats: &ConsumerStats) {
    assert_eq!(stats.offered, stats.frames + stats.queued + all_dropped(stats), "{stats:?}");
}

/// As [`check_edge`], for everybody at the hub, those who left included.
#[track_caller]
pub fn check_edges(hub: &Hub) {
    let stats = hub.stats();
    stats.consumers.iter().for_each(check_edge);
    check_edge(&stats.detached_consumers);
}

/// Every buffer is home and in one place, nobody is charged for anything, and nothing was given back
/// twice (I1, I2).
#[track_caller]
pub fn check_home(pool: &Pool) {
    let audit = pool.audit().unwrap();
    assert_eq!((audit.in_flight, audit.quarantined), (0, 0));
    assert_eq!(pool.stats().violations, 0);
    for holder in pool.accounts().snapshot() {
        assert_eq!((holder.views, holder.bytes), (0, 0), "{holder:?}");
    }
}
