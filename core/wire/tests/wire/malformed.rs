//! Messages that are refused, each with what is said about it.

use prost::Message;
use skbpool_wire::{
    FrameBatchView, IngestRequestView, MAX_FRAME, SubscribeResponseView, WireError,
};

use crate::messages::{FrameBatch, IngestRequest, sample};

fn refusal(batch: &FrameBatch) -> WireError {
    let bare = batch.encode_to_vec();
    let error = FrameBatchView::parse(&bare).expect_err("accepted");
    let request =
        IngestRequest { batch: Some(batch.clone()), driver: String::new(), stream_id: Vec::new() };
    let embedded = IngestRequestView::parse(&request.encode_to_vec()).expect_err("accepted");
    assert_eq!(error, embedded);
    error
}

#[test]
fn batches_that_contradict_themselves() {
    let mut batch = sample();
    batch.length[2] = 5;
    assert_eq!(refusal(&batch), WireError::LengthsExceedData { lengths: 8, data: 7 });

    batch.length[2] = 3;
    assert_eq!(refusal(&batch), WireError::DataExceedsLengths { lengths: 6, data: 7 });

    let batch = FrameBatch { frames: vec![1], ..FrameBatch::default() };
    assert_eq!(refusal(&batch), WireError::DataExceedsLengths { lengths: 0, data: 1 });

    let mut batch = sample();
    batch.time_offset_ns.pop();
    let field = "FrameBatch.time_offset_ns";
    assert_eq!(refusal(&batch), WireError::ColumnCount { field, entries: 2, frames: 3 });

    let mut batch = sample();
    batch.original_length.push(0);
    let field = "FrameBatch.original_length";
    assert_eq!(refusal(&batch), WireError::ColumnCount { field, entries: 4, frames: 3 });

    let mut batch = sample();
    batch.link_type = 65_536;
    assert_eq!(refusal(&batch), WireError::LinkType { link_type: 65_536 });
}

#[test]
fn frames_over_the_limit() {
    let mut batch = sample();
    for length in [MAX_FRAME + 1, u32::MAX] {
        batch.length[1] = length;
        // Lengths that do not add up say nothing about frames.
        assert!(matches!(refusal(&batch), WireError::LengthsExceedData { .. }));
    }
    batch.length[1] = MAX_FRAME + 1;
    batch.frames = vec![0; batch.length.iter().map(|&length| length as usize).sum()];
    let error = refusal(&batch);
    assert_eq!(error, WireError::FrameTooLarge { index: 1, length: MAX_FRAME + 1 });
    let text = error.to_string();
    assert!(text.starts_with("frame 1 has 262145 bytes, more than the limit of 262144"), "{text}");

    let length = vec![MAX_FRAME, 0];
    let frames = vec![0; MAX_FRAME as usize];
    let batch = FrameBatch { length, frames, ..FrameBatch::default() };
    batch.assert_is(&FrameBatchView::parse(&batch.encode_to_vec()).unwrap());
}

/// The sum of these lengths is 7 modulo 2³², and 7 bytes is what the batch has.
#[test]
fn lengths_whose_sum_wraps_32_bits() {
    let batch = FrameBatch {
        length: [vec![1 << 18; 1 << 14], vec![7]].concat(),
        frames: b"abcdefg".to_vec(),
        ..FrameBatch::default()
    };
    assert_eq!(refusal(&batch), WireError::LengthsExceedData { lengths: (1 << 32) + 7, data: 7 });
}

#[test]
fn times_beyond_64_bits() {
    let mut batch = sample();
    let base = u64::MAX - 6;
    batch.base_time_ns = base;
    batch.time_offset_ns = vec![6, 7, 8];
    assert_eq!(refusal(&batch), WireError::TimeOverflow { index: 1, base, offset: 7 });
    let (base, offset) = (u64::MAX - u64::from(u32::MAX) + 1, u32::MAX);
    let at_the_edge = FrameBatch { base_time_ns: base, ..sample() };
    assert_eq!(refusal(&at_the_edge), WireError::TimeOverflow { index: 2, base, offset });
    batch.time_offset_ns = vec![6, 0, 6];
    batch.assert_is(&FrameBatchView::parse(&batch.encode_to_vec()).unwrap());
}

#[test]
fn every_truncation() {
    let mut batch = sample();
    batch.base_time_ns = 300;
    let message = batch.encode_to_vec();
    for end in 0..message.len() {
        let prost = FrameBatch::decode(&message[..end]).ok();
        match FrameBatchView::parse(&message[..end]) {
            // Cut between two fields, where the rest is valid by itself.
            Ok(view) => prost.expect("accepted").assert_is(&view),
            Err(WireError::Truncated { end: at, .. }) => {
                assert_eq!(at, end);
                assert!(prost.is_none());
            }
            Err(_) => assert!(prost.expect("refused").frames().is_none()),
        }
    }
}

