//! Batches: many skbs as one thing.

use super::{assert_all_home, pool, skb_of};
use skbpool_pool::{Accounts, AllocError, Buffer, Holder, HolderKind, Pool, SkbBatch, adopt};

fn views(pool: &Pool, count: u32) -> SkbBatch {
    let mut armed = pool.alloc().unwrap().arm(count).map_err(|(error, _)| error).unwrap();
    (0..count).map(|view| armed.skb(view * 8, 8).unwrap()).collect()
}

#[test]
fn smoke() {
    let pool = pool(4);
    let mut cache = pool.local_cache();
    let mut batch = views(&pool, 10);
    batch.append(&mut views(&pool, 5));
    assert_eq!((batch.len(), batch.bytes()), (15, 120));
    let mut back = batch.split_off(12);
    assert_eq!((batch.len(), back.len()), (12, 3));
    assert_eq!(batch.split_off(99).len(), 0);
    cache.release_batch(&mut batch);
    assert!(batch.is_empty());
    assert_eq!(pool.stats().in_flight, 1);
    back.release(&mut cache);
    assert_eq!((pool.stats().in_flight, cache.cached()), (0, 2));
    assert_eq!(pool.stats().releases, 2);
}

/// Runs of one buffer, interleaved buffers, chains, other pools' and brought buffers in one batch.
fn mixed_batch(one: &Pool, two: &Pool) -> SkbBatch {
    let mut batch = SkbBatch::with_capacity(64);
    for _ in 0..3 {
        batch.extend(views(one, 4));
        batch.push(adopt(vec![0; 64]).unwrap().into_empty_skb());
        batch.extend(views(two, 2));
        let mut chain = skb_of(one, 0, b"head");
        chain.append_frag(skb_of(two, 0, b"tail")).unwrap();
        batch.push(chain);
    }
    let interleaved = (views(one, 3), views(one, 3));
    for (a, b) in interleaved.0.into_iter().zip(interleaved.1) {
        batch.push(a);
        batch.push(b);
    }
    batch
}

#[test]
fn a_mixed_batch_brings_everything_home() {
    let (one, two) = (pool(16), pool(16));
    let mut cache = one.local_cache();
    let mut batch = mixed_batch(&one, &two);
    let kept = batch.as_slice()[0].clone_skb().unwrap();
    cache.release_batch(&mut batch);
    assert_eq!((one.stats().in_flight, two.stats().in_flight), (1, 0));
    cache.release(kept);
    drop(cache);
    assert_all_home(&one);
    assert_all_home(&two);
}

/// Without a cache the same comes home, each holder is settled, and each arrival counted.
#[test]
fn a_dropped_batch_brings_everything_home() {
    let named =
        |name: &str| Pool::builder(16).name(name).accounts(Accounts::new()).build().unwrap();
    let (one, two) = (named("one"), named("two"));
    let accounts = [one.accounts(), two.accounts()];
    let holders = accounts.map(|a| a.holder("drops", HolderKind::Consumer).unwrap());
    let mut batch = mixed_batch(&one, &two);
    let mut measured = 0;
    for (position, skb) in batch.as_mut_slice().iter_mut().enumerate() {
        let of = |pool: &Pool| Pool::of(skb).is_some_and(|own| own.name() == pool.name());
        let Some(at) = [&one, &two].into_iter().position(of) else { continue };
        // Every third is nobody's, so that runs of one buffer change hands in the middle.
        if position % 3 != 0 {
            skb.hand_to(holders[at].id(), &mut accounts[at].shard_handle());
        }
        if position % 4 != 0 {
            skb.birth = skbpool_pool::clock::tick();
            measured += 1;
        }
    }
    assert!(holders.iter().all(|holder| holder.held().0 > 1));
    let kept = batch.as_slice()[0].clone_skb().unwrap();
    batch.release_uncached();
    assert!(batch.is_empty());
    assert_eq!(holders.each_ref().map(Holder::held), [(0, 0); 2]);
    let counted = |pool: &Pool| pool.accounts().latency().buckets.iter().sum::<u64>();
    assert_eq!(counted(&one) + counted(&two), measured);
    assert_eq!((one.stats().in_flight, two.stats().in_flight), (1, 0));
    batch.push(kept);
    drop(batch);
    assert_all_home(&one);
    assert_all_home(&two);
}

