//! Holders: whatever happens to a view, its holder is charged exactly what it holds.

use super::{pool, skb_of};
use skbpool_pool::{Accounts, Charge, Holder, HolderKind, Pool, Skb, SkbBatch, adopt, clock};
use std::sync::Arc;

fn held_pool() -> (Pool, Holder) {
    let pool = pool(16);
    let holder = pool.accounts().holder("tap", HolderKind::Consumer).unwrap();
    (pool, holder)
}

fn held_skb(pool: &Pool, holder: &Holder, bytes: &[u8]) -> Skb {
    let mut skb = skb_of(pool, 0, bytes);
    skb.hand_to(holder.id(), &mut pool.accounts().shard_handle());
    skb
}

#[track_caller]
fn assert_held(holder: &Holder, skbs: &[&Skb]) {
    let views = skbs.iter().map(|skb| u64::from(skb.views())).sum();
    let bytes = skbs.iter().map(|skb| u64::from(skb.truesize())).sum();
    assert!(skbs.iter().all(|skb| skb.holder() == holder.id()));
    assert_eq!(holder.held(), (views, bytes));
}

#[test]
fn a_views_share_is_its_buffers_size_over_the_views_armed() {
    let (pool, holder) = held_pool();
    let mut cache = pool.local_cache();
    let mut armed = pool.alloc().unwrap().arm(3).map_err(|(error, _)| error).unwrap();
    let mut batch: SkbBatch = (0..3).map(|view| armed.skb(view * 64, 64).unwrap()).collect();
    for skb in batch.as_mut_slice() {
        skb.hand_to(holder.id(), cache.shard());
    }
    assert_eq!(holder.held(), (3, 3 * 1365));
    let mut back = batch.split_off(1);
    cache.release_batch(&mut batch);
    assert_eq!(holder.held(), (2, 2 * 1365));
    drop(back.pop());
    cache.release(back.pop().unwrap());
    assert_eq!(holder.held(), (0, 0));
}

#[test]
fn handing_over_moves_the_charge() {
    let (pool, first) = held_pool();
    let second = pool.accounts().holder("other", HolderKind::Session).unwrap();
    let mut cache = pool.local_cache();
    let mut skb = held_skb(&pool, &first, b"frame");
    skb.hand_to(second.id(), cache.shard());
    assert_eq!(first.held(), (0, 0));
    assert_held(&second, &[&skb]);
    skb.hand_to(skbpool_pool::HolderId::NONE, cache.shard());
    assert_eq!(second.held(), (0, 0));
    cache.release(skb);
    assert_eq!((first.held(), second.held()), ((0, 0), (0, 0)));
}

#[test]
fn a_batch_is_handed_over_by_one_count() {
    let (pool, holder) = held_pool();
    let before = pool.accounts().holder("before", HolderKind::Consumer).unwrap();
    let mut cache = pool.local_cache();
    let mut chain = skb_of(&pool, 0, b"one");
    chain.append_frag(skb_of(&pool, 0, b"three")).unwrap();
    let theirs = held_skb(&pool, &before, b"two");
    let mut batch: SkbBatch = [skb_of(&pool, 0, b"1"), theirs, chain].into_iter().collect();
    assert_eq!(batch.measure(), (12, true));
    let charge = batch.hand_to(holder.id(), cache.shard());
    assert_eq!(charge, Charge { views: 4, truesize: 4 * 4096, bytes: 12 });
    assert_held(&holder, &batch.as_slice().iter().collect::<Vec<_>>());
    assert_eq!(before.held(), (0, 0));
    assert_eq!(batch.hand_to(before.id(), cache.shard()), charge);
    assert_eq!((holder.held(), before.held()), ((0, 0), (4, 4 * 4096)));
    cache.release_batch(&mut batch);
    assert_eq!((before.held(), batch.measure()), ((0, 0), (0, false)));
}

#[test]
fn clones_slices_and_copies_are_nobodys_until_handed_over() {
    let (pool, holder) = held_pool();
    let skb = held_skb(&pool, &holder, b"frame");
    let others =
        [skb.clone_skb().unwrap(), skb.slice(1, 2).unwrap(), skb.copy(&mut &pool).unwrap()];
    assert!(others.iter().all(|other| other.holder() == skbpool_pool::HolderId::NONE));
    assert_held(&holder, &[&skb]);
    drop(others);
    assert_held(&holder, &[&skb]);
    drop(skb);
    assert_eq!(holder.held(), (0, 0));
}

