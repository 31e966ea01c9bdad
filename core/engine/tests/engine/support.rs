//! Frames, messages and hubs for the tests.

use std::sync::Arc;

use proptest::prelude::*;
use skbpool_deliver::{Consumer, ConsumerConfig, Hub};
use skbpool_engine::{FrameComposer, Subscription};
use skbpool_pool::{Pool, SkbBatch};
use skbpool_wire::{Frame, SubscribeResponseView};

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub bytes: Vec<u8>,
    pub original_length: u32,
    pub timestamp_ns: u64,
    pub link_type: u16,
    pub interface: u32,
}

impl Given {
    /// Bytes that tell which frame and which byte they are.
    pub fn numbered(number: usize, len: usize) -> Self {
        Self {
            bytes: (0..len).map(|at| (number * 31 + at * 7 + at / 256) as u8).collect(),
            original_length: len as u32,
            timestamp_ns: 1_700_000_000_000_000_000 + number as u64,
            link_type: 1,
            interface: 0,
        }
    }

    pub fn frame(&self) -> Frame<'_> {
        Frame {
            bytes: &self.bytes,
            original_length: self.original_length,
            timestamp_ns: self.timestamp_ns,
            link_type: self.link_type,
            interface: self.interface,
        }
    }
}

pub fn numbered(lengths: &[usize]) -> Vec<Given> {
    lengths.iter().enumerate().map(|(number, &len)| Given::numbered(number, len)).collect()
}

/// Frames of all sizes and kinds, in batches that share link type and interface.
pub fn any_frames() -> impl Strategy<Value = Vec<Given>> {
    let len = prop_oneof![
        4 => 0usize..=130,
        2 => 1000usize..=1600,
        1 => 4000usize..=4200,
        1 => 8100usize..=20_000,
    ];
    let original = prop_oneof![3 => Just(None), 1 => (0u32..100_000).prop_map(Some)];
    let frame = (len, original, 0u64..1 << 34);
    let run = (prop::collection::vec(frame, 1..40), 0u16..4, prop_oneof![0u32..3, Just(65_535)]);
    prop::collection::vec(run, 1..4).prop_map(|runs| {
        let mut given = Vec::new();
        for (frames, link_type, interface) in runs {
            for (len, original, timestamp_ns) in frames {
                let numbered = Given::numbered(given.len(), len);
                let original_length = original.unwrap_or(numbered.original_length);
                given.push(Given {
                    original_length,
                    timestamp_ns,
                    link_type,
                    interface,
                    ..numbered
                });
            }
        }
        given
    })
}

/// The frames in `IngestRequest` messages of at most `max_bytes`.
pub fn messages(frames: &[Given], max_bytes: usize) -> Vec<Vec<u8>> {
    let mut composer = FrameComposer::new(max_bytes, "");
    let mut messages = Vec::new();
    for frame in frames {
        messages.extend(composer.push(&frame.frame()).unwrap());
    }
    messages.extend(composer.flush().unwrap());
    messages
}

/// The frames in one `IngestRequest`.
pub fn message(frames: &[Given]) -> Vec<u8> {
    let mut messages = messages(frames, 64 << 20);
    assert_eq!(messages.len(), 1, "the frames do not fit one batch");
    messages.remove(0)
}

pub fn hub(buffers: u32) -> (Pool, Arc<Hub>) {
    let pool = Pool::builder(buffers).build().unwrap();
    (pool.clone(), Hub::new(pool))
}

pub fn consumer(hub: &Arc<Hub>, quota: u32) -> Consumer {
    hub.attach_consumer("reader", ConsumerConfig::with_quota(quota)).unwrap()
}

/// Everything that `consumer` has now.
pub fn take_all(consumer: &mut Consumer) -> SkbBatch {
    let mut batch = SkbBatch::new();
    while consumer.poll(&mut batch, 1000) != 0 {}
    batch
}

/// The frames in skbs.
pub fn given(batch: &SkbBatch) -> Vec<Given> {
    let frames = batch.as_slice().iter();
    frames
        .map(|skb| Given {
            bytes: skb.parts().collect::<Vec<_>>().concat(),
            original_length: skb.original_length(),
            timestamp_ns: skb.timestamp_ns,
            link_type: skb.link_type,
            interface: u32::from(skb.port),
        })
        .collect()
}

/// The next message of a subscription.
pub fn next_message(subscription: &mut Subscription) -> Option<Vec<u8>> {
    let planned = subscription.plan().unwrap()?;
    let mut message = Vec::with_capacity(planned.encoded_len);
    let room = &mut message.spare_capacity_mut()[..planned.encoded_len];
    let written = subscription.write(room).unwrap().len();
    // SAFETY: `write` initialised that many bytes, within the capacity.
    unsafe { message.set_len(written) };
    Some(message)
}

/// The frames in `SubscribeResponse` messages.
pub fn frames_of(messages: &[Vec<u8>]) -> Vec<Given> {
    let mut given = Vec::new();
    for message in messages {
        let response = SubscribeResponseView::parse(message).unwrap();
        for frame in response.batch.iter().flat_map(|batch| batch.frames()) {
            given.push(Given {
                bytes: frame.bytes.to_vec(),
                original_length: frame.original_length,
                timestamp_ns: frame.timestamp_ns,
                link_type: frame.link_type,
                interface: frame.interface,
            });
        }
    }
    given
}

/// Every buffer is where it belongs when nobody holds a view.
pub fn assert_all_home(pool: &Pool) {
    let stats = pool.stats();
    assert_eq!((stats.in_flight, stats.violations), (0, 0), "{stats:?}");
    pool.audit().unwrap();
}