#[test]
fn a_cloned_batch_shares_every_buffer() {
    let pool = pool(8);
    let mut cache = pool.local_cache();
    let mut batch = views(&pool, 4);
    let mut chain = skb_of(&pool, 0, b"head");
    chain.append_frag(skb_of(&pool, 0, b"tail")).unwrap();
    batch.push(chain);
    let mut clones = SkbBatch::new();
    batch.clone_front_into(batch.len(), &mut clones).unwrap();
    assert_eq!((clones.len(), clones.bytes()), (batch.len(), batch.bytes()));
    for (skb, clone) in batch.as_slice().iter().zip(&clones) {
        assert!(skb.parts().eq(clone.parts()));
        assert_eq!(skb.data().as_ptr(), clone.data().as_ptr());
    }
    assert_eq!(batch.as_slice()[0].header().references(), 8);
    assert_eq!(pool.stats().in_flight, 3);
    clones.release(&mut cache);
    assert_eq!(batch.as_slice()[0].header().references(), 4);
    assert_eq!(pool.stats().in_flight, 3);
    drop(batch);
    drop(cache);
    assert_all_home(&pool);
}

/// A clone that hits the limit says how far it came, and what it took for the rest is given back.
#[test]
fn a_clone_that_stops_half_way_leaks_nothing() {
    let pool = pool(2);
    let mut batch = views(&pool, 4);
    let limit = skbpool_pool::MAX_REFERENCES;
    let mut armed = pool.alloc().unwrap().arm(limit - 1).map_err(|(error, _)| error).unwrap();
    batch.push(armed.skb(0, 1).unwrap());
    batch.push(armed.skb(1, 1).unwrap());
    let mut clones = SkbBatch::new();
    let (_, cloned) = batch.clone_front_into(batch.len(), &mut clones).unwrap_err();
    assert_eq!((cloned, clones.len()), (4, 4));
    assert_eq!(batch.as_slice()[0].header().references(), 8);
    assert_eq!(batch.as_slice()[4].header().references(), limit - 1);
    drop((clones, batch, armed));
    assert_all_home(&pool);
}

#[test]
fn latency_is_counted_once_a_view() {
    let pool = pool(16);
    let mut cache = pool.local_cache();
    let mut batch = views(&pool, 7);
    // The first one was not measured; the others were, in two bursts.
    for skb in &mut batch.as_mut_slice()[1..] {
        skb.birth = skbpool_pool::clock::tick();
    }
    batch.release(&mut cache);
    let mut single = skb_of(&pool, 0, b"x");
    single.birth = skbpool_pool::clock::tick();
    cache.release(single);
    cache.release(skb_of(&pool, 0, b"not measured"));
    assert_eq!(pool.accounts().latency().buckets.iter().sum::<u64>(), 7);
    let mut dropped = skb_of(&pool, 0, b"y");
    dropped.birth = skbpool_pool::clock::tick();
    let copied = dropped.clone_skb().unwrap();
    dropped.unshare(&mut &pool).unwrap();
    assert_eq!(pool.accounts().latency().buckets.iter().sum::<u64>(), 7, "the frame lives on");
    drop((dropped, copied));
    assert_eq!(pool.accounts().latency().buckets.iter().sum::<u64>(), 9);
}

