//! Who a leak report says has a buffer.

use skbpool_pool::{Accounts, HolderKind, Pool, Provenance};
use std::time::Duration;

fn watched() -> Pool {
    let pool = Pool::builder(64).accounts(Accounts::new()).build().unwrap();
    pool.set_provenance(Provenance::Full);
    pool
}

/// The name that the report has for the holder of the only site.
fn told(pool: &Pool) -> String {
    let report = pool.leak_report(Duration::ZERO, 4);
    assert_eq!(report.sites.len(), 1, "{report}");
    report.sites[0].holder.as_ref().unwrap().name.clone()
}

/// Lets the clock of records go on by one step at least.
fn let_time_pass(pool: &Pool) {
    let mark = pool.alloc().unwrap();
    let at = mark.header().index().unwrap();
    let passed = |pool: &Pool| {
        let report = pool.leak_report(Duration::ZERO, 64);
        let mut examples = report.sites.iter().flat_map(|site| &site.examples);
        examples.any(|one| one.index == at && one.age >= Duration::from_millis(3))
    };
    while !passed(pool) {
        std::thread::yield_now();
    }
}

#[test]
fn one_that_came_after_the_allocation_is_known() {
    let pool = watched();
    let mut cache = pool.local_cache();
    let posted = cache.alloc().unwrap();
    let_time_pass(&pool);
    let tap = pool.accounts().holder("tap", HolderKind::Consumer).unwrap();
    let mut skb = posted.into_empty_skb();
    skb.hand_to(tap.id(), cache.shard());
    assert_eq!(told(&pool), "tap");
    let_time_pass(&pool);
    assert_eq!(told(&pool), "tap");
    drop(skb);
}

#[test]
fn one_that_was_registered_a_moment_before_is_known_at_any_moment() {
    let pool = watched();
    let mut cache = pool.local_cache();
    for _ in 0..20 {
        let tap = pool.accounts().holder("tap", HolderKind::Consumer).unwrap();
        let mut skb = cache.alloc().unwrap().into_empty_skb();
        skb.hand_to(tap.id(), cache.shard());
        let age = |pool: &Pool| pool.leak_report(Duration::ZERO, 1).sites[0].oldest;
        while age(&pool) < Duration::from_millis(4) {
            assert_eq!(told(&pool), "tap");
        }
        drop(skb);
    }
}

/// What nobody recorded is no proof that nothing is out.
#[test]
fn what_is_out_and_not_recorded_is_told() {
    let pool = Pool::builder(64).accounts(Accounts::new()).build().unwrap();
    pool.set_provenance(Provenance::Off);
    let held = [pool.alloc().unwrap(), pool.alloc().unwrap()];
    let report = pool.leak_report(Duration::ZERO, 4);
    assert_eq!((report.sites.len(), report.in_flight), (0, 2));
    assert!(report.to_string().contains("2 buffers are out"), "{report}");
    drop(held);
    assert!(!pool.leak_report(Duration::ZERO, 4).to_string().contains("are out"));
}
