//! The quota: what is granted and not released never exceeds the limit.

use super::check;
use crate::hub::{Limit, Quota, QuotaBoard, QuotaEvent, QuotaEvents, Room};
use loom::thread;
use skbpool_pool::{Accounts, Holder, HolderKind, ShardHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const LIMIT: u32 = 2;

struct Shared {
    holder: Holder,
    quota: Limit,
    /// Not seen by loom, so it orders nothing: views granted and neither unused nor released.
    out: AtomicU64,
}

impl Shared {
    fn new(accounts: &Arc<Accounts>) -> Arc<Self> {
        let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
        Arc::new(Self {
            holder,
            quota: Limit::start_at(u64::from(LIMIT), u64::MAX),
            out: AtomicU64::new(0),
        })
    }

    fn grant(&self, wanted: u64) -> u64 {
        let given = self.quota.grant(|| self.holder.held().0, wanted);
        let before = self.out.fetch_add(given, SeqCst);
        assert!(before + given <= u64::from(LIMIT), "{before} out and {given} granted");
        given
    }

    /// What a driver does with a grant: charges `used` of it, and settles all.
    fn publish(&self, shard: &mut ShardHandle, given: u64, used: u64) {
        if used != 0 {
            shard.acquire(self.holder.id(), used, used);
        }
        self.out.fetch_sub(given - used, SeqCst);
        self.quota.settle(given);
    }

    /// What a consumer does.
    fn release(&self, shard: &mut ShardHandle, views: u64) {
        if views != 0 {
            self.out.fetch_sub(views, SeqCst);
            shard.release(self.holder.id(), views, views);
        }
    }
}

/// A driver that takes a grant, uses `used` of it and has `released` of that released, while another
/// driver asks as well.
fn beside_another_driver(used: u64, released: u64) {
    check(move || {
        let accounts = Accounts::new();
        let shared = Shared::new(&accounts);
        let mut shard = accounts.shard_handle();
        let driver = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let given = shared.grant(2);
                let used = used.min(given);
                shared.publish(&mut shard, given, used);
                let released = released.min(used);
                shared.release(&mut shard, released);
                used - released
            })
        };
        let granted = shared.grant(2);
        let held = driver.join().unwrap();
        assert_eq!(shared.grant(2), 2 - granted - held, "what nobody has can be had");
    });
}

#[test]
fn views_that_stay_are_not_granted_twice() {
    beside_another_driver(2, 0);
}

#[test]
fn what_was_not_used_can_be_had_again() {
    beside_another_driver(1, 0);
}

#[test]
fn what_was_released_can_be_had_again() {
    beside_another_driver(2, 2);
}

#[test]
fn two_drivers_that_ask_at_once_share_what_there_is() {
    check(|| {
        let accounts = Accounts::new();
        let shared = Shared::new(&accounts);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.grant(1) + shared.grant(1))
        };
        let granted = shared.grant(1) + shared.grant(1);
        assert_eq!(granted + other.join().unwrap(), 2);
    });
}

#[test]
fn two_drivers_that_settle_at_once_are_both_counted() {
    check(|| {
        let accounts = Accounts::new();
        let shared = Shared::new(&accounts);
        assert_eq!(shared.grant(2), 2);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.quota.settle(1))
        };
        shared.quota.settle(1);
        other.join().unwrap();
        shared.out.store(0, SeqCst);
        assert_eq!(shared.grant(2), 2);
    });
}

/// Both are refused and one of them has room afterwards, or the other way round: exceeded and recovered
/// alternate, and whoever asks last knows.
#[test]
fn exceeded_and_recovered_alternate() {
    check(|| {
        let accounts = Accounts::new();
        let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
        let both = Arc::new((holder, Quota::start_at(LIMIT, None, u64::MAX)));
        let mut events = both.1.events();
        let turn = |(holder, quota): &(Holder, Quota)| {
            let given = quota.grant_views(holder, 3);
            quota.settle(given, 0);
        };
        let other = {
            let both = Arc::clone(&both);
            thread::spawn(move || turn(&both))
        };
        turn(&both);
        other.join().unwrap();
        let (holder, quota) = &*both;
        // Whether they met or not, one view more fits.
        let exceeded = events.try_next();
        assert!(matches!(exceeded, None | Some(QuotaEvent::Exceeded)));
        assert_eq!(quota.grant_views(holder, 1), 1);
        let recovered = exceeded.map(|_| QuotaEvent::Recovered);
        assert_eq!((events.try_next(), events.missed()), (recovered, 0));
    });
}

