//! Views of memory that is not the hub's pool's: whichever accounts their buffers belong to, who holds
//! them is charged where it is registered, and charged no more when they are released.

mod common;

use common::{check_edges, check_home};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub};
use skbpool_pool::{Accounts, Holder, HolderKind, LocalCache, Pool, Skb, SkbBatch, adopt, clock};
use std::sync::Arc;

const FRAMES: u64 = 4;

/// A way for views to go.
type Release = fn(SkbBatch, &mut [LocalCache; 2]);

const RELEASES: [(&str, Release); 6] = [
    ("dropped one by one", |batch, _| drop(batch)),
    ("released one by one", |batch, [hubs, _]| batch.into_iter().for_each(|skb| hubs.release(skb))),
    ("released to the hub's pool", |mut batch, [hubs, _]| batch.release(hubs)),
    ("released to a pool of other accounts", |mut batch, [_, other]| batch.release(other)),
    ("changed as chains", |batch, [hubs, other]| {
        let mut whole = batch.into_iter().reduce(|mut whole, skb| {
            whole.append_frag(skb).map_err(|(error, _)| error).unwrap();
            whole
        });
        let mut whole = whole.take().unwrap();
        whole.trim(whole.len() - 1).unwrap();
        whole.pull_up(150, hubs).unwrap();
        whole.linearize(other).unwrap();
    }),
    ("made private", |mut batch, [hubs, _]| {
        let clones: Vec<_> = batch.as_slice().iter().map(|skb| skb.clone_skb().unwrap()).collect();
        batch.as_mut_slice().iter_mut().for_each(|skb| skb.unshare(hubs).unwrap());
        drop((batch, clones));
    }),
];

/// What was taken and given back, of every holder there is.
fn charges(accounts: &Accounts) -> Vec<(String, u64, u64)> {
    let snapshot = accounts.snapshot().into_iter();
    snapshot.map(|stats| (stats.name, stats.acquired, stats.released)).collect()
}

/// Delivers skbs that `session` is charged for, and lets them go in every way.
fn deliver_and_release(accounts: &Arc<Accounts>, session: &Holder, make: impl Fn() -> Skb) {
    let pool = Pool::builder(64).accounts(Arc::clone(accounts)).build().unwrap();
    let elsewhere = Pool::builder(64).accounts(Accounts::new()).build().unwrap();
    // In every accounts somebody has the number that the consumer has in its own.
    let _others: Vec<_> = [Accounts::global(), elsewhere.accounts(), session.accounts()]
        .into_iter()
        .flat_map(|accounts| (0..4).map(|_| accounts.holder("other", HolderKind::Process)))
        .collect();
    let hub = Hub::new(pool.clone());
    let mut driver = hub.attach_driver("lease", DriverConfig::default()).unwrap();
    let mut consumer =
        hub.attach_consumer("tap", ConsumerConfig::with_quota(FRAMES as u32)).unwrap();
    let mut shard = session.accounts().shard_handle();
    let mut caches = [pool.local_cache(), elsewhere.local_cache()];
    for (how, release) in RELEASES {
        let mut batch: SkbBatch = (0..FRAMES + 1).map(|_| make()).collect();
        for skb in batch.as_mut_slice() {
            skb.hand_to(session.id(), &mut shard);
            skb.birth = clock::tick();
        }
        assert_eq!(session.held().0, FRAMES + 1);
        let delivered = driver.deliver(&mut batch, &mut caches[0]);
        assert_eq!((delivered.published, delivered.missed), (FRAMES, 1), "quota, {how}");
        assert_eq!(session.held(), (0, 0), "{how}");
        assert_eq!(consumer.poll(&mut batch, 100) as u64, FRAMES);
        assert_eq!(consumer.stats().held, FRAMES, "{how}");
        assert_eq!(pool.accounts().held(consumer.holder()).0, FRAMES, "{how}");
        release(std::mem::take(&mut batch), &mut caches);
        assert_eq!(consumer.stats().held, 0, "{how}");
        for accounts in [pool.accounts(), elsewhere.accounts(), session.accounts()] {
            for (name, acquired, released) in charges(accounts) {
                assert_eq!(acquired, released, "{name}, {how}");
            }
        }
    }
    check_edges(&hub);
    drop((driver, consumer, caches));
    check_home(&pool);
}

#[test]
fn adopted_memory_at_a_hub_with_accounts_of_its_own() {
    let session = Accounts::global().holder("session", HolderKind::Session).unwrap();
    let adopted = || {
        let buffer = adopt(vec![7; 100]).map_err(|(error, _)| error).unwrap();
        buffer.into_skb(0..100).map_err(|(error, _)| error).unwrap()
    };
    deliver_and_release(&Accounts::new(), &session, adopted);
    // The session may also be one of the hub's accounts.
    let accounts = Accounts::new();
    let session = accounts.holder("session", HolderKind::Session).unwrap();
    deliver_and_release(&accounts, &session, adopted);
}

#[test]
fn buffers_of_a_pool_with_other_accounts() {
    let pool = Pool::builder(64).accounts(Accounts::new()).build().unwrap();
    let session = pool.accounts().holder("session", HolderKind::Session).unwrap();
    deliver_and_release(&Accounts::new(), &session, || {
        pool.alloc().unwrap().into_skb(0..100).map_err(|(error, _)| error).unwrap()
    });
    check_home(&pool);
}

/// Views may outlive everybody who knew of the accounts; nobody else is charged then.
#[test]
fn views_that_outlive_the_accounts_they_are_charged_in() {
    let accounts = Accounts::new();
    let holder = accounts.holder("gone", HolderKind::Process).unwrap();
    let mut skb = adopt(vec![7; 100]).map_err(|(error, _)| error).unwrap().into_empty_skb();
    skb.hand_to(holder.id(), &mut accounts.shard_handle());
    assert_eq!(holder.held().0, 1);
    drop((holder, accounts));
    let next = Accounts::new();
    let heirs: Vec<_> = (0..4).map(|_| next.holder("next", HolderKind::Process).unwrap()).collect();
    drop(skb);
    assert!(charges(&next).iter().all(|(_, acquired, released)| (*acquired, *released) == (0, 0)));
    drop(heirs);
}
