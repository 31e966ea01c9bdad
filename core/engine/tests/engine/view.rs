//! Frames viewed where they lie in a message.

use std::sync::Arc;

use proptest::prelude::*;
use skbpool_engine::view_frames;
use skbpool_pool::SkbBatch;
use skbpool_wire::{FrameBatchView, IngestRequestView};

use crate::support::*;

/// Bytes whose end can be seen.
struct Watched(Vec<u8>, #[allow(dead_code, reason = "its drop is what is watched")] Arc<()>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_frames_are_those_of_the_message(frames in any_frames()) {
        let mut batch = SkbBatch::new();
        for message in messages(&frames, 1 << 16) {
            let buffer = skbpool_pool::adopt(message.clone()).map_err(|(error, _)| error).unwrap();
            let view = IngestRequestView::parse(&message).unwrap();
            view_frames(buffer, &view.batch.unwrap(), &mut batch).unwrap();
        }
        prop_assert_eq!(given(&batch), frames);
    }
}

#[test]
fn the_message_lives_until_the_last_view_of_it_goes() {
    let message = message(&numbered(&[60, 0, 100]));
    let alive = Arc::new(());
    let watched = Watched(message.clone(), Arc::clone(&alive));
    let address = watched.0.as_ptr().addr();
    let buffer = skbpool_pool::adopt(watched).map_err(|(error, _)| error).unwrap();
    let view = IngestRequestView::parse(&message).unwrap().batch.unwrap();
    let mut batch = SkbBatch::new();
    view_frames(buffer, &view, &mut batch).unwrap();
    let inside = address..address + message.len();
    assert!(batch.as_slice().iter().all(|skb| inside.contains(&skb.data().as_ptr().addr())));
    let last = batch.pop().unwrap();
    drop(batch);
    assert_eq!(Arc::strong_count(&alive), 2);
    assert_eq!(last.data(), numbered(&[60, 0, 100])[2].bytes);
    drop(last);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn without_frames_the_message_goes_at_once() {
    let alive = Arc::new(());
    let watched = Watched(Vec::new(), Arc::clone(&alive));
    let buffer = skbpool_pool::adopt(watched).map_err(|(error, _)| error).unwrap();
    let mut batch = SkbBatch::new();
    view_frames(buffer, &FrameBatchView::parse(&[]).unwrap(), &mut batch).unwrap();
    assert!(batch.is_empty());
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_buffer_that_is_not_the_message_is_refused() {
    let message = message(&numbered(&[60, 100]));
    let view = IngestRequestView::parse(&message).unwrap().batch.unwrap();
    let mut batch = SkbBatch::new();
    let short = skbpool_pool::adopt(vec![0; 80]).map_err(|(error, _)| error).unwrap();
    assert!(view_frames(short, &view, &mut batch).is_err());
    assert!(batch.is_empty());
}