/// A driver finds out whether the quota has recovered while another charges and settles: what it asks
/// first must not make the ceiling too high, which its next grant would use up.
#[test]
fn a_look_for_recovery_beside_another_driver() {
    check(|| {
        let accounts = Accounts::new();
        let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
        let both = Arc::new((holder, Quota::start_at(LIMIT, None, u64::MAX)));
        let (holder, quota) = &*both;
        quota.settle(quota.grant_views(holder, u64::from(LIMIT) + 1), 0);
        let other = {
            let (both, mut shard) = (Arc::clone(&both), accounts.shard_handle());
            thread::spawn(move || {
                let (holder, quota) = &*both;
                let given = quota.grant_views(holder, u64::from(LIMIT));
                shard.acquire(holder.id(), given, given);
                quota.settle(given, 0);
                given
            })
        };
        // None is wanted, so none is refused: it only looks.
        quota.grant_views(holder, 0);
        let mine = quota.grant_views(holder, 1);
        let given = other.join().unwrap();
        assert!(given + mine <= u64::from(LIMIT), "{given} and {mine}");
    });
}

/// One is refused while another is refused and recovers: no crossing is taken back.
#[test]
fn a_refusal_beside_a_recovery() {
    check(|| {
        let board = QuotaBoard::new();
        let mut events = QuotaEvents::new(Arc::clone(&board));
        let theirs = Arc::clone(&board);
        let other = thread::spawn(move || theirs.set_over(true));
        board.set_over(true);
        board.set_over(false);
        let before = std::iter::from_fn(|| events.try_next()).count();
        other.join().unwrap();
        let after = std::iter::from_fn(|| events.try_next()).count();
        assert!(before + after <= 3 && events.missed() <= 2, "{}", events.missed());
    });
}

/// A driver crosses while the consumer leaves: who is told of the crossing is told of it before the end,
/// and nothing follows the end.
#[test]
fn the_end_beside_a_crossing() {
    check(|| {
        let board = QuotaBoard::new();
        let mut events = QuotaEvents::new(Arc::clone(&board));
        let theirs = Arc::clone(&board);
        let other = thread::spawn(move || {
            let mut events = QuotaEvents::new(Arc::clone(&theirs));
            theirs.set_over(true);
            theirs.set_over(false);
            (events.try_next(), events)
        });
        board.tell_end();
        let mut told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        let (first, mut theirs) = other.join().unwrap();
        told.extend(std::iter::from_fn(|| events.try_next()));
        let (last, before) = told.split_last().unwrap();
        let crossings = [QuotaEvent::Exceeded, QuotaEvent::Recovered];
        assert_eq!((*last, before), (QuotaEvent::Gone, &crossings[..before.len()]));
        // What the driver saw of its own crossings stays.
        let seen = first.into_iter().chain(std::iter::from_fn(|| theirs.try_next()));
        assert_eq!((seen.collect::<Vec<_>>(), events.missed()), (told, 0));
    });
}

#[test]
fn a_watcher_that_sleeps_is_told_the_end() {
    check(|| {
        let board = QuotaBoard::new();
        let mut events = QuotaEvents::new(Arc::clone(&board));
        let other = thread::spawn(move || board.tell_end());
        assert_eq!(events.wait_next(), QuotaEvent::Gone);
        other.join().unwrap();
        assert_eq!(events.try_next(), None);
    });
}

#[test]
fn drivers_that_wait_are_counted() {
    check(|| {
        let room = Arc::new(Room::new());
        let turn = |room: &Room| {
            room.count_waiter();
            room.uncount_waiter();
        };
        let theirs = Arc::clone(&room);
        let other = thread::spawn(move || turn(&theirs));
        turn(&room);
        other.join().unwrap();
        assert_eq!(room.waiting(), 0);
    });
}