#[test]
fn a_batch_is_allocated_whole_or_not_at_all() {
    let pool = pool(48);
    let mut cache = pool.local_cache();
    let mut batch = SkbBatch::new();
    cache.alloc_batch(40, &mut batch).unwrap();
    assert_eq!((batch.len(), pool.stats().in_flight), (40, 40));
    let error = cache.alloc_batch(9, &mut batch).unwrap_err();
    assert!(matches!(error, AllocError::Exhausted { in_flight: 40, .. }), "{error:?}");
    assert_eq!((batch.len(), pool.stats().in_flight), (40, 40));
    cache.alloc_batch(8, &mut batch).unwrap();
    batch.release(&mut cache);
    assert!(cache.alloc_batch(49, &mut batch).is_err());
    pool.close();
    assert_eq!(cache.alloc_batch(0, &mut batch), Err(AllocError::Closed));
    assert!(batch.is_empty());
    drop(cache);
    assert_all_home(&pool);
}

/// What is allocated in a batch is what [`Buffer::into_empty_skb`] makes, field by field.
#[test]
fn skbs_of_a_batch_are_blank() {
    let pool = pool(16);
    let mut cache = pool.local_cache();
    let mut batch = SkbBatch::new();
    cache.alloc_batch(3, &mut batch).unwrap();
    for mut skb in batch {
        assert_eq!((skb.len(), skb.headroom(), skb.tailroom()), (0, 0, 4096));
        assert_eq!((skb.truesize(), skb.views(), skb.original_length()), (4096, 1, 0));
        assert_eq!((skb.timestamp_ns, skb.hash, skb.birth, skb.port), (0, 0, 0, 0));
        assert_eq!((skb.link_type, skb.flags.0), (1, 0));
        assert!(skb.is_writable() && !skb.is_chain());
        assert_eq!(skb.put(5).unwrap().len(), 5);
    }
}

/// One skb among plain ones has something to settle: its holder, its latency, its fragments.
#[test]
fn what_has_to_be_settled_is_found_at_any_place() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let holder = pool.accounts().holder("reader", HolderKind::Consumer).unwrap();
    let held = |pool: &Pool| pool.accounts().held(holder.id()).0;
    let latencies = |pool: &Pool| pool.accounts().latency().buckets.iter().sum::<u64>();
    for place in 0..8 {
        for kind in 0..4 {
            let before = latencies(&pool);
            let mut batch = SkbBatch::new();
            cache.alloc_batch(8, &mut batch).unwrap();
            for skb in batch.as_mut_slice() {
                skb.port = u16::MAX; // lies between what is looked at
            }
            let skb = &mut batch.as_mut_slice()[place];
            match kind {
                0 => skb.hand_to(holder.id(), cache.shard()),
                1 => skb.birth = 1,
                2 => skb.birth = 1 << 31,
                _ => skb.append_frag(skb_of(&pool, 0, b"tail")).unwrap(),
            }
            assert_eq!(held(&pool), u64::from(kind == 0));
            batch.release(&mut cache);
            assert_eq!(held(&pool), 0);
            assert_eq!(latencies(&pool) - before, u64::from(kind == 1 || kind == 2));
            assert_eq!(pool.stats().in_flight, 0);
        }
    }
}

#[test]
fn a_bulk_that_fails_midway_gives_back_what_it_got() {
    let pool = pool(48);
    let mut cache = pool.local_cache();
    let held: Vec<Buffer> = (0..10).map(|_| pool.alloc().unwrap()).collect();
    let mut into = Vec::new();
    let error = cache.alloc_bulk(39, &mut into).unwrap_err();
    assert!(matches!(error, AllocError::Exhausted { in_flight: 10, .. }), "{error:?}");
    assert!(into.is_empty());
    drop((held, cache));
    assert_all_home(&pool);
}

#[test]
fn every_way_home_raises_the_generation() {
    let pool = pool(1);
    let mut cache = pool.local_cache();
    for way in 0..4 {
        let skb = cache.alloc().unwrap().into_empty_skb();
        assert_eq!(skb.header().generation(), way);
        match way {
            0 => cache.release(skb),
            1 => cache.release_batch(&mut SkbBatch::from_iter([skb])),
            2 => drop(SkbBatch::from_iter([skb])),
            _ => {
                let other = skb.clone_skb().unwrap();
                cache.release_batch(&mut SkbBatch::from_iter([skb, other]));
            }
        }
    }
    assert_eq!(cache.alloc().unwrap().header().generation(), 4);
}
