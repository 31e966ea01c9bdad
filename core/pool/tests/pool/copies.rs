//! Copies of bytes into buffers of one's own are counted, and nothing else is.

use super::{bytes_of, pool, skb_of};
use skbpool_pool::{CopyStage, Pool};

/// Frames and bytes copied so far.
fn copied(pool: &Pool) -> (u64, u64) {
    let count = pool.accounts().copies()[CopyStage::SkbCopy as usize];
    assert_eq!(pool.accounts().copies().iter().map(|count| count.bytes).sum::<u64>(), count.bytes);
    (count.frames, count.bytes)
}

#[test]
fn sharing_copies_nothing_and_the_verbs_that_copy_say_how_much() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let mut skb = skb_of(&pool, 16, &[7; 100]);
    let clone = skb.clone_skb().unwrap();
    let slice = skb.slice(10, 20).unwrap();
    assert_eq!(copied(&pool), (0, 0));

    let copy = skb.copy(&mut cache).unwrap();
    assert_eq!(copied(&pool), (1, 100));
    skb.unshare(&mut &pool).unwrap();
    assert_eq!(copied(&pool), (2, 200));
    skb.unshare(&mut cache).unwrap();
    assert_eq!(copied(&pool), (2, 200), "it is the only view already");

    for part in [clone, slice] {
        skb.append_frag(part).map_err(|(error, _)| error).unwrap();
    }
    assert_eq!(copied(&pool), (2, 200));
    skb.pull_up(110, &mut cache).unwrap();
    assert_eq!(copied(&pool), (3, 310), "what follows stays where it is");
    skb.linearize(&mut cache).unwrap();
    assert_eq!(copied(&pool), (4, 530));
    skb.linearize(&mut cache).unwrap();
    assert_eq!(copied(&pool), (4, 530), "it is no chain any more");
    assert_eq!(bytes_of(&skb), [7; 220]);
    drop(copy);
}

#[test]
fn a_copy_that_failed_is_not_counted() {
    let pool = pool(2);
    let first = skb_of(&pool, 0, &[1; 10]);
    let second = skb_of(&pool, 0, &[2; 10]);
    first.copy(&mut &pool).unwrap_err();
    assert_eq!(copied(&pool), (0, 0));
    drop(second);
    first.copy(&mut &pool).unwrap();
    assert_eq!(copied(&pool), (1, 10));
}
