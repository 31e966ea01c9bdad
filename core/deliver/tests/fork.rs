//! I12: in a forked child the hub is closed, and nobody in it waits for threads that are not there.

#[path = "../../pool/tests/fork/child.rs"]
mod child;

use child::Child;
use skbpool_deliver::{Bell, ConsumerConfig, DriverConfig, Hub, HubError, Policy};
use skbpool_pool::{Accounts, DropReason, Pool, SkbBatch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One test forks at a time: children of two would hold each other's pipes open.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hub() -> std::sync::Arc<Hub> {
    Hub::new(Pool::builder(512).accounts(Accounts::new()).build().unwrap())
}

#[test]
fn delivery_and_attachment_are_refused_and_nothing_is_polled() {
    let _alone = alone();
    let hub = hub();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(64)).unwrap();
    let mut port =
        hub.attach_driver("nic", DriverConfig { buffers: 64, ..DriverConfig::default() }).unwrap();
    let mut cache = hub.pool().local_cache();
    let mut batch = SkbBatch::new();
    cache.alloc_batch(10, &mut batch).unwrap();
    port.deliver(&mut batch, &mut cache);
    cache.alloc_batch(4, &mut batch).unwrap();
    let child = Child::fork(|| {
        let delivered = port.deliver(&mut batch, &mut cache);
        assert_eq!((delivered.frames, delivered.published), (4, 0));
        assert_eq!(delivered.drops.iter().next().unwrap().reason, DropReason::Closed);
        assert!(batch.is_empty());
        let mut polled = SkbBatch::new();
        assert_eq!(consumer.poll(&mut polled, 100), 0, "what is queued is the parent's");
        assert!(!consumer.wait(Duration::from_secs(3600)), "and nothing will come");
        assert!(consumer.is_finished() && hub.is_closed());
        let refused = hub
            .attach_driver("late", DriverConfig { buffers: 100_000, ..DriverConfig::default() })
            .map(drop);
        assert!(matches!(refused, Err(HubError::ForkedPool(_))), "{refused:?}");
        let refused = hub.attach_consumer("late", ConsumerConfig::with_quota(1)).map(drop);
        assert!(matches!(refused, Err(HubError::ForkedPool(_))), "{refused:?}");
        hub.close();
        assert_eq!(hub.stats().consumers.len(), 1);
    });
    child.join();
    let mut polled = SkbBatch::new();
    assert_eq!(consumer.poll(&mut polled, 100), 10, "the parent goes on");
    assert_eq!(port.deliver(&mut batch, &mut cache).published, 4);
    assert_eq!(consumer.poll(&mut polled, 100), 4);
}

/// Its lock is the parent's, held or not; what it was rung for as well.
#[test]
fn a_bell_of_the_parent_calls_nobody_in_a_child() {
    let _alone = alone();
    let _hub = hub();
    let bell = Bell::new();
    bell.ring(7);
    Child::fork(|| {
        assert!(bell.is_inherited());
        assert_eq!(bell.wait(Duration::from_secs(3600)), None);
        bell.ring(8);
        let own = Bell::new();
        own.ring(9);
        assert_eq!((own.wait(Duration::ZERO), own.is_inherited()), (Some(9), false));
    })
    .join();
    assert_eq!(bell.wait(Duration::ZERO), Some(7));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = || {
            // Relaxed: a wish to end.
            while !stop.load(Ordering::Relaxed) {
                bell.ring(1);
                bell.wait(Duration::ZERO);
            }
        };
        scope.spawn(work);
        scope.spawn(work);
        for _ in 0..40 {
            Child::fork(|| {
                bell.ring(2);
                assert_eq!(bell.wait(Duration::from_secs(3600)), None);
            })
            .join();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Threads attach, deliver, poll and leave while others fork.
#[test]
fn a_child_can_drop_what_it_inherited_wherever_other_threads_were() {
    let _alone = alone();
    let hub = hub();
    let stop = AtomicBool::new(false);
    let forks = match std::env::var("SKBPOOL_STRESS").map(|times| times.parse::<u32>()) {
        Ok(times) => 40 * times.unwrap(),
        Err(_) => 40,
    };
    let mut theirs =
        hub.attach_consumer("inherited", ConsumerConfig::with_quota(8)).map(Some).unwrap();
    let mut port = hub
        .attach_driver("inherited", DriverConfig { buffers: 8, ..DriverConfig::default() })
        .map(Some)
        .unwrap();
    let work = || {
        // Relaxed: a wish to end.
        while !stop.load(Ordering::Relaxed) {
            let mut port = hub
                .attach_driver("busy", DriverConfig { buffers: 40, ..DriverConfig::default() })
                .unwrap();
            let mut tap = hub.attach_consumer("busy", ConsumerConfig::with_quota(16)).unwrap();
            let mut cache = hub.pool().local_cache();
            let mut batch = SkbBatch::new();
            for _ in 0..8 {
                if cache.alloc_batch(4, &mut batch).is_ok() {
                    port.deliver(&mut batch, &mut cache);
                }
                tap.poll(&mut batch, 8);
                cache.release_batch(&mut batch);
            }
            drop(tap);
            hub.stats();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
        for _ in 0..forks {
            Child::fork(|| {
                drop((theirs.take(), port.take()));
                hub.stats();
                let refused = hub.attach_consumer("late", ConsumerConfig::with_quota(1)).map(drop);
                assert!(matches!(refused, Err(HubError::ForkedPool(_))), "{refused:?}");
            })
            .join();
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop((theirs, port));
    hub.stats();
    assert_eq!(hub.pool().audit().unwrap().free, 512);
    println!("forks: {forks}");
}

/// With a consumer goes its pool of copies, and asks for what a fork locks first.
#[test]
fn consumers_with_copies_leave_while_others_fork() {
    let _alone = alone();
    let hub = hub();
    let stop = AtomicBool::new(false);
    let leave = || {
        // Relaxed: a wish to end.
        while !stop.load(Ordering::Relaxed) {
            let mut config = ConsumerConfig::with_quota(16);
            config.policy = Policy::CopyOut { bytes: 16 * 4096 };
            drop(hub.attach_consumer("busy", config).unwrap());
        }
    };
    let (forked, forks) = channel();
    std::thread::scope(|scope| {
        scope.spawn(leave);
        scope.spawn(move || {
            loop {
                match forks.recv_timeout(Duration::from_secs(60)) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    // Threads that wait for each other end with the process only.
                    Err(RecvTimeoutError::Timeout) => {
                        eprintln!("a fork and a consumer that leaves wait for each other");
                        std::process::abort();
                    }
                }
            }
        });
        for _ in 0..500 {
            Child::fork(|| ()).join();
            forked.send(()).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        drop(forked);
    });
    hub.stats();
    assert_eq!(hub.pool().audit().unwrap().free, 512);
}
