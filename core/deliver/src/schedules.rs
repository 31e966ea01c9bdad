//! Scenarios of more threads than a model can take: shuttle runs each under random schedules. Its
//! atomics are sequentially consistent, so these look for interleavings; orderings are for the models.

use crate::sync::{AtomicU32, Ordering, explore};
use crate::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub, Policy, Ring, claimed};
use shuttle::thread;
use skbpool_pool::{Accounts, LocalCache, Pool, SkbBatch, SkbFlags, StartValues};
use std::sync::Arc;
use std::time::Duration;

/// In these runs no time passes: whoever waits so long waits until it is called.
const LONG: Duration = Duration::from_secs(600);

/// Two rings in a row, indices that wrap (I4), values that arrive once and in order.
#[test]
fn four_threads_pass_values_on_over_rings() {
    explore(|| {
        let threads: Vec<_> = (0..2)
            .flat_map(|_| {
                let (mut tx, mut rx) = Ring::channel(2, u32::MAX - 1).unwrap();
                let producer = thread::spawn(move || {
                    let mut values: Vec<u32> = (0..6).collect();
                    while !values.is_empty() {
                        tx.enqueue_vec(&mut values);
                        thread::yield_now();
                    }
                });
                let consumer = thread::spawn(move || {
                    let mut got = Vec::new();
                    while got.len() < 6 {
                        rx.dequeue(&mut got, 2);
                        thread::yield_now();
                    }
                    assert_eq!(got, (0..6).collect::<Vec<_>>());
                });
                [producer, consumer]
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Two rings, each with a producer that takes the oldest back where there is no room, and a consumer that
/// takes: every value leaves once, to one of them, and both see them in order.
#[test]
fn four_threads_take_and_evict() {
    explore(|| {
        let rings: Vec<_> = [0, u64::MAX - 2]
            .map(|start| {
                let (mut tx, mut rx) = claimed::channel(2, start).unwrap();
                let producer = thread::spawn(move || {
                    let [mut evicted, mut dropped] = [Vec::new(), Vec::new()];
                    for value in 0..6u32 {
                        if tx.room(1) == 0 && !tx.is_held_up() {
                            tx.evict(&mut evicted, 1);
                        }
                        let mut values = vec![value];
                        tx.enqueue_vec(&mut values);
                        dropped.append(&mut values);
                    }
                    [evicted, dropped]
                });
                let consumer = thread::spawn(move || {
                    let mut got = Vec::new();
                    while rx.is_connected() || rx.filled() != 0 {
                        rx.dequeue(&mut got, 2);
                        thread::yield_now();
                    }
                    got
                });
                (producer, consumer)
            })
            .into_iter()
            .collect();
        for (producer, consumer) in rings {
            let [evicted, dropped] = producer.join().unwrap();
            let parts = [evicted, dropped, consumer.join().unwrap()];
            assert!(parts.iter().all(|part| part.is_sorted()), "{parts:?}");
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..6).collect::<Vec<_>>(), "{parts:?}");
        }
    });
}

/// Two drivers deliver, two consumers read and one of them leaves, a third comes and the hub closes:
/// whatever was offered to a consumer was taken, is queued, or is counted as missed (I9), and every
/// buffer is home in the end (I1).
fn six_threads(start: u64) {
    let start = StartValues { counter: start, tag: start, generation: start as u32 };
    let pool = Pool::builder(16).accounts(Accounts::new()).start_at(start).build().unwrap();
    let hub = Hub::new(pool);
    let config = || ConsumerConfig { start_index: u32::MAX - 1, ..ConsumerConfig::with_quota(3) };
    let mut threads = Vec::new();
    for name in ["nic0", "nic1"] {
        let mut port = hub.attach_driver(name, DriverConfig::default()).unwrap();
        let pool = hub.pool().clone();
        threads.push(thread::spawn(move || {
            let mut cache = pool.local_cache();
            let mut batch = SkbBatch::new();
            for _ in 0..2 {
                if cache.alloc_batch(2, &mut batch).is_ok() {
                    let delivered = port.deliver(&mut batch, &mut cache);
                    assert_eq!(delivered.frames, 2);
                }
            }
        }));
    }
    for name in ["stays", "leaves"] {
        // One of them has its oldest frames taken back where its ring is full.
        let policy = if name == "stays" { Policy::DropOldest } else { Policy::DropNewest };
        let config = ConsumerConfig { ring_slots: 2, policy, ..config() };
        let mut consumer = hub.attach_consumer(name, config).unwrap();
        threads.push(thread::spawn(move || {
            let mut batch = SkbBatch::new();
            let mut cache = consumer.pool().local_cache();
            for _ in 0..3 {
                consumer.poll(&mut batch, 2);
                cache.release_batch(&mut batch);
                if name == "leaves" {
                    break;
                }
            }
        }));
    }
    let late = Arc::clone(&hub);
    threads.push(thread::spawn(move || {
        if let Ok(mut consumer) = late.attach_consumer("late", config()) {
            consumer.poll(&mut SkbBatch::new(), 4);
        }
    }));
    let closing = Arc::clone(&hub);
    threads.push(thread::spawn(move || closing.close()));
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = hub.stats();
    let gone = &stats.detached_consumers;
    let missed: u64 = gone.dropped.iter().map(|drop| drop.frames).sum();
    assert_eq!(gone.offered, gone.frames + gone.queued + missed);
    assert_eq!((gone.queued, gone.held, stats.consumers.len()), (0, 0, 0));
    let audit = hub.pool().audit().unwrap();
    assert_eq!((audit.free, audit.in_flight), (16, 0));
    assert_eq!(hub.pool().stats().violations, 0);
}

#[test]
fn drivers_consumers_and_a_hub_that_closes() {
    explore(|| six_threads(0));
}

#[test]
fn across_every_wrap() {
    explore(|| six_threads(u64::MAX - 3));
}

fn hub_at(start: u64) -> Arc<Hub> {
    let start = StartValues { counter: start, tag: start, generation: start as u32 };
    let accounts = Accounts::start_at(start.counter);
    Hub::new(Pool::builder(16).accounts(accounts).start_at(start).build().unwrap())
}

/// Delivers two batches of a frame of one view and a chain of two; returns how many frames that was, and
/// how many consumers missed.
fn deliver_chains(mut port: DriverPort, cache: &mut LocalCache) -> [u64; 2] {
    let mut sums = [0; 2];
    for _ in 0..2 {
        let mut batch = SkbBatch::new();
        if cache.alloc_batch(3, &mut batch).is_err() {
            continue;
        }
        batch.as_mut_slice().iter_mut().for_each(|skb| skb.put(1).unwrap().fill(7));
        let fragment = batch.pop().unwrap();
        batch.as_mut_slice()[1].append_frag(fragment).unwrap();
        let told = port.deliver(&mut batch, cache);
        sums = [sums[0] + told.frames, sums[1] + told.missed];
    }
    sums
}

/// Takes and releases once; adds to `taken` how many frames, how many of them were copies, and their
/// bytes.
fn take_once(consumer: &mut Consumer, cache: &mut LocalCache, taken: &mut [u64; 3]) {
    let mut batch = SkbBatch::new();
    consumer.poll(&mut batch, 2);
    for skb in batch.as_slice() {
        assert!(skb.parts().flatten().all(|&byte| byte == 7));
        let copied = u64::from(skb.flags.contains(SkbFlags::COPIED));
        let more = [1, copied, copied * u64::from(skb.len())];
        *taken = std::array::from_fn(|at| taken[at] + more[at]);
    }
    cache.release_batch(&mut batch);
}

/// What everybody came to when all have left: nothing is held, by anybody (I1, I9).
fn check_end(hub: &Hub, taken: [u64; 3]) {
    let stats = hub.stats();
    let gone = &stats.detached_consumers;
    let missed: u64 = gone.dropped.iter().map(|drop| drop.frames).sum();
    assert_eq!(gone.offered, gone.frames + missed, "{gone:?}");
    assert_eq!(gone.frames, taken[0]);
    assert!(gone.copied >= taken[1] && gone.copied_bytes >= taken[2], "{gone:?}");
    assert_eq!((gone.held, gone.held_bytes, gone.copies_held_bytes), (0, 0, 0));
    for holder in hub.pool().accounts().snapshot() {
        assert_eq!((holder.views, holder.bytes), (0, 0), "{holder:?}");
    }
    let audit = hub.pool().audit().unwrap();
    assert_eq!((audit.free, audit.in_flight), (16, 0));
    assert_eq!((hub.pool().stats().violations, hub.pool().stats().reserved), (0, 0));
}

/// Two drivers wait for a consumer that takes frames and calls them for it: none is lost. Another one
/// sleeps until it is called, and has what its quota does not grant copied: each frame is taken, as
/// itself or as a copy, or counted as missed. The first calls by taking, or if `looks` by looking for
/// something to take.
fn blocked_and_called(start: u64, looks: bool) {
    let hub = hub_at(start);
    let config = |policy, quota| ConsumerConfig {
        policy,
        ring_slots: 2,
        start_index: u32::MAX - 1,
        ..ConsumerConfig::with_quota(quota)
    };
    let mut blocking =
        hub.attach_consumer("blocks", config(Policy::Block { at_most: LONG }, 2)).unwrap();
    let mut copying =
        hub.attach_consumer("copies", config(Policy::CopyOut { bytes: 4096 }, 1)).unwrap();
    let drivers = ["nic0", "nic1"].map(|name| {
        let config = DriverConfig { may_block: LONG, ..DriverConfig::default() };
        let port = hub.attach_driver(name, config).unwrap();
        let pool = hub.pool().clone();
        thread::spawn(move || deliver_chains(port, &mut pool.local_cache()))
    });
    let blocking = thread::spawn(move || {
        let (mut cache, mut taken) = (blocking.pool().local_cache(), [0; 3]);
        while taken[0] < 8 {
            while looks && !blocking.has_frames() {
                thread::yield_now();
            }
            take_once(&mut blocking, &mut cache, &mut taken);
            thread::yield_now();
        }
        let stats = blocking.stats();
        assert_eq!((stats.offered, stats.frames, stats.dropped.len()), (8, 8, 0));
        assert_eq!((stats.held, stats.queued), (0, 0));
    });
    let copying = thread::spawn(move || {
        let (mut cache, mut taken) = (copying.pool().local_cache(), [0; 3]);
        while !copying.is_finished() {
            copying.wait(LONG);
            take_once(&mut copying, &mut cache, &mut taken);
        }
        let stats = copying.stats();
        let missed: u64 = stats.dropped.iter().map(|drop| drop.frames).sum();
        assert_eq!((stats.offered, stats.frames + missed, stats.queued), (8, 8, 0));
        assert_eq!([stats.frames, stats.copied, stats.copied_bytes], taken);
        (taken, missed)
    });
    let told = drivers.map(|driver| driver.join().unwrap());
    hub.close();
    blocking.join().unwrap();
    let (taken, missed) = copying.join().unwrap();
    assert_eq!(told.map(|told| told[0]), [4, 4], "there are buffers for all");
    assert_eq!(told[0][1] + told[1][1], missed);
    check_end(&hub, [8 + taken[0], taken[1], taken[2]]);
}

#[test]
fn drivers_that_wait_are_called_and_copies_are_counted() {
    explore(|| blocked_and_called(0, false));
}

#[test]
fn waits_and_copies_across_every_wrap() {
    explore(|| blocked_and_called(u64::MAX - 3, true));
}

/// Consumers of three policies, of which each takes a few times and leaves, two drivers that may wait,
/// and a hub that closes meanwhile: whoever waits is let go, and nothing is lost or counted twice. One
/// more thread is the clock, by which who waits with a limit looks again.
#[test]
fn who_waits_is_let_go_when_others_leave() {
    explore(|| {
        let hub = hub_at(0);
        let done = Arc::new(AtomicU32::new(0));
        let drivers = ["nic0", "nic1"].map(|name| {
            let config = DriverConfig { may_block: LONG, ..DriverConfig::default() };
            let port = hub.attach_driver(name, config).unwrap();
            let (pool, done) = (hub.pool().clone(), Arc::clone(&done));
            thread::spawn(move || {
                deliver_chains(port, &mut pool.local_cache());
                // Relaxed: when the clock stops.
                done.fetch_add(1, Ordering::Relaxed);
            })
        });
        let consumers =
            [Policy::Block { at_most: LONG }, Policy::CopyOut { bytes: 4096 }, Policy::DropOldest]
                .map(|policy| {
                    let config =
                        ConsumerConfig { policy, ring_slots: 2, ..ConsumerConfig::with_quota(2) };
                    let mut consumer = hub.attach_consumer("tap", config).unwrap();
                    thread::spawn(move || {
                        let mut cache = consumer.pool().local_cache();
                        let mut taken = [0; 3];
                        (0..2).for_each(|_| take_once(&mut consumer, &mut cache, &mut taken));
                        taken
                    })
                });
        let closing = Arc::clone(&hub);
        let closing = thread::spawn(move || closing.close());
        let clock = Arc::clone(&hub);
        let clock = thread::spawn(move || {
            // Relaxed: as above.
            while done.load(Ordering::Relaxed) < 2 {
                clock.let_look_again();
                thread::yield_now();
            }
        });
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
        let taken = consumers.map(|consumer| consumer.join().unwrap());
        closing.join().unwrap();
        clock.join().unwrap();
        check_end(&hub, std::array::from_fn(|at| taken.iter().map(|taken| taken[at]).sum()));
    });
}
