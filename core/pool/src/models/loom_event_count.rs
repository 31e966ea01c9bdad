//! The event count: whoever sleeps until something is announced is woken, and what was announced is there.

use super::check;
use crate::sync::{AtomicU32, EventCount, Ordering};
use loom::thread;
use std::sync::Arc;

struct News {
    count: EventCount,
    told: AtomicU32,
}

impl News {
    fn new() -> Arc<Self> {
        Arc::new(Self { count: EventCount::start_at(u32::MAX), told: AtomicU32::new(0) })
    }

    fn tell(&self, what: u32) {
        // Relaxed: published by the announcement.
        self.told.store(what, Ordering::Relaxed);
        self.count.announce();
    }

    /// Sleeps until `what` is told. Loom fails the model if nobody wakes it.
    fn sleep_until(&self, what: u32) {
        loop {
            let epoch = self.count.epoch();
            // Relaxed: what was told before the epoch was raised is seen after it was read.
            if self.told.load(Ordering::Relaxed) >= what {
                return;
            }
            self.count.wait(epoch);
        }
    }
}

#[test]
fn a_sleeper_is_woken() {
    check(|| {
        let news = News::new();
        let theirs = Arc::clone(&news);
        let sleeper = thread::spawn(move || theirs.sleep_until(2));
        news.tell(1);
        news.tell(2);
        sleeper.join().unwrap();
    });
}

#[test]
fn two_sleepers_are_woken_and_none_is_counted_afterwards() {
    check(|| {
        let news = News::new();
        let sleepers = [(); 2].map(|()| {
            let theirs = Arc::clone(&news);
            thread::spawn(move || theirs.sleep_until(1))
        });
        news.tell(1);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(news.count.sleepers(), 0);
    });
}

#[test]
fn two_announcers_are_both_heard() {
    check(|| {
        let news = News::new();
        let theirs = Arc::clone(&news);
        let before = news.count.epoch();
        let other = thread::spawn(move || theirs.count.announce());
        news.count.announce();
        other.join().unwrap();
        assert_eq!(news.count.epoch().wrapping_sub(before), 2);
    });
}
