//! Forks while other threads are anywhere in the pool.

use super::child::Child;
use skbpool_pool::{
    Accounts, AllocError, HolderId, HolderKind, Pool, PoolEvent, Provenance, Site, SkbBatch,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Locks that a thread holds at the fork are held by nobody in the child: whatever the child does there
/// would wait for ever.
#[test]
fn a_child_never_waits_for_threads_that_are_not_there() {
    let forks = match std::env::var("SKBPOOL_STRESS").map(|times| times.parse::<u32>()) {
        Ok(times) => 60 * times.unwrap(),
        Err(_) => 60,
    };
    let accounts = Accounts::new();
    let pool = Pool::builder(256).accounts(Arc::clone(&accounts)).build().unwrap();
    pool.set_provenance(Provenance::Full);
    let stop = AtomicBool::new(false);
    let work = |seed: u32| {
        // Relaxed: a wish to end.
        while !stop.load(Ordering::Relaxed) {
            let holder = accounts.holder("worker", HolderKind::Process).unwrap();
            let mut cache = pool.local_cache();
            let mut batch = SkbBatch::new();
            for round in 0..seed {
                if cache.alloc_batch(20, &mut batch).is_err() {
                    assert!(pool.stats().buffers == 256);
                }
                if let Ok(buffer) = pool.alloc() {
                    assert!(Pool::name_origin(&buffer, HolderId::NONE, || site(seed)));
                    cache.release_buffer(buffer);
                }
                if round % 2 == 0 {
                    cache.release_batch(&mut batch);
                }
            }
            cache.release_batch(&mut batch);
            let other = Pool::builder(1).build().unwrap();
            other.set_provenance(Provenance::Full);
            drop((Accounts::new(), other));
            drop((cache, holder));
        }
    };
    let mut buffer = pool.alloc().unwrap();
    buffer.as_mut_slice().unwrap().fill(0x5a);
    let view = buffer.into_skb(0..4096).unwrap();
    std::thread::scope(|scope| {
        let _end = End(&stop);
        for seed in [3, 7, 20] {
            scope.spawn(move || work(seed));
        }
        for _ in 0..forks {
            Child::fork(|| {
                assert!(view.data().iter().all(|&byte| byte == 0x5a));
                assert_eq!(pool.alloc().map(drop), Err(AllocError::ForkedPool));
                assert_eq!(pool.local_cache().alloc().map(drop), Err(AllocError::ForkedPool));
                assert_eq!(pool.stats().buffers, 256);
                pool.set_provenance(Provenance::Off);
                drop(accounts.holder("child", HolderKind::Process).unwrap());
                accounts.snapshot();
                let own = Pool::builder(4).accounts(Arc::clone(&accounts)).build().unwrap();
                drop((own.local_cache().alloc().unwrap(), Accounts::new()));
                assert_eq!(own.audit().unwrap().free, 4);
                drop(view.clone_skb().unwrap());
            })
            .join();
        }
    });
    drop(view);
    assert_eq!(pool.audit().unwrap().free, 256);
    println!("forks: {forks}");
}

/// Ends the threads when the test ends, by a failure too.
struct End<'t>(&'t AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Relaxed: a wish to end.
        self.0.store(true, Ordering::Relaxed);
    }
}

fn site(line: u32) -> Site {
    Site { file: "app".to_owned(), line, function: String::new() }
}

/// A child that names sites and reports, wherever another thread of the parent was in reporting.
#[test]
fn a_child_names_sites_beside_a_thread_that_reports() {
    let pool = Pool::builder(4).accounts(Accounts::new()).build().unwrap();
    pool.set_provenance(Provenance::Full);
    let named = pool.alloc().unwrap();
    for line in 1..800 {
        assert!(Pool::name_origin(&named, HolderId::NONE, || site(line)));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&stop);
        scope.spawn(|| {
            // Relaxed: a wish to end.
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(pool.leak_report(Duration::ZERO, 1).sites.len(), 1);
            }
        });
        for _ in 0..20 {
            Child::fork(|| {
                assert!(Pool::name_origin(&named, HolderId::NONE, || site(0)));
                let report = pool.leak_report(Duration::ZERO, 1);
                assert_eq!(report.sites[0].site, site(0));
            })
            .join();
        }
    });
}

/// A child that asks for the room for records, wherever another thread of the parent was in making it.
#[test]
fn a_child_switches_provenance_on_beside_a_thread_that_did() {
    for _ in 0..10 {
        let pool = Pool::builder(1 << 14).accounts(Accounts::new()).build().unwrap();
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                pool.set_provenance(Provenance::Full);
            });
            begun.wait();
            Child::fork(|| {
                pool.set_provenance(Provenance::Full);
                assert_eq!(pool.leak_report(Duration::ZERO, 1).sites, []);
            })
            .join();
        });
    }
}

/// Nothing happens to a pool in the child of its process, so nobody there waits for it.
#[test]
fn a_child_does_not_wait_for_events() {
    let pool = Pool::builder(2).accounts(Accounts::new()).watermarks(1, 2).build().unwrap();
    let (mut events, mut later) = (pool.events(), pool.events());
    let held = [pool.alloc().unwrap(), pool.alloc().unwrap()];
    let child = Child::fork(|| {
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(events.next_until(far), Some(PoolEvent::LowWatermark), "from before");
        assert_eq!(events.next_until(far), None);
        assert_eq!(pool.events().next_until(far), None, "nor with a watcher made here");
    });
    child.join();
    drop(held);
    assert_eq!(later.try_next(), Some(PoolEvent::LowWatermark));
    assert_eq!(later.try_next(), Some(PoolEvent::HighWatermark), "the parent goes on");
}
