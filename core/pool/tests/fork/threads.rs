//! Forks while other threads are anywhere in the pool.

use super::child::Child;
use skbpool_pool::{Accounts, AllocError, HolderKind, Pool, SkbBatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
                    cache.release_buffer(buffer);
                }
                if round % 2 == 0 {
                    cache.release_batch(&mut batch);
                }
            }
            cache.release_batch(&mut batch);
            drop((Accounts::new(), Pool::builder(1).build().unwrap()));
            drop((cache, holder));
        }
    };
    let mut buffer = pool.alloc().unwrap();
    buffer.as_mut_slice().unwrap().fill(0x5a);
    let view = buffer.into_skb(0..4096).unwrap();
    std::thread::scope(|scope| {
        for seed in [3, 7, 20] {
            scope.spawn(move || work(seed));
        }
        for _ in 0..forks {
            Child::fork(|| {
                assert!(view.data().iter().all(|&byte| byte == 0x5a));
                assert_eq!(pool.alloc().map(drop), Err(AllocError::ForkedPool));
                assert_eq!(pool.local_cache().alloc().map(drop), Err(AllocError::ForkedPool));
                assert_eq!(pool.stats().buffers, 256);
                drop(accounts.holder("child", HolderKind::Process).unwrap());
                accounts.snapshot();
                let own = Pool::builder(4).accounts(Arc::clone(&accounts)).build().unwrap();
                drop((own.local_cache().alloc().unwrap(), Accounts::new()));
                assert_eq!(own.audit().unwrap().free, 4);
                drop(view.clone_skb().unwrap());
            })
            .join();
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(view);
    assert_eq!(pool.audit().unwrap().free, 256);
    println!("forks: {forks}");
}
