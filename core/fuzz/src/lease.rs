//! Buffers that a client fills over several calls, and the skbs that it cuts and delivers.

use skbpool_deliver::Hub;
use skbpool_engine::{LeasePort, Subscription, SubscriptionConfig};
use skbpool_pool::{Fill, LocalCache, Pool, SkbBatch};

use crate::numbers::Numbers;
use crate::rig::{Told, with_pool};
use crate::wire::Described;

/// Buffers that a client has at a time.
const LEASED: usize = 4;

/// Calls of a client, one after the other: allocate, write, cut, deliver, release.
pub(crate) fn lease(data: &[u8]) {
    with_pool(|pool| run(pool, &mut Numbers::new(data)));
}

fn run(pool: &Pool, input: &mut Numbers<'_>) {
    let hub = Hub::new(pool.clone());
    let max_message_bytes = 65_536;
    let quota = u32::from(input.u8() & 63) + 1;
    let config = SubscriptionConfig::new(quota, max_message_bytes);
    let mut subscription = Subscription::attach(&hub, "reader", config).expect("there is room");
    let mut port = LeasePort::attach(&hub, "driver").expect("there is room");
    let mut cache = pool.local_cache();
    let mut leased: [Option<Fill>; LEASED] = Default::default();
    let mut batch = SkbBatch::new();
    let (mut cut, mut sent) = (Vec::new(), Vec::new());
    let mut told = Told::default();
    while !input.is_empty() {
        let call = input.u8();
        let place = usize::from(call >> 3) % LEASED;
        match call & 7 {
            0 => allocate(pool, &mut leased[place], &mut cache),
            1 | 2 => write(&mut leased[place], input),
            3 | 4 => make_skb(&mut leased[place], input, &mut batch, &mut cut),
            5 => {
                let delivered = port.deliver(&mut batch);
                assert!(batch.is_empty());
                let missed: u64 = delivered.dropped.iter().map(|count| count.frames).sum();
                assert_eq!(delivered.delivered + missed, cut.len() as u64);
                assert_eq!(delivered.unclaimed, 0);
                sent.append(&mut cut);
                if call & 64 == 0 {
                    told.drain(&mut subscription, max_message_bytes);
                }
            }
            6 => {
                drop(batch.pop());
                cut.pop();
            }
            _ => leased[place].take().into_iter().for_each(|fill| fill.finish(&mut cache)),
        }
    }
    told.drain(&mut subscription, max_message_bytes);
    told.assert_among(&sent);
}

/// Leases a buffer of which every byte is known.
fn allocate(pool: &Pool, leased: &mut Option<Fill>, cache: &mut LocalCache) {
    // All may be in skbs that were not delivered yet.
    let Ok(mut buffer) = pool.alloc() else { return };
    buffer.as_mut_slice().expect("pool memory").fill(0xee);
    let fill = buffer.fill().map_err(|(error, _)| error).expect("pool memory");
    leased.replace(fill).into_iter().for_each(|old| old.finish(cache));
}

/// Writes into the part that no view can see, or leaves some of it out.
fn write(leased: &mut Option<Fill>, input: &mut Numbers<'_>) {
    let (offset, len) = (input.size(4096), input.size(4096));
    let Some(fill) = leased else { return };
    let (room, position) = (fill.room(), fill.position());
    assert_eq!(room + position, fill.header().size());
    let tail = fill.tail_mut();
    assert_eq!(tail.len(), room as usize);
    let range = (offset as usize).min(tail.len())..(offset as usize + len as usize).min(tail.len());
    let byte = input.u8();
    tail.get_mut(range).into_iter().for_each(|bytes| bytes.fill(byte));
    if byte == 0x55 {
        fill.skip(len);
        assert_eq!(fill.position(), position + len.min(room));
    }
}

/// Cuts an skb with head- and tailroom of any size.
fn make_skb(
    leased: &mut Option<Fill>,
    input: &mut Numbers<'_>,
    batch: &mut SkbBatch,
    cut: &mut Vec<Described>,
) {
    let (headroom, len, tailroom) = (input.size(4096), input.size(4096), input.size(4096));
    let Some(fill) = leased else { return };
    let (room, position) = (fill.room(), fill.position());
    let whole = u64::from(headroom) + u64::from(len) + u64::from(tailroom);
    let expected =
        fill.tail_mut().iter().skip(headroom as usize).take(len as usize).copied().collect();
    match fill.cut(headroom, len, tailroom) {
        Ok(mut skb) => {
            assert!(whole <= u64::from(room));
            assert_eq!(u64::from(fill.position() - position), whole);
            assert_eq!((skb.headroom(), skb.len(), skb.tailroom()), (headroom, len, tailroom));
            skb.timestamp_ns = input.u8().into();
            skb.port = input.u8().into();
            let described = Described::of_skb(&skb);
            assert_eq!((&described.bytes, described.link_type), (&expected, 1));
            batch.push(skb);
            cut.push(described);
        }
        Err(error) => {
            assert!(whole > u64::from(room), "{error}");
            assert_eq!((fill.room(), fill.position()), (room, position));
        }
    }
}
