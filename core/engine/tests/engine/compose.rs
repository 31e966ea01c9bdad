//! Messages of frames that come one at a time.

use skbpool_engine::FrameComposer;
use skbpool_wire::{EncodeError, IngestRequestView};

use crate::support::*;

#[test]
fn messages_end_at_the_limit_and_name_the_driver_once() {
    let mut composer = FrameComposer::new(4096, "probe");
    let frames = numbered(&[1000; 10]);
    let mut sent = Vec::new();
    for frame in &frames {
        sent.extend(composer.push(&frame.frame()).unwrap());
    }
    assert!(composer.pending() > 0);
    sent.extend(composer.flush().unwrap());
    assert_eq!(composer.flush().unwrap(), None);
    let views: Vec<_> =
        sent.iter().map(|message| IngestRequestView::parse(message).unwrap()).collect();
    let drivers: Vec<_> = views.iter().map(|view| view.driver).collect();
    assert_eq!(drivers, ["probe", "", "", ""]);
    let batches: Vec<_> = views.iter().map(|view| view.batch.as_ref().unwrap()).collect();
    let numbers: Vec<_> = batches.iter().map(|batch| (batch.sequence(), batch.len())).collect();
    assert_eq!(numbers, [(1, 3), (2, 3), (3, 3), (4, 1)]);
    assert!(sent.iter().all(|message| message.len() <= 4096));
    let bytes: Vec<_> = batches.iter().flat_map(|batch| batch.frames()).collect();
    assert!(bytes.iter().zip(&frames).all(|(frame, given)| *frame == given.frame()));
}

#[test]
fn a_frame_that_fits_no_message_costs_none_of_the_others() {
    let mut composer = FrameComposer::new(4096, "");
    let frames = numbered(&[1000, 5000, 1000]);
    assert_eq!(composer.push(&frames[0].frame()), Ok(None));
    let error = composer.push(&frames[1].frame()).unwrap_err();
    assert!(matches!(error, EncodeError::MessageTooLarge { .. }), "{error}");
    assert_eq!(composer.push(&frames[2].frame()), Ok(None));
    let message = composer.flush().unwrap().unwrap();
    assert_eq!(IngestRequestView::parse(&message).unwrap().batch.unwrap().len(), 2);
}

#[test]
fn another_link_type_or_a_far_time_begins_another_message() {
    let mut frames = numbered(&[10, 10, 10, 10]);
    frames[1].link_type = 113;
    frames[2].link_type = 113;
    frames[3].link_type = 113;
    frames[3].timestamp_ns += 1 << 33;
    let sent = messages(&frames, 1 << 20);
    assert_eq!(sent.len(), 3);
}
