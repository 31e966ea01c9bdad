//! A line that waits for room and a sender that waits for frames: nobody is left asleep, and they never
//! wait for each other. A wait that nobody ends is a deadlock, which loom reports; its `wait_timeout`
//! never times out.

use super::check;
use crate::uplink::{Taken, Uplink, UplinkSink};
use loom::thread;
use skbpool_nic::RxSink;
use skbpool_pool::{HolderId, Pool, SkbBatch};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FOR_EVER: Duration = Duration::from_secs(1 << 20);

const BURSTS: u32 = 3;

/// A line of three bursts of a frame each, and a sender that waits for weight as `wanted` says of the
/// frames it has in hand; the uplink is crowded when more than `limit` frames are in it.
fn line_and_sender(limit: u64, wanted: fn(usize) -> u64) {
    let pool = Pool::builder(2).build().unwrap();
    let mut cache = pool.local_cache();
    let mut armed = cache.alloc().unwrap().arm(BURSTS).unwrap();
    let frames: Vec<_> = (0..BURSTS).map(|at| armed.skb(at, 1).unwrap()).collect();
    let truesize = u64::from(frames[0].truesize());
    let uplink = Uplink::new(limit * truesize);
    let line = {
        let uplink = Arc::clone(&uplink);
        thread::spawn(move || {
            let mut sink = UplinkSink { uplink, holder: HolderId::NONE };
            for frame in frames {
                assert!(sink.uplink.wait_for_room(FOR_EVER));
                sink.accept(&mut SkbBatch::from_iter([frame]), &mut cache);
            }
            sink.uplink.end();
        })
    };
    let (mut in_hand, mut sent) = (SkbBatch::new(), Vec::new());
    loop {
        let wanted = wanted(in_hand.len());
        let taken = uplink.take(&mut in_hand, wanted, Instant::now() + FOR_EVER);
        if taken == Taken::Frames && wanted == 1 {
            continue;
        }
        uplink.sent(in_hand.len() as u64 * truesize);
        sent.extend(in_hand.drain());
        if taken == Taken::End {
            break;
        }
    }
    line.join().unwrap();
    assert_eq!(sent.len(), BURSTS as usize);
}

/// Sends a frame as soon as there is one, and the line waits until it was sent.
#[test]
fn neither_side_is_left_asleep() {
    check(|| line_and_sender(0, |in_hand| if in_hand == 0 { 1 } else { 0 }));
}

/// Holds the first frame back for a message that is larger than the uplink.
#[test]
fn the_two_never_wait_for_each_other() {
    check(|| line_and_sender(0, |in_hand| if in_hand == 0 { 1 } else { u64::MAX }));
}

/// The same where there is room for one frame beside the one that is held back.
#[test]
fn a_message_is_held_back_only_while_there_is_room() {
    check(|| line_and_sender(1, |in_hand| if in_hand == 0 { 1 } else { u64::MAX }));
}
