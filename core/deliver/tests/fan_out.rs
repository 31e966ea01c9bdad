//! One batch to many consumers: one change of the reference count a buffer, whatever each of them can
//! take. Counts, no times.

mod common;

use common::{check_edges, check_home, hub, numbered};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Policy};
use skbpool_pool::{SkbBatch, updates};

/// Delivers two buffers of eight views each to consumers of these quotas and policies, twice; returns
/// how often counts were changed by the second delivery, and how many views were published.
fn updates_of_a_delivery(consumers: &[(u32, Policy)]) -> Option<(u64, u64)> {
    let hub = hub(256);
    let mut cache = hub.pool().local_cache();
    let attach = |&(quota, policy): &(u32, Policy)| {
        let config = ConsumerConfig { policy, ring_slots: 32, ..ConsumerConfig::with_quota(quota) };
        hub.attach_consumer("tap", config).unwrap()
    };
    let mut all: Vec<_> = consumers.iter().map(attach).collect();
    let mut port = hub.attach_driver("nic", DriverConfig::default()).unwrap();
    let mut taken = SkbBatch::new();
    let mut counted = None;
    for _ in 0..2 {
        let mut batch = numbered(&mut cache, 0..8);
        batch.append(&mut numbered(&mut cache, 8..16));
        let before = updates::of_this_thread()?;
        let delivered = port.deliver(&mut batch, &mut cache);
        counted = Some((updates::of_this_thread()? - before, delivered.published));
        for consumer in &mut all {
            consumer.poll(&mut taken, usize::MAX);
        }
        taken.release(&mut cache);
    }
    check_edges(&hub);
    check_home(hub.pool());
    counted
}

#[test]
fn one_change_of_the_count_a_buffer() {
    if updates::of_this_thread().is_none() {
        println!("skipped: release builds do not count changes of reference counts");
        return;
    }
    let takes = |quota: u32| (quota, Policy::DropNewest);
    assert_eq!(updates_of_a_delivery(&[takes(16)]), Some((0, 16)), "moved, not counted");
    for consumers in [2, 3, 8] {
        let all = vec![takes(16); consumers];
        assert_eq!(updates_of_a_delivery(&all), Some((2, 16 * consumers as u64)));
    }
    // Of the second buffer nobody wants a part, all of it, or all but a part.
    assert_eq!(
        updates_of_a_delivery(&[takes(12), takes(3), takes(12)]),
        Some((1, 27)),
        "as many as before"
    );
    assert_eq!(updates_of_a_delivery(&[takes(12), takes(3), takes(10)]), Some((2, 25)));
    assert_eq!(updates_of_a_delivery(&[takes(8), takes(8)]), Some((2, 16)));
    assert_eq!(updates_of_a_delivery(&[takes(12)]), Some((1, 12)), "what is refused, once");
    let newest = (12, Policy::DropOldest);
    assert_eq!(updates_of_a_delivery(&[takes(12), newest]), Some((2, 24)));
    let blocking = (12, Policy::Block { at_most: std::time::Duration::from_secs(600) });
    assert_eq!(updates_of_a_delivery(&[takes(12), newest, blocking, takes(16)]), Some((2, 52)));
}
