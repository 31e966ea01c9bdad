//! Links: a consumer that leaves while a driver publishes, where every frame is released once and
//! counted once, whoever leaves first; and two drivers that share one quota. What stands for the hub
//! is the caller's part of `Consumer::drop` and of `DriverPort::deliver`.

use super::check;
use crate::claimed;
use crate::hub::{Bell, ConsumerShared, Doorbell, LinkRx, LinkTx, Quota, link};
use crate::spsc::Ring;
use crate::{Delivered, Policy};
use loom::thread;
use skbpool_pool::{DropReason, HolderKind, LocalCache, Pool, Share, Skb, SkbBatch};
use std::sync::Arc;

struct Link {
    pool: Pool,
    shared: Arc<ConsumerShared>,
    tx: LinkTx,
    rx: LinkRx,
}

fn link_with(policy: Policy, slots: u32, quota: u32) -> Link {
    let pool = Pool::builder(2).build().unwrap();
    let holder = pool.accounts().holder("tap", HolderKind::Consumer).unwrap();
    let quota = Quota::start_at(quota, None, 0);
    let doorbell = Doorbell::new(Bell::new(), 0);
    let mut shared = ConsumerShared::start_at(u64::MAX, "tap", holder, quota, doorbell);
    shared.policy = policy;
    let shared = Arc::new(shared);
    let (tx, rx) = match policy {
        Policy::DropOldest => link(&shared, claimed::channel(slots, u64::MAX).unwrap()),
        _ => link(&shared, Ring::channel(slots, u32::MAX).unwrap()),
    };
    Link { pool, shared, tx, rx }
}

fn link_of(slots: u32, quota: u32) -> Link {
    link_with(Policy::DropNewest, slots, quota)
}

fn frames(cache: &mut LocalCache, count: u32) -> SkbBatch {
    let mut armed = cache.alloc().unwrap().arm(count).unwrap();
    (0..count).map(|at| armed.skb(at, 1).unwrap()).collect()
}

/// What a port does with a batch: publishes what fits; drops its end if the consumer has left.
fn publish(cache: &mut LocalCache, mut tx: LinkTx, mut batch: SkbBatch) -> Option<LinkTx> {
    let count = batch.len() as u64;
    let (mut share, mut delivered) = (Share::default(), Delivered::default());
    share.wanted = tx.fit(&batch, false, false, cache, &mut delivered);
    batch.fan_out(std::slice::from_mut(&mut share), cache);
    let alive = tx.publish(&mut share, cache, &mut delivered);
    assert_eq!(delivered.published + delivered.missed, count);
    alive.then_some(tx)
}

fn deliver(pool: &Pool, tx: LinkTx, count: u32) -> Option<LinkTx> {
    let mut cache = pool.local_cache();
    let batch = frames(&mut cache, count);
    publish(&mut cache, tx, batch)
}

/// Views of two frames and others of the same, so that no release is a buffer's last: what a pool does
/// then is in models of its own, and here it would only multiply the executions.
fn two_frames(cache: &mut LocalCache) -> ([SkbBatch; 2], [Skb; 2]) {
    let batches = [frames(cache, 1), frames(cache, 1)];
    let kept = batches.each_ref().map(|batch| batch.as_slice()[0].clone_skb().unwrap());
    (batches, kept)
}

/// What a consumer does on leaving.
fn leave(shared: &ConsumerShared, mut rx: LinkRx) {
    shared.detach();
    rx.drain();
}

/// Every frame accounted for, every buffer home.
fn check_quiet(pool: &Pool, shared: &ConsumerShared, offered: u64) {
    let stats = shared.stats();
    let dropped: u64 = stats.dropped.iter().map(|drop| drop.frames).sum();
    assert_eq!(stats.offered, offered);
    assert_eq!(stats.offered, stats.frames + stats.queued + dropped);
    assert_eq!(stats.held, 0);
    let audit = pool.audit().unwrap();
    assert_eq!(audit.in_flight, 0);
    assert_eq!(pool.stats().violations, 0);
}

/// The driver keeps its end if it saw nobody leave; then nothing may be left in the ring.
#[test]
fn a_driver_that_sees_nobody_leave_leaves_nothing_behind() {
    check(|| {
        let Link { pool, shared, tx, rx } = link_of(2, 2);
        let consumer = Arc::clone(&shared);
        let leaving = thread::spawn(move || leave(&consumer, rx));
        let tx = deliver(&pool, tx, 2);
        leaving.join().unwrap();
        check_quiet(&pool, &shared, 2);
        assert_eq!(shared.stats().dropped[0].reason, DropReason::Detached);
        drop(tx);
    });
}

#[test]
fn both_leave_at_once() {
    check(|| {
        let Link { pool, shared, tx, rx } = link_of(2, 1);
        let consumer = Arc::clone(&shared);
        let leaving = thread::spawn(move || leave(&consumer, rx));
        drop(deliver(&pool, tx, 2));
        leaving.join().unwrap();
        check_quiet(&pool, &shared, 2);
    });
}

