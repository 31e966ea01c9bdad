//! Counts that many threads keep: none is lost, whatever is added at the same time.

use super::{Payload, check};
use crate::account::{Accounts, CopyStage, HolderId, HolderKind};
use crate::header::{BufferHeader, MAX_REFERENCES, Put};
use crate::home::put_references;
use crate::pool::Pool;
use crate::provenance::Log;
use loom::thread;
use std::sync::Arc;

/// Runs `work` in two threads.
fn twice<T: Clone + Send + 'static>(shared: &T, work: fn(&T)) {
    let other = shared.clone();
    let thread = thread::spawn(move || work(&other));
    work(shared);
    thread.join().unwrap();
}

#[test]
fn allocations_and_releases_without_a_cache() {
    check(|| {
        let pool = Pool::builder(2).build().unwrap();
        twice(&pool, |pool| drop(pool.alloc().unwrap()));
        let stats = pool.stats();
        assert_eq!((stats.alloc_slow, stats.releases, stats.free), (2, 2, 2));
    });
}

#[test]
fn allocations_that_found_nothing() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let held = pool.alloc().unwrap();
        twice(&pool, |pool| assert!(pool.alloc().is_err()));
        assert_eq!(pool.stats().alloc_empty, 2);
        drop(held);
    });
}

/// A free buffer is released once more by each of two threads.
#[test]
fn violations() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let view = pool.alloc().unwrap().into_empty_skb();
        let header = view.header_ptr().as_ptr().expose_provenance();
        drop(view);
        twice(&(pool.clone(), header), |&(_, header)| {
            let header = std::ptr::with_exposed_provenance_mut::<BufferHeader>(header);
            // SAFETY: the header is the pool's, which is alive. That nobody owns a reference is what
            // the count finds out.
            unsafe { put_references(std::ptr::NonNull::new(header).unwrap(), 1) };
        });
        assert_eq!((pool.stats().violations, pool.audit().unwrap().free), (2, 1));
    });
}

/// One view too many is asked for while another one goes.
#[test]
fn a_refused_reference_beside_a_release() {
    check(|| {
        let header = Arc::new(BufferHeader::of_nothing(MAX_REFERENCES));
        let other = Arc::clone(&header);
        let asks = thread::spawn(move || other.get(1));
        assert_eq!(header.put(1), Put::Held);
        let granted = asks.join().unwrap();
        assert_eq!(header.references(), MAX_REFERENCES - 1 + u32::from(granted));
    });
}

/// More is given back than there was, while another one is given back.
#[test]
fn a_violation_beside_a_release() {
    check(|| {
        let header = Arc::new(BufferHeader::of_nothing(2));
        let other = Arc::clone(&header);
        let thread = thread::spawn(move || other.put(3));
        let put = header.put(1);
        assert_eq!(thread.join().unwrap(), Put::Violation);
        assert!(header.is_quarantined());
        // A release that came too late is taken back, one that came before stays.
        let quarantined = header.references() - (3 << 30);
        assert_eq!(quarantined, if put == Put::Held { 1 } else { 2 });
    });
}

#[test]
fn promises() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let other = pool.clone();
        let thread = thread::spawn(move || other.reserve(1, "theirs").ok());
        let mine = pool.reserve(1, "mine").ok();
        let theirs = thread.join().unwrap();
        assert_eq!(u32::from(mine.is_some()) + u32::from(theirs.is_some()), pool.stats().reserved);
        assert_eq!(pool.stats().reserved, 1);
    });
}

#[test]
fn promises_that_are_given_back() {
    check(|| {
        let pool = Pool::builder(2).build().unwrap();
        twice(&pool, |pool| drop(pool.reserve(1, "it")));
        assert_eq!(pool.stats().reserved, 0);
    });
}

/// Somebody waits and gives up while the pool is closed and its buffers are called for.
#[test]
fn signals() {
    check(|| {
        let pool = Pool::builder(1).build().unwrap();
        let before = pool.signals();
        let waiter = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.count_waiter();
                pool.uncount_waiter();
            })
        };
        let caller = {
            let pool = pool.clone();
            thread::spawn(move || pool.reclaim())
        };
        pool.close();
        waiter.join().unwrap();
        caller.join().unwrap();
        assert!(pool.is_closed());
        assert_eq!(pool.signals() - before, (1 << 32) + (1 << 31), "one call, nobody waits");
    });
}

#[test]
fn latencies_of_views_without_a_cache() {
    check(|| {
        let accounts = Accounts::new();
        twice(&accounts, |accounts| accounts.observe_latency_shared(HolderId::NONE, 3, 1));
        let latency = accounts.latency();
        assert_eq!((latency.buckets, latency.sum_ticks), ([2], 6));
    });
}

#[test]
fn copies_of_frames_without_a_shard() {
    check(|| {
        let accounts = Accounts::new();
        twice(&accounts, |accounts| accounts.count_copy(CopyStage::Land, 1, 64));
        let land = accounts.copies()[CopyStage::Land as usize];
        assert_eq!((land.frames, land.bytes), (2, 128));
    });
}

/// Two readers see a holder with different amounts: the most either saw is its peak.
#[test]
fn peaks() {
    check(|| {
        let accounts = Accounts::new();
        let holder = accounts.holder("h", HolderKind::Process).unwrap();
        let (id, theirs) = (holder.id().index(), Arc::clone(&accounts));
        let reader = thread::spawn(move || theirs.raise_peaks(id, [1, 64, 0, 0]));
        accounts.raise_peaks(id, [2, 128, 0, 0]);
        reader.join().unwrap();
        assert_eq!(accounts.raise_peaks(id, [0; 4]), [2, 128]);
    });
}

#[test]
fn pools_that_use_the_same_accounts() {
    check(|| {
        let accounts = Accounts::new();
        twice(&accounts, |accounts| accounts.join());
        assert!(accounts.is_shared(), "two");
        accounts.join();
        twice(&accounts, |accounts| accounts.leave());
        assert!(!accounts.is_shared(), "one");
    });
}

/// Two caches that are opened at once record allocations at places of their own.
#[test]
fn numbers_of_samplers() {
    check(|| {
        let log = Arc::new(Log::new());
        let theirs = Arc::clone(&log);
        let thread = thread::spawn(move || theirs.number_sampler());
        assert_ne!(log.number_sampler(), thread.join().unwrap());
    });
}

/// Whoever learns from the accounts that a view was released may count on what came before.
#[test]
fn a_release_that_is_counted_publishes_what_came_before() {
    check(|| {
        let (accounts, payload) = (Accounts::new(), Arc::new(Payload::new(1)));
        let holder = accounts.holder("h", HolderKind::Process).unwrap();
        let (id, theirs) = (holder.id(), Arc::clone(&payload));
        let mut shard = accounts.shard_handle();
        let thread = thread::spawn(move || {
            shard.acquire(id, 1, 64);
            theirs.write(0, 1);
            shard.release(id, 1, 64);
        });
        if accounts.released(id) == 1 {
            assert_eq!(payload.read(0), 1);
        }
        thread.join().unwrap();
    });
}
