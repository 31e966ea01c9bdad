//! Streams that are resumed: nothing is handled twice, nothing is skipped unnoticed, counts go on.

use skbpool_engine::{Ingest, IngestConfig, Kept, MessageError, Progress};
use skbpool_pool::{DropReason, adopt};

use crate::support::*;

/// acked_through, accepted, credit, unclaimed, duplicates, as far as they are not 0.
fn response(fields: &[(u8, u8)]) -> Vec<u8> {
    fields.iter().flat_map(|&(number, value)| [number << 3, value]).collect()
}

fn config() -> IngestConfig {
    IngestConfig { credit_bytes: 5, ..IngestConfig::default() }
}

#[test]
fn a_resumed_stream_goes_on_where_it_was_and_skips_what_was_handled() {
    let (pool, hub) = hub(1024);
    let mut reader = consumer(&hub, 64);
    let frames = numbered(&[500; 8]);
    let sent = messages(&frames, 1200);
    assert_eq!(sent.len(), 4);
    let mut first = Ingest::resume(&hub, "in", config(), Progress::default()).unwrap();
    first.submit(&sent[0]).unwrap();
    first.submit(&sent[1]).unwrap();
    let progress = first.progress();
    assert_eq!(progress.acked_through(), 2);
    drop(first);
    let mut second = Ingest::resume(&hub, "in", config(), progress).unwrap();
    assert_eq!(second.greeting(), response(&[(1, 2), (2, 4), (4, 5)]));
    // The acknowledgement of the second message was lost: it comes again.
    let answer = second.submit(&sent[1]).unwrap();
    assert_eq!(answer, response(&[(1, 2), (2, 4), (4, 5), (7, 1)]));
    let (answer, kept) = second.submit_adopted(&sent[0], adopt(sent[0].clone()).unwrap());
    assert_eq!(answer.unwrap(), response(&[(1, 2), (2, 4), (4, 5), (7, 2)]));
    assert!(matches!(kept, Kept::Whole(_)));
    second.submit(&sent[2]).unwrap();
    let answer = second.submit(&sent[3]).unwrap();
    assert_eq!(answer, response(&[(1, 4), (2, 8), (4, 5), (7, 2)]));
    let taken = take_all(&mut reader);
    assert_eq!(given(&taken), frames);
    drop((taken, second, reader));
    assert_all_home(&pool);
}

#[test]
fn a_gap_is_refused_and_the_stream_can_go_on() {
    let (_, hub) = hub(1024);
    let sent = messages(&numbered(&[500; 8]), 1200);
    let mut ingest = Ingest::resume(&hub, "in", config(), Progress::default()).unwrap();
    // Whoever is not known begins with any number.
    ingest.submit(&sent[1]).unwrap();
    let refused = ingest.submit(&sent[3]).unwrap_err();
    assert_eq!(refused, MessageError::Sequence { sequence: 4, handled: 2 });
    assert_eq!(ingest.stats().frames, 2);
    ingest.submit(&sent[0]).unwrap();
    ingest.submit(&sent[2]).unwrap();
    let answer = ingest.submit(&sent[3]).unwrap();
    assert_eq!(answer, response(&[(1, 4), (2, 6), (4, 5), (5, 6), (7, 1)]));
}

#[test]
fn drops_of_both_halves_are_added_up() {
    let (pool, hub) = hub(512);
    let sent = messages(&numbered(&[100; 4]), 300);
    let mut progress = Progress::default();
    for (at, dropped) in [(0, 2), (1, 4)] {
        let mut ingest = Ingest::resume(&hub, "in", config(), progress).unwrap();
        let held: Vec<_> = std::iter::from_fn(|| pool.alloc().ok()).collect();
        let answer = ingest.submit(&sent[at]).unwrap();
        // acked_through, dropped { reason: pool_empty, frames, bytes: 100 each }, credit
        let reason = DropReason::PoolEmpty.number() as u8;
        let mut expected = vec![0x08, at as u8 + 1, 0x1a];
        let mut drops = vec![0x08, reason, 0x10, dropped, 0x18];
        let bytes = u16::from(dropped) * 100;
        drops.extend([(bytes & 127) as u8 | 128, (bytes >> 7) as u8]);
        expected.push(drops.len() as u8);
        expected.extend(drops);
        expected.extend([0x20, 5]);
        assert_eq!(answer, expected);
        progress = ingest.progress();
        drop(held);
    }
}
