//! A message that is wrong is refused as a whole, and what came before it stays.

use proptest::prelude::*;
use skbpool_deliver::HubError;
use skbpool_engine::{Ingest, IngestConfig, MessageError};

use crate::support::*;

#[test]
fn lengths_that_exceed_the_data() {
    let (_, hub) = hub(1024);
    let mut reader = consumer(&hub, 64);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let first = numbered(&[60, 70]);
    let answer = ingest.submit(&message(&first)).unwrap();
    // FrameBatch { frames: "abc", length: [4] }
    let wrong = [0x0a, 11, 0x0a, 3, b'a', b'b', b'c', 0x12, 4, 4, 0, 0, 0];
    let error = ingest.submit(&wrong).unwrap_err();
    assert!(matches!(error, MessageError::Malformed(_)), "{error}");
    assert!(error.to_string().contains("lacks data"), "{error}");
    assert_eq!(ingest.greeting(), answer, "the acknowledgement is as it was");
    assert_eq!(given(&take_all(&mut reader)), first);
    ingest.submit(&message(&numbered(&[60]))).unwrap();
    assert_eq!(take_all(&mut reader).len(), 1, "the stream goes on");
}

#[test]
fn an_interface_that_does_not_fit_an_skb() {
    let (_, hub) = hub(1024);
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let mut frames = numbered(&[60]);
    frames[0].interface = 65_536;
    let error = ingest.submit(&message(&frames)).unwrap_err();
    assert_eq!(error, MessageError::Interface { interface: 65_536 });
    assert_eq!(ingest.stats().frames, 0);
}

#[test]
fn a_frame_over_the_stream_s_limit_and_one_over_the_wire_s() {
    let (_, hub) = hub(1024);
    let config = IngestConfig { max_frame_bytes: 1500, ..IngestConfig::default() };
    let mut ingest = Ingest::attach(&hub, "in", config).unwrap();
    ingest.submit(&message(&numbered(&[1500]))).unwrap();
    let error = ingest.submit(&message(&numbered(&[60, 1501, 60]))).unwrap_err();
    assert_eq!(error, MessageError::FrameTooLarge { index: 1, length: 1501, limit: 1500 });
    assert_eq!(ingest.stats().frames, 1);

    let mut batch = vec![0x0a, 0x81, 0x80, 0x10];
    batch.resize(4 + 262_145, 0);
    batch.extend([0x12, 4, 1, 0, 4, 0]);
    let mut request = vec![0x0a];
    let mut size = batch.len();
    while size >= 0x80 {
        request.push(size as u8 | 0x80);
        size >>= 7;
    }
    request.push(size as u8);
    request.extend(batch);
    let mut ingest = Ingest::attach(&hub, "wide", IngestConfig::default()).unwrap();
    let error = ingest.submit(&request).unwrap_err();
    assert_eq!(error, MessageError::FrameTooLarge { index: 0, length: 262_145, limit: 262_144 });
}

#[test]
fn a_pool_too_small_for_one_more_driver() {
    let (pool, hub) = hub(80);
    let error = Ingest::attach(&hub, "in", IngestConfig::default()).err().unwrap();
    assert!(matches!(error, HubError::PoolTooSmall(_)), "a cache, and a frame of 262,144 bytes");
    let config = IngestConfig { max_frame_bytes: 9000, ..IngestConfig::default() };
    let ports: Vec<_> = (0..10).map_while(|_| Ingest::attach(&hub, "in", config).ok()).collect();
    assert!((1..10).contains(&ports.len()), "{}", ports.len());
    drop(ports);
    assert_eq!(pool.stats().reserved, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_bytes_come_the_accounts_hold(
        frames in any_frames(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (pool, hub) = hub(2048);
        let mut reader = consumer(&hub, 256);
        let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
        for mut message in messages(&frames, 1 << 20) {
            for (at, value) in &damage {
                let at = at.index(message.len());
                message[at] = *value;
            }
            let keep = cut.index(2 * message.len());
            message.truncate(keep);
            let before = ingest.stats();
            if ingest.submit(&message).is_err() {
                prop_assert_eq!(ingest.stats(), before);
            }
        }
        let stats = reader.stats();
        let taken = take_all(&mut reader);
        let missed: u64 = stats.dropped.iter().map(|count| count.frames).sum();
        prop_assert_eq!(stats.offered, taken.len() as u64 + missed);
        drop((taken, reader, ingest));
        assert_all_home(&pool);
    }
}
