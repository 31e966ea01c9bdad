//! Streams of `IngestRequest` messages landing in buffers, and leaving in `SubscribeResponse`s.

use prost::Message;
use skbpool_deliver::Hub;
use skbpool_engine::{Ingest, IngestConfig, Subscription, SubscriptionConfig};
use skbpool_pool::Pool;

use crate::messages::{IngestRequest, IngestResponse};
use crate::numbers::Numbers;
use crate::rig::{Told, piece, with_pool};
use crate::wire::{Described, valid_request};

/// A quota, a limit on frames and messages, then messages, each with its length before it.
pub(crate) fn ingest(data: &[u8]) {
    with_pool(|pool| run(pool, &mut Numbers::new(data)));
}

fn run(pool: &Pool, input: &mut Numbers<'_>) {
    let hub = Hub::new(pool.clone());
    let quota = u32::from(input.u8() & 127) + 1;
    let max_frame_bytes = input.size(4096);
    let max_message_bytes = 600 + usize::from(input.u16());
    let config = SubscriptionConfig::new(quota, max_message_bytes);
    let mut subscription = Subscription::attach(&hub, "reader", config).expect("there is room");
    let config = IngestConfig { max_frame_bytes, credit_bytes: 7, ..IngestConfig::default() };
    let mut ingest = Ingest::attach(&hub, "driver", config).expect("there is room");
    let (mut landed, mut acked) = (Vec::new(), 0);
    let mut told = Told::default();
    while !input.is_empty() {
        let message = piece(input);
        let before = ingest.stats();
        let Some(request) = valid_request(message) else { continue };
        match (ingest.submit(message), allowed(request, max_frame_bytes)) {
            (Ok(response), Some(request)) => {
                let response = IngestResponse::decode(&response[..]).expect("ours");
                let frames = frames(&request);
                acked = acked.max(request.batch.map_or(0, |batch| batch.sequence));
                assert_eq!((response.acked_through, response.credit), (acked, 7));
                let dropped: u64 = response.dropped.iter().map(|count| count.frames).sum();
                landed.extend(frames);
                assert_eq!(response.accepted, landed.len() as u64);
                assert_eq!(dropped, 0, "whoever was admitted finds a buffer");
            }
            (Err(_), None) => assert_eq!(ingest.stats(), before, "nothing of it landed"),
            (found, expected) => panic!("prost: {expected:?}, ours: {found:?}"),
        }
        if message.len() % 3 != 0 {
            told.drain(&mut subscription, max_message_bytes);
        }
    }
    told.drain(&mut subscription, max_message_bytes);
    told.assert_among(&landed);
    let stats = subscription.stats();
    let missed: u64 = stats.dropped.iter().map(|count| count.frames).sum();
    assert_eq!(stats.offered, stats.frames + missed, "I9");
    assert_eq!((stats.queued, stats.held), (0, 0));
}

/// The request, if it is one that this stream takes.
fn allowed(request: Option<IngestRequest>, max_frame_bytes: u32) -> Option<IngestRequest> {
    let request = request?;
    let Some(batch) = &request.batch else { return Some(request) };
    let fits = batch.interface <= u32::from(u16::MAX)
        && batch.length.iter().all(|length| *length <= max_frame_bytes);
    fits.then_some(request)
}

fn frames(request: &IngestRequest) -> Vec<Described> {
    let frames = request.batch.as_ref().and_then(|batch| batch.frames()).unwrap_or_default();
    frames.into_iter().map(Described::of).collect()
}
