//! Copies of bytes into buffers of one's own are counted, and nothing else is.

use super::{assert_all_home, bytes_of, pool, skb_of};
use skbpool_pool::{AllocError, Buffer, BufferSource, CopyError, CopyStage, Pool, adopt};

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

/// Anybody may write a source: one that says `told` of its buffers, and gives those of `pool`, or none but
/// empty ones.
struct Liar<'a> {
    pool: Option<&'a Pool>,
    told: u32,
    asked: u32,
}

impl BufferSource for Liar<'_> {
    fn buffer(&mut self) -> Result<Buffer, AllocError> {
        self.asked += 1;
        assert!(self.asked < 100, "asked for ever");
        match self.pool {
            Some(pool) => pool.alloc(),
            None => Ok(adopt(Vec::new()).map_err(|(error, _)| error).unwrap()),
        }
    }

    fn buffer_bytes(&self) -> u32 {
        self.told
    }

    fn count_copy(&mut self, _bytes: u32) {}
}

#[test]
fn a_source_whose_buffers_are_smaller_than_it_says_is_an_error_that_changes_nothing() {
    let (small, large) = (pool(4), Pool::builder(2).order(1).build().unwrap());
    let mut frame = skb_of(&large, 0, &[1; 5000]);
    frame.append_frag(skb_of(&large, 0, &[2; 60])).unwrap();
    let clone = frame.clone_skb().unwrap();
    for told in [5060, 8192, u32::MAX] {
        let mut liar = Liar { pool: Some(&small), told, asked: 0 };
        let error = frame.linearize(&mut liar).unwrap_err();
        assert_eq!(error, CopyError::TooLarge { needed: 5060, buffer: 4096 });
        let error = frame.pull_up(5001, &mut liar).unwrap_err();
        assert_eq!(error, CopyError::TooLarge { needed: 5001, buffer: 4096 });
        // A copy needs nothing in one piece, and gets by on what there is.
        let copy = frame.copy(&mut liar).unwrap();
        assert!(copy.is_chain() && bytes_of(&copy) == bytes_of(&frame));
    }
    assert_eq!((frame.views(), bytes_of(&frame)), (2, bytes_of(&clone)));
    drop((frame, clone));
    assert_all_home(&small);
    assert_all_home(&large);
}

#[test]
fn a_source_of_empty_buffers_is_asked_once() {
    let pool = pool(2);
    let mut frame = skb_of(&pool, 0, b"head");
    frame.append_frag(skb_of(&pool, 0, b"tail")).unwrap();
    let clone = frame.clone_skb().unwrap();
    for verb in 0..4 {
        let mut liar = Liar { pool: None, told: 4096, asked: 0 };
        let (error, needed) = match verb {
            0 => (frame.copy(&mut liar).map(drop), 1),
            1 => (frame.unshare(&mut liar), 1),
            2 => (frame.linearize(&mut liar), 8),
            _ => (frame.pull_up(5, &mut liar), 5),
        };
        assert_eq!(error, Err(CopyError::TooLarge { needed, buffer: 0 }));
        assert_eq!((liar.asked, frame.views()), (1, 2));
    }
    drop((frame, clone));
    assert_all_home(&pool);
}
