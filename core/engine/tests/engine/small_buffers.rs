//! Below the low watermark, messages of few frames land in small buffers.

use skbpool_deliver::Hub;
use skbpool_engine::{Ingest, IngestConfig};
use skbpool_pool::{Accounts, CopyStage, Pool};

use crate::support::*;

#[test]
fn while_the_pool_is_low_a_few_frames_pin_no_large_buffer() {
    let accounts = Accounts::new();
    let builder = Pool::builder(512).order(4).watermarks(256, 300).accounts(accounts.clone());
    let (pool, small) = (builder.build().unwrap(), Pool::builder(2).accounts(accounts));
    let small = small.build().unwrap();
    let hub = Hub::new(pool.clone());
    let mut reader = consumer(&hub, 128);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    ingest.land_small_in(Some(&small));
    let frames = numbered(&[0, 60, 64, 65, 1514]);
    let mut pinned = |frames: &[Given]| {
        let before = (pool.stats().in_flight, small.stats().in_flight);
        ingest.submit(&message(frames)).unwrap();
        let taken = take_all(&mut reader);
        assert_eq!(given(&taken), frames);
        let after = (pool.stats().in_flight, small.stats().in_flight);
        ((after.0 - before.0, after.1 - before.1), taken)
    };

    let (plenty, first) = pinned(&frames);
    assert_eq!(plenty, (1, 0), "there are buffers enough");
    let scarce: Vec<_> =
        std::iter::from_fn(|| (!pool.is_low()).then(|| pool.alloc().unwrap())).collect();
    let (few, second) = pinned(&frames);
    assert_eq!(few, (0, 1));
    // More than a small buffer holds goes to a large one, and what is left of it behind that as well.
    let (many, third) = pinned(&numbered(&[1514; 10]));
    assert_eq!(many, (1, 0));
    let (chain, fourth) = pinned(&numbered(&[70_000, 60]));
    assert_eq!(chain, (2, 1), "the frame behind a large one is all that is left");
    // The small pool is used up now.
    let (used_up, fifth) = pinned(&frames);
    assert_eq!(used_up, (1, 0));
    let landed = pool.accounts().copies()[CopyStage::Land as usize];
    assert_eq!((landed.frames, landed.bytes), (15 + 10 + 2, 3 * 1703 + 15_140 + 70_060));
    drop((first, second, third, fourth, fifth, scarce, ingest, reader, hub));
    assert_all_home(&pool);
    assert_all_home(&small);
}
