//! Closing a hub: who sleeps is woken, and whoever saw the hub change saw that it was closed.

use super::check;
use crate::{ConsumerConfig, DriverConfig, Hub};
use loom::thread;
use skbpool_pool::{DropReason, Pool, SkbBatch};
use std::sync::Arc;
use std::time::Duration;

fn hub() -> Arc<Hub> {
    Hub::new(Pool::builder(2).build().unwrap())
}

#[test]
fn a_consumer_that_waits_is_woken() {
    check(|| {
        let hub = hub();
        let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(1)).unwrap();
        let closer = thread::spawn(move || hub.close());
        assert!(!consumer.wait(Duration::MAX));
        assert!(consumer.is_finished());
        closer.join().unwrap();
    });
}

#[test]
fn a_driver_that_saw_the_hub_change_does_not_miss_that_it_was_closed() {
    check(|| {
        let hub = hub();
        let mut cache = hub.pool().local_cache();
        let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        let closer = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || hub.close())
        };
        let mut deliver = || {
            let skb = cache.alloc().unwrap().into_skb(0..8).unwrap();
            driver.deliver(&mut SkbBatch::from_iter([skb]), &mut cache);
        };
        deliver();
        closer.join().unwrap();
        deliver();
        let drops = driver.stats().dropped;
        assert!(drops.iter().any(|drop| drop.reason == DropReason::Closed));
        assert_eq!(driver.stats().unclaimed + drops[0].frames, 2);
    });
}

/// A driver leaves while the hub is closed. Each is told by raising the version: if one of the two were
/// lost, who looked in between would never learn of the other.
#[test]
fn of_two_changes_at_once_none_is_lost() {
    check(|| {
        let hub = hub();
        let driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
        let before = hub.version();
        let leaver = thread::spawn(move || drop(driver));
        hub.close();
        leaver.join().unwrap();
        assert_eq!(hub.version(), before + 2);
    });
}
