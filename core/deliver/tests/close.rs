//! Closing a hub: nobody comes any more, what was published is read to the end.

mod common;

use common::{check_edges, check_home, hub, numbered, numbers};
use skbpool_deliver::{ConsumerConfig, Delivered, DriverConfig, HubError};
use skbpool_pool::{DropReason, SkbBatch};

#[test]
fn what_was_published_before_is_read_and_what_comes_after_is_dropped() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(8)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..3), &mut cache);
    assert!(!hub.is_closed());
    hub.close();
    hub.close();
    assert!(hub.is_closed());

    let mut batch = numbered(&mut cache, 3..5);
    let delivered = driver.deliver(&mut batch, &mut cache);
    let drops = delivered.drops;
    assert_eq!(delivered, Delivered { frames: 2, drops, ..Delivered::default() });
    assert_eq!(drops.iter().collect::<Vec<_>>(), driver.stats().dropped);
    assert!(batch.is_empty());
    let stats = driver.stats();
    assert_eq!((stats.frames, stats.bytes), (3, 24));
    let [closed] = stats.dropped[..] else { panic!("one reason") };
    assert_eq!((closed.reason, closed.frames, closed.bytes), (DropReason::Closed, 2, 16));

    assert!(!consumer.is_finished());
    assert_eq!(consumer.poll(&mut batch, 8), 3);
    assert_eq!(numbers(&batch), [0, 1, 2]);
    assert!(consumer.is_finished());
    batch.release(&mut cache);
    check_edges(&hub);
    check_home(hub.pool());
}

#[test]
fn nobody_is_attached_and_nothing_is_kept_of_the_attempt() {
    let hub = hub(64);
    hub.close();
    let consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(8));
    assert!(matches!(consumer.unwrap_err(), HubError::Closed));
    let driver = hub.attach_driver("nic", DriverConfig::with_buffers(8));
    assert!(matches!(driver.unwrap_err(), HubError::Closed));
    assert_eq!(hub.pool().stats().reserved, 0);
    assert!(hub.pool().accounts().snapshot().is_empty());
}

/// Closing the pool is another matter: its views stay valid and travel on.
#[test]
fn a_closed_pool_still_delivers_what_it_had_given() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(8)).unwrap();
    let mut driver = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut batch = numbered(&mut cache, 0..2);
    assert_eq!(hub.pool().close(), 1);
    assert_eq!(driver.deliver(&mut batch, &mut cache).published, 2);
    assert_eq!(consumer.poll(&mut batch, 8), 2);
    batch.release(&mut cache);
    check_home(hub.pool());
}

/// Drivers that are delivering when the hub closes lose nothing without counting it.
#[test]
fn while_drivers_deliver() {
    let hub = hub(128);
    let mut consumer = hub.attach_consumer("tap", ConsumerConfig::with_quota(16)).unwrap();
    let drivers = ["a", "b"].map(|name| hub.attach_driver(name, DriverConfig::default()).unwrap());
    let frames = std::thread::scope(|scope| {
        let drivers = drivers.map(|mut driver| {
            let hub = &hub;
            scope.spawn(move || {
                let mut cache = hub.pool().local_cache();
                let mut frames = 0;
                loop {
                    let delivered = driver.deliver(&mut numbered(&mut cache, 0..4), &mut cache);
                    frames += delivered.frames;
                    if delivered.published + delivered.missed == 0 {
                        return (frames, driver.stats());
                    }
                }
            })
        });
        let mut cache = hub.pool().local_cache();
        let mut batch = SkbBatch::new();
        for _ in 0..1000 {
            consumer.poll(&mut batch, 8);
            batch.release(&mut cache);
        }
        hub.close();
        drivers.map(|driver| driver.join().unwrap())
    });
    let mut offered = 0;
    for (frames, stats) in frames {
        let closed: u64 = stats.dropped.iter().map(|drop| drop.frames).sum();
        assert_eq!((frames, closed), (stats.frames + closed, 4));
        offered += stats.frames;
    }
    assert_eq!(consumer.stats().offered, offered);
    drop(consumer);
    check_edges(&hub);
    check_home(hub.pool());
}