#[test]
fn bytes_that_are_no_protobuf() {
    let truncated = |position, number, end| WireError::Truncated { position, number, end };
    let key = |position, key| WireError::Key { position, key };
    let group = |position, number| WireError::Group { position, number };
    let wire_type = |field, found| WireError::WireType { field, position: 0, found };
    let table: &[(&[u8], WireError)] = &[
        (&[0x80], truncated(0, 0, 1)),
        (&[10], truncated(0, 1, 1)),
        (&[10, 5, 1, 2, 3, 4], truncated(0, 1, 6)),
        (
            &[64, 1, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            truncated(2, 1, 13),
        ),
        (&[21, 1, 2, 3], truncated(0, 2, 4)),
        (&[121, 1, 2, 3, 4, 5, 6, 7], truncated(0, 15, 8)),
        (&[123, 8], truncated(1, 1, 2)),
        (
            &[40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            WireError::Varint { position: 1 },
        ),
        (
            &[40, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            WireError::Varint { position: 1 },
        ),
        (&[40, 1, 0], key(2, 0)),
        (&[2, 0], key(0, 2)),
        (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], key(0, 1 << 32)),
        (&[126], key(0, 126)),
        (&[127], key(0, 127)),
        (&[124], group(0, 15)),
        (&[123, 4], key(1, 4)),
        (&[123, 116], group(1, 14)),
        (&[8, 0], wire_type("FrameBatch.frames", 0)),
        (&[16, 0], wire_type("FrameBatch.length", 0)),
        (&[25, 1, 2, 3, 4, 5, 6, 7, 8], wire_type("FrameBatch.time_offset_ns", 1)),
        (&[35, 36], wire_type("FrameBatch.original_length", 3)),
        (&[42, 0], wire_type("FrameBatch.base_time_ns", 2)),
        (&[53, 0, 0, 0, 0], wire_type("FrameBatch.link_type", 5)),
        (&[58, 0], wire_type("FrameBatch.interface", 2)),
        (&[66, 0], wire_type("FrameBatch.sequence", 2)),
        (&[18, 3, 1, 2, 3], WireError::Packed { field: "FrameBatch.length", position: 2, size: 3 }),
    ];
    for (message, expected) in table {
        assert_eq!(&FrameBatchView::parse(message).unwrap_err(), expected, "{message:?}");
        assert!(FrameBatch::decode(*message).is_err(), "prost takes {message:?}");
    }
}

#[test]
fn groups_nested_too_deep() {
    let nested = |depth| [vec![123; depth], vec![124; depth]].concat();
    assert!(FrameBatchView::parse(&nested(100)).is_ok());
    assert_eq!(
        FrameBatchView::parse(&nested(101)).unwrap_err(),
        WireError::Group { position: 100, number: 15 }
    );
    assert!(FrameBatchView::parse(&vec![123; 1 << 20]).is_err());
}

#[test]
fn positions_count_from_the_whole_message() {
    // driver "eth0", then a batch whose length column has 3 bytes.
    let message = [18, 4, b'e', b't', b'h', b'0', 10, 5, 18, 3, 1, 2, 3];
    let error = IngestRequestView::parse(&message).unwrap_err();
    assert_eq!(error, WireError::Packed { field: "FrameBatch.length", position: 10, size: 3 });
    // A batch that ends in the middle of a field, though the message goes on.
    let message = [10, 3, 10, 5, 1, 18, 1, b'e'];
    let error = IngestRequestView::parse(&message).unwrap_err();
    assert_eq!(error, WireError::Truncated { position: 2, number: 1, end: 5 });
}

#[test]
fn what_stands_beside_a_batch() {
    let error = IngestRequestView::parse(&[18, 2, 0xc3, 0x28]).unwrap_err();
    assert_eq!(error, WireError::Utf8 { field: "IngestRequest.driver", position: 2 });
    let error = IngestRequestView::parse(&[16, 1]).unwrap_err();
    let field = "IngestRequest.driver";
    assert_eq!(error, WireError::WireType { field, position: 0, found: 0 });
    let error = SubscribeResponseView::parse(&[8, 1]).unwrap_err();
    let field = "SubscribeResponse.batch";
    assert_eq!(error, WireError::WireType { field, position: 0, found: 0 });
    let error = SubscribeResponseView::parse(&[18, 2, 10, 0]).unwrap_err();
    let field = "DropCount.reason";
    assert_eq!(error, WireError::WireType { field, position: 2, found: 2 });
}