#[test]
fn verbs_that_change_a_chain_change_the_charge() {
    let (pool, holder) = held_pool();
    let other = pool.accounts().holder("other", HolderKind::Process).unwrap();
    let mut frame = held_skb(&pool, &holder, b"one");
    frame.append_frag(skb_of(&pool, 0, b"two")).unwrap();
    frame.append_frag(held_skb(&pool, &other, b"three")).unwrap();
    assert_eq!((frame.views(), frame.truesize()), (3, 3 * 4096));
    assert_held(&holder, &[&frame]);
    assert_eq!(other.held(), (0, 0));
    frame.trim(7).unwrap();
    assert_held(&holder, &[&frame]);
    frame.trim(5).unwrap();
    assert_eq!((frame.views(), frame.truesize()), (2, 2 * 4096));
    assert_held(&holder, &[&frame]);
    frame.pull_up(4, &mut &pool).unwrap();
    assert_held(&holder, &[&frame]);
    frame.linearize(&mut &pool).unwrap();
    assert_eq!(frame.truesize(), 4096);
    assert_held(&holder, &[&frame]);
    let clone = frame.clone_skb().unwrap();
    frame.unshare(&mut &pool).unwrap();
    assert_held(&holder, &[&frame]);
    drop((frame, clone));
    assert_eq!(holder.held(), (0, 0));
}

#[test]
fn a_batch_of_several_holders_is_settled_by_runs() {
    let (pool, one) = held_pool();
    let two = pool.accounts().holder("two", HolderKind::Driver).unwrap();
    let mut cache = pool.local_cache();
    let mut batch = SkbBatch::new();
    for holder in [&one, &one, &two, &one, &two, &two] {
        batch.push(held_skb(&pool, holder, b"frame"));
    }
    batch.push(skb_of(&pool, 0, b"nobody's"));
    assert_eq!((one.held(), two.held()), ((3, 3 * 4096), (3, 3 * 4096)));
    batch.release(&mut cache);
    assert_eq!((one.held(), two.held()), ((0, 0), (0, 0)));
    let snapshot = pool.accounts().snapshot();
    let counts: Vec<_> = snapshot.iter().map(|s| (s.acquired, s.released)).collect();
    assert_eq!(counts, [(3, 3), (3, 3)]);
}

/// A chain counts as many views as it pins buffers, however it is released.
#[test]
fn a_chain_is_given_back_as_it_was_charged() {
    let (pool, holder) = held_pool();
    let mut cache = pool.local_cache();
    let chain = || {
        let mut frame = held_skb(&pool, &holder, b"head");
        frame.append_frag(skb_of(&pool, 0, b"tail")).unwrap();
        frame
    };
    let [one, two, three] = [chain(), chain(), chain()];
    assert_eq!(holder.held(), (6, 6 * 4096));
    drop(one);
    cache.release(two);
    assert_held(&holder, &[&three]);
    SkbBatch::from_iter([three]).release(&mut cache);
    assert_eq!(holder.held(), (0, 0));
}

/// What a holder is charged for in its own accounts does not follow a view into others.
#[test]
fn a_view_that_moves_to_other_accounts_becomes_nobodys() {
    let (pool, holder) = held_pool();
    let (elsewhere, stranger) = held_pool();
    assert_ne!(holder.id(), stranger.id(), "a number tells in which accounts");
    let mut skb = held_skb(&pool, &holder, b"frame");
    let clone = skb.clone_skb().unwrap();
    skb.unshare(&mut &elsewhere).unwrap();
    assert_eq!(skb.data(), clone.data());
    assert_eq!((holder.held(), stranger.held()), ((0, 0), (0, 0)));
    drop(skb);
    assert_eq!((holder.held(), stranger.held()), ((0, 0), (0, 0)));
}

/// Views of brought memory are accounted in the accounts of the process.
#[test]
fn brought_memory_is_charged_to_the_process() {
    let holder = Accounts::global().holder("adopter", HolderKind::Process).unwrap();
    let mut skb = skbpool_pool::adopt(vec![0; 100]).unwrap().into_empty_skb();
    skb.hand_to(holder.id(), &mut Accounts::global().shard_handle());
    assert_eq!(holder.held(), (1, 100));
    drop(skb);
    assert_eq!(holder.held(), (0, 0));
}

