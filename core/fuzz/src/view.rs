//! A client's messages viewed where they lie.

use std::sync::Arc;

use skbpool_engine::view_frames;
use skbpool_pool::{Buffer, SkbBatch, adopt};
use skbpool_wire::SubscribeResponseView;

use crate::wire::{Described, valid_response};

/// The views show what prost reads, lie in the message, and the message goes once, with the last of
/// them.
pub(crate) fn view_frames_of(data: &[u8]) {
    let Some(Some(expected)) = valid_response(data) else { return };
    let response = SubscribeResponseView::parse(data).expect("prost reads it");
    let Some(batch) = &response.batch else { return };
    let alive = Arc::new(());
    // A copy of the message, as gRPC hands out, with views at the same places.
    let message = Message { bytes: data.to_vec(), _alive: Arc::clone(&alive) };
    let memory = message.bytes.as_ptr_range();
    let mut skbs = SkbBatch::new();
    let viewed = view_frames(buffer(message), batch, &mut skbs);
    if batch.interface() > u32::from(u16::MAX) {
        assert!(viewed.is_err() && skbs.is_empty());
        assert_eq!(Arc::strong_count(&alive), 1, "the message is released");
        return;
    }
    viewed.expect("the message that was parsed");
    assert_eq!(Arc::strong_count(&alive), if batch.is_empty() { 1 } else { 2 });
    let frames = expected.batch.as_ref().and_then(|batch| batch.frames()).expect("valid");
    let expected = frames.into_iter().map(Described::of);
    let found: Vec<_> = skbs.as_slice().iter().map(Described::of_skb).collect();
    assert!(found == expected.collect::<Vec<_>>(), "other frames");
    for skb in skbs.as_slice() {
        let bytes = skb.data().as_ptr_range();
        assert!(memory.start <= bytes.start && bytes.end <= memory.end);
    }
    release(skbs, data.len(), &alive);
    assert_other_memory(data, batch);
}

/// Releases half of the views by themselves and half as a batch, clones among them.
fn release(mut skbs: SkbBatch, seed: usize, alive: &Arc<()>) {
    if skbs.is_empty() {
        return;
    }
    let kept = skbs.as_slice()[seed % skbs.len()].clone_skb().expect("few references");
    let half = skbs.split_off(skbs.len() / 2);
    skbs.drain().for_each(drop);
    drop(half);
    assert_eq!(Arc::strong_count(alive), 2, "a view is left");
    drop(kept);
    assert_eq!(Arc::strong_count(alive), 1, "released once");
}

/// Asserts that memory that is not the message's is refused where it is too short, whole.
fn assert_other_memory(data: &[u8], batch: &skbpool_wire::FrameBatchView<'_>) {
    let end = batch.bytes_position() + batch.bytes().len();
    if batch.is_empty() || end == 0 {
        return;
    }
    let alive = Arc::new(());
    let short = Message { bytes: data[..end - 1].to_vec(), _alive: Arc::clone(&alive) };
    let mut skbs = SkbBatch::new();
    let viewed = view_frames(buffer(short), batch, &mut skbs);
    assert!(viewed.is_err() && skbs.is_empty(), "a view beyond the memory");
    assert_eq!(Arc::strong_count(&alive), 1, "the memory is released");
}

struct Message {
    bytes: Vec<u8>,
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn buffer(message: Message) -> Buffer {
    adopt(message).map_err(|(error, _)| error).expect("far below 4 GiB")
}