/// A consumer that polls until the driver's link is finished has everything, and the link's figures
/// stay when the link goes.
#[test]
fn a_finished_link_is_empty_and_its_figures_are_final() {
    check(|| {
        let Link { pool, shared, tx, mut rx } = link_of(2, 2);
        let driver = {
            let pool = pool.clone();
            thread::spawn(move || drop(deliver(&pool, tx, 2)))
        };
        let mut got = SkbBatch::new();
        while !rx.is_finished() {
            if rx.ring.dequeue(got.as_mut_vec(), 2) == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(got.len(), 2);
        shared.frames.add(2);
        shared.bytes.add(got.bytes());
        drop(rx);
        drop(got);
        check_quiet(&pool, &shared, 2);
        driver.join().unwrap();
    });
}

/// Somebody reads the figures while the consumer takes a frame and leaves: what it took is never
/// counted as dropped, however briefly.
#[test]
fn what_was_taken_is_never_counted_as_dropped() {
    check(|| {
        let Link { pool, shared, tx, mut rx } = link_of(1, 1);
        let tx = deliver(&pool, tx, 1);
        let consumer = Arc::clone(&shared);
        let leaving = thread::spawn(move || {
            let mut got = SkbBatch::new();
            rx.ring.dequeue(got.as_mut_vec(), 1);
            consumer.bytes.add(got.bytes());
            consumer.frames.add(1);
            leave(&consumer, rx);
        });
        assert_eq!(shared.stats().dropped, []);
        leaving.join().unwrap();
        check_quiet(&pool, &shared, 1);
        drop(tx);
    });
}

/// Two links to one consumer with a quota of one view, which stays in the ring.
#[test]
fn what_one_driver_publishes_another_is_not_granted() {
    check(|| {
        let Link { pool, shared, tx, rx } = link_of(1, 1);
        let (other, other_rx) = link(&shared, Ring::channel(1, 0).unwrap());
        let driver = {
            let pool = pool.clone();
            thread::spawn(move || deliver(&pool, tx, 1))
        };
        let granted = other.grant(1);
        let tx = driver.join().unwrap();
        assert_eq!(granted + shared.stats().held, 1);
        drop((tx, rx, other, other_rx));
    });
}

/// Somebody reads the figures while frames are offered, published, dropped and taken (I9).
#[test]
fn a_scrape_never_sees_more_dropped_than_offered() {
    check(|| {
        let Link { pool, shared, tx, rx } = link_of(1, 1);
        let driver = {
            let pool = pool.clone();
            thread::spawn(move || deliver(&pool, tx, 2))
        };
        check_scrape(&shared);
        drop((driver.join().unwrap(), rx));
        assert_eq!(shared.stats().offered, 2);
    });
}

/// The same where the consumer has a thread of its own.
#[test]
fn a_scrape_never_sees_more_taken_than_offered() {
    check(|| {
        let Link { pool, shared, tx, mut rx } = link_of(1, 1);
        let driver = thread::spawn(move || deliver(&pool, tx, 1));
        let taken = Arc::clone(&shared);
        let consumer = thread::spawn(move || {
            let mut got = SkbBatch::new();
            if rx.ring.dequeue(got.as_mut_vec(), 1) != 0 {
                taken.frames.add(1);
            }
            (got, rx)
        });
        check_scrape(&shared);
        drop((driver.join().unwrap(), consumer.join().unwrap()));
    });
}

/// The same where the consumer cannot use what it took.
#[test]
fn a_scrape_never_sees_more_refused_than_offered() {
    check(|| {
        let Link { pool, shared, tx, mut rx } = link_of(1, 1);
        let driver = thread::spawn(move || deliver(&pool, tx, 1));
        let refusing = Arc::clone(&shared);
        let consumer = thread::spawn(move || {
            let mut got = SkbBatch::new();
            if rx.ring.dequeue(got.as_mut_vec(), 1) != 0 {
                refusing.count_refused(DropReason::TooLarge, 1, 1);
            }
            (got, rx)
        });
        check_scrape(&shared);
        drop((driver.join().unwrap(), consumer.join().unwrap()));
    });
}

fn check_scrape(shared: &ConsumerShared) {
    let stats = shared.stats();
    let dropped: u64 = stats.dropped.iter().map(|drop| drop.frames).sum();
    assert!(stats.offered >= stats.frames + stats.queued + dropped);
}

/// A driver takes the oldest back while the consumer takes: each frame goes one way and is counted
/// once, and figures that are read meanwhile never show more of them than were offered.
#[test]
fn drop_oldest_beside_a_consumer_that_takes() {
    check(|| {
        let Link { pool, shared, tx, mut rx } = link_with(Policy::DropOldest, 1, 1);
        let mut cache = pool.local_cache();
        let ([first, second], kept) = two_frames(&mut cache);
        let tx = publish(&mut cache, tx, first).unwrap();
        let taken = Arc::clone(&shared);
        let consumer = thread::spawn(move || {
            let mut got = SkbBatch::new();
            let frames = rx.ring.dequeue(got.as_mut_vec(), 1);
            taken.bytes.add(got.bytes());
            taken.frames.add(u64::from(frames));
            (got, rx)
        });
        let tx = publish(&mut cache, tx, second).unwrap();
        check_scrape(&shared);
        let (got, rx) = consumer.join().unwrap();
        let stats = shared.stats();
        assert_eq!(stats.offered, 2);
        assert!(stats.held <= 1);
        drop((got, kept, cache));
        leave(&shared, rx);
        check_quiet(&pool, &shared, 2);
        drop(tx);
    });
}

/// The same where the consumer leaves.
#[test]
fn drop_oldest_beside_a_consumer_that_leaves() {
    check(|| {
        let Link { pool, shared, tx, rx } = link_with(Policy::DropOldest, 1, 1);
        let mut cache = pool.local_cache();
        let ([first, second], kept) = two_frames(&mut cache);
        let tx = publish(&mut cache, tx, first).unwrap();
        let consumer = Arc::clone(&shared);
        let leaving = thread::spawn(move || leave(&consumer, rx));
        let tx = publish(&mut cache, tx, second);
        leaving.join().unwrap();
        drop((kept, cache));
        check_quiet(&pool, &shared, 2);
        drop(tx);
    });
}