/// Without a shard of one's own the charge is the same; only what is handed over is a transition.
#[test]
fn a_charge_without_a_shard() {
    let (pool, first) = held_pool();
    let second = pool.accounts().holder("other", HolderKind::Process).unwrap();
    pool.set_provenance(skbpool_pool::Provenance::Full);
    let mut skb = skb_of(&pool, 0, b"frame");
    let transitions = || {
        let sites = pool.leak_report(std::time::Duration::ZERO, 9).sites;
        sites.iter().flat_map(|site| &site.examples).map(|one| one.transitions.len()).sum::<usize>()
    };
    skb.charge_to(&first);
    assert_held(&first, &[&skb]);
    assert_eq!(transitions(), 0);
    skb.append_frag(skb_of(&pool, 0, b"more")).unwrap();
    skb.hand_to_shared(&second);
    assert_eq!((first.held(), transitions()), ((0, 0), 1));
    assert_held(&second, &[&skb]);
    drop(skb);
    assert_eq!(second.held(), (0, 0));
}

/// Memory that is brought belongs to the accounts of the process; its views may be charged in others.
#[test]
fn a_holder_is_charged_where_it_is_registered() {
    let (pool, holder) = held_pool();
    let (elsewhere, stranger) = held_pool();
    let others: Vec<_> =
        (0..4).map(|_| Accounts::global().holder("other", HolderKind::Process).unwrap()).collect();
    let mut skb = skbpool_pool::adopt(vec![0; 100]).unwrap().into_empty_skb();
    skb.hand_to(holder.id(), pool.local_cache().shard());
    assert_eq!(holder.held(), (1, 100));
    skb.append_frag(skb_of(&pool, 0, b"more")).unwrap();
    assert_held(&holder, &[&skb]);
    skb.hand_to(stranger.id(), elsewhere.local_cache().shard());
    assert_eq!(holder.held(), (0, 0));
    assert_held(&stranger, &[&skb]);
    skb.hand_to(others[0].id(), pool.local_cache().shard());
    assert_held(&others[0], &[&skb]);
    skb.birth = skbpool_pool::clock::tick();
    skb.hand_to(holder.id(), elsewhere.local_cache().shard());
    drop(skb);
    for accounts in [pool.accounts(), elsewhere.accounts(), Accounts::global()] {
        let snapshot = accounts.snapshot().into_iter();
        let ours = snapshot.filter(|stats| ["tap", "other"].contains(&&*stats.name));
        ours.for_each(|stats| assert_eq!(stats.acquired, stats.released, "{stats:?}"));
    }
    let latencies = |pool: &Pool| pool.accounts().latency().buckets.iter().sum::<u64>();
    assert_eq!((latencies(&pool), latencies(&elsewhere)), (1, 0));
}

/// A holder that is gone stays on the books until its views are.
#[test]
fn a_retired_holders_views_are_still_charged() {
    let (pool, holder) = held_pool();
    let id = holder.id();
    let skb = held_skb(&pool, &holder, b"frame");
    drop(holder);
    let next = pool.accounts().holder("next", HolderKind::Consumer).unwrap();
    assert_ne!(next.id(), id);
    assert_eq!(pool.accounts().held(id), (1, 4096));
    drop(skb);
    assert_eq!(pool.accounts().held(id), (0, 0));
    assert!(pool.accounts().snapshot().iter().all(|stats| stats.name != "tap"));
}

/// However a measured view is released, its latency is counted where its holder is registered.
#[test]
fn a_latency_is_counted_where_the_holder_is_registered() {
    let (hub, elsewhere) = (Accounts::new(), Accounts::new());
    let of = |accounts: &Arc<Accounts>| {
        Pool::builder(8).accounts(Arc::clone(accounts)).build().unwrap().local_cache()
    };
    let (mut own, mut foreign) = (of(&hub), of(&elsewhere));
    let tap = hub.holder("tap", HolderKind::Consumer).unwrap();
    let mut shard = hub.shard_handle();
    let mut view = || {
        let mut skb = adopt(vec![7; 100]).unwrap().into_empty_skb();
        skb.birth = clock::tick();
        skb.hand_to(tap.id(), &mut shard);
        skb
    };
    let told = |accounts: &Accounts| accounts.latency().buckets.iter().sum::<u64>();
    drop(view());
    drop(SkbBatch::from_iter([view(), view()]));
    own.release(view());
    foreign.release(view());
    foreign.release_batch(&mut SkbBatch::from_iter([view(), view()]));
    assert_eq!((told(&hub), told(&elsewhere), tap.held()), (7, 0, (0, 0)));
}
