//! Who has what is out, and for how long.

use super::{pool, skb_of};
use skbpool_pool::{HolderId, HolderKind, Pool, PoolState};
use std::time::Duration;

#[test]
fn a_closed_pool_tells_who_keeps_it() {
    let pool = pool(16);
    let tap = pool.accounts().holder("tap", HolderKind::Consumer).unwrap();
    let mut shard = pool.accounts().shard_handle();
    let mut held = skb_of(&pool, 0, b"held");
    held.hand_to(tap.id(), &mut shard);
    let clone = held.clone_skb().unwrap();
    let own = pool.alloc().unwrap();
    let filling = pool.alloc().unwrap().fill().map_err(|(error, _)| error).unwrap();
    assert_eq!(pool.close(), 3);
    assert_eq!(pool.stats().state, PoolState::Orphaned);
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.buffers, outstanding.bytes), (3, 3 * 4096));
    assert_eq!((outstanding.references, outstanding.nobody_named), (4, 3));
    assert!(!outstanding.shared_accounts);
    let [holder] = &outstanding.holders[..] else { panic!("{outstanding}") };
    assert_eq!((holder.name.as_str(), holder.views, holder.bytes), ("tap", 1, 4096));
    drop(tap);
    let table = pool.outstanding().to_string();
    assert!(table.contains("consumer tap, gone\n"), "{table}");
    assert!(table.contains("nobody named\n"), "{table}");
    drop((held, clone, own, filling));
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.buffers, outstanding.holders.len()), (0, 0));
}

/// What a driver takes in advance is no view, however many views there are.
#[test]
fn many_clones_are_counted_and_what_a_fill_holds_is_not() {
    let pool = pool(16);
    let view = skb_of(&pool, 0, b"held");
    let clones: Vec<_> = (1..70_000).map(|_| view.clone_skb().unwrap()).collect();
    let mut filling = pool.alloc().unwrap().fill().map_err(|(error, _)| error).unwrap();
    let cut = filling.cut(0, 8, 0).unwrap();
    assert_eq!(pool.outstanding().references, 70_000 + 1);
    drop(filling);
    assert_eq!((pool.outstanding().references, cut.header().armed()), (70_000 + 1, 1));
    let again = cut.clone_skb().unwrap();
    assert_eq!(pool.outstanding().references, 70_000 + 2, "nothing is held in advance any more");
    drop((view, clones, cut, again));
    assert_eq!(pool.outstanding().buffers, 0);
}

#[test]
fn accounts_of_several_pools_give_a_least_number() {
    let one = pool(4);
    let two = Pool::builder(4).accounts(one.accounts().clone()).build().unwrap();
    let _buffer = one.alloc().unwrap();
    assert!(one.outstanding().shared_accounts);
    assert!(one.outstanding().to_string().contains("nobody named at least\n"));
    drop(two);
    assert!(!one.outstanding().shared_accounts);
    assert!(Pool::builder(4).build().unwrap().outstanding().shared_accounts);
}

#[test]
fn peak_and_age_of_a_holder() {
    let pool = pool(16);
    let tap = pool.accounts().holder("tap", HolderKind::Consumer).unwrap();
    let mut shard = pool.accounts().shard_handle();
    let stats = || pool.accounts().snapshot().remove(0);
    let mut hand = |count: usize| -> Vec<_> {
        let mut skbs: Vec<_> = (0..count).map(|_| skb_of(&pool, 0, b"x")).collect();
        skbs.iter_mut().for_each(|skb| skb.hand_to(tap.id(), &mut shard));
        skbs
    };
    assert_eq!(stats().oldest.at_most, Duration::ZERO);
    let mut first = hand(4);
    assert_eq!(tap.held().0, 4);
    first.truncate(1);
    let seen = stats();
    assert_eq!((seen.views, seen.peak_views, seen.peak_bytes), (1, 4, 4 * 4096));
    assert!(seen.oldest.at_least <= seen.oldest.at_most);
    let later = hand(2);
    let seen = stats();
    // Three out of six: the oldest is number four or an earlier one, which the last look counted.
    assert!(seen.oldest.at_least > Duration::ZERO && seen.oldest.at_least < seen.oldest.at_most);
    drop((first, later));
    let seen = stats();
    assert_eq!((seen.views, seen.oldest.at_most, seen.peak_views), (0, Duration::ZERO, 4));
    assert_ne!(seen.id, HolderId::NONE);
}
