//! Nobody is let in whose worst case does not fit the pool beside everybody else's.

mod common;

use common::{hub, numbered};
use skbpool_deliver::{ConsumerConfig, DriverConfig, HubError, MAX_SLOTS};
use skbpool_pool::{MAX_HOLDERS, SkbBatch};

fn quota(quota: u32) -> ConsumerConfig {
    ConsumerConfig::with_quota(quota)
}

#[test]
fn quotas_and_drivers_buffers_fit_together_or_are_refused() {
    let hub = hub(64);
    let driver = hub.attach_driver("nic", DriverConfig::with_buffers(40)).unwrap();
    let consumer = hub.attach_consumer("tap", quota(20)).unwrap();
    assert_eq!(hub.pool().stats().reserved, 60);

    let error = hub.attach_consumer("late", quota(5)).unwrap_err();
    assert!(matches!(&error, HubError::PoolTooSmall(small)
        if (small.needed, small.reserved, small.buffers) == (5, 60, 64)));
    let said = error.to_string();
    assert!(
        said.contains("the quota of consumer \"late\"") && said.contains("make the pool larger")
    );
    let error = hub.attach_driver("second", DriverConfig::with_buffers(5)).unwrap_err();
    assert!(error.to_string().contains("driver \"second\""));
    assert_eq!(hub.pool().stats().reserved, 60, "a refusal changes nothing");
    assert_eq!(hub.pool().accounts().snapshot().len(), 2);
    assert_eq!((hub.stats().drivers.len(), hub.stats().consumers.len()), (1, 1));

    let fits = hub.attach_consumer("fits", quota(4)).unwrap();
    drop((driver, consumer, fits));
    assert_eq!(hub.pool().stats().reserved, 0);
    hub.attach_consumer("all", quota(64)).unwrap();
}

/// Views outlive their consumer, and pin what they pin: it is promised again when they are gone.
#[test]
fn what_a_consumer_took_along_stays_reserved() {
    let hub = hub(64);
    let mut cache = hub.pool().local_cache();
    let mut driver = hub.attach_driver("nic", DriverConfig::with_buffers(4)).unwrap();
    let mut consumer = hub.attach_consumer("tap", quota(40)).unwrap();
    driver.deliver(&mut numbered(&mut cache, 0..2), &mut cache);
    let mut taken = SkbBatch::new();
    consumer.poll(&mut taken, 1);
    drop(consumer);
    assert_eq!(hub.stats().detached_consumers.held, 1);
    let error = hub.attach_consumer("next", quota(40)).unwrap_err();
    assert!(matches!(&error, HubError::PoolTooSmall(small) if small.reserved == 44));
    taken.release(&mut cache);
    hub.attach_consumer("next", quota(40)).unwrap();
    assert_eq!(hub.stats().detached_consumers.held, 0);
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let hub = hub(64);
    let error = hub.attach_consumer("tap", quota(0)).unwrap_err();
    assert!(matches!(error, HubError::NoQuota { .. }));
    assert!(error.to_string().contains("\"tap\""));
    for ring_slots in [MAX_SLOTS + 1, u32::MAX] {
        let config = ConsumerConfig { ring_slots, ..quota(4) };
        assert!(matches!(hub.attach_consumer("tap", config).unwrap_err(), HubError::Ring(_)));
    }
    let error = hub.attach_consumer("tap", quota(u32::MAX)).unwrap_err();
    assert!(matches!(error, HubError::Ring(_) | HubError::PoolTooSmall(_)));
    assert_eq!(hub.pool().stats().reserved, 0);
}

#[test]
fn as_many_as_there_are_numbers_for() {
    let hub = hub(1024);
    let mut all = Vec::new();
    let error = loop {
        match hub.attach_consumer("tap", quota(1)) {
            Ok(consumer) => all.push(consumer),
            Err(error) => break error,
        }
    };
    assert_eq!(all.len(), MAX_HOLDERS - 1);
    assert!(matches!(error, HubError::Accounts(_)));
    assert_eq!(hub.pool().stats().reserved as usize, all.len(), "a refusal changes nothing");
    all.pop();
    all.push(hub.attach_consumer("tap", quota(1)).unwrap());
}
