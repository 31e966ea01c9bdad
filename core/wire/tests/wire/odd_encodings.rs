//! Encodings that are legal and that our own writer never makes.

use prost::Message;
use skbpool_wire::{DropCount, FrameBatchView, IngestRequestView, SubscribeResponseView};

use crate::messages::{FrameBatch, IngestRequest, sample};

/// The sample batch, a field at a time, in the order of the numbers.
fn fields() -> Vec<Vec<u8>> {
    let all = sample();
    let empty = FrameBatch::default();
    [
        FrameBatch { frames: all.frames, ..empty.clone() },
        FrameBatch { length: all.length, ..empty.clone() },
        FrameBatch { time_offset_ns: all.time_offset_ns, ..empty.clone() },
        FrameBatch { original_length: all.original_length, ..empty.clone() },
        FrameBatch { base_time_ns: all.base_time_ns, ..empty.clone() },
        FrameBatch { link_type: all.link_type, ..empty.clone() },
        FrameBatch { interface: all.interface, ..empty.clone() },
        FrameBatch { sequence: all.sequence, ..empty },
    ]
    .map(|part| part.encode_to_vec())
    .to_vec()
}

/// Asserts that both readers see `expected` in `message`.
fn assert_reads_as(message: &[u8], expected: &FrameBatch) {
    assert_eq!(&FrameBatch::decode(message).unwrap(), expected);
    expected.assert_is(&FrameBatchView::parse(message).unwrap());
}

fn fixed32(number: u8, value: u32) -> Vec<u8> {
    [&[number << 3 | 5][..], &value.to_le_bytes()].concat()
}

fn run(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128);
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

#[test]
fn any_order() {
    let mut fields = fields();
    for _ in 0..fields.len() {
        fields.rotate_left(1);
        assert_reads_as(&fields.concat(), &sample());
    }
    fields.reverse();
    assert_reads_as(&fields.concat(), &sample());
}

#[test]
fn columns_not_packed_or_split_or_both() {
    let batch = sample();
    let mut parts = fields();
    parts[1] = batch.length.iter().flat_map(|&length| fixed32(2, length)).collect();
    assert_reads_as(&parts.concat(), &batch);

    let split = |number, column: &[u32]| {
        let packed = |run_of: &[u32]| {
            run(number, &run_of.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>())
        };
        [run(number, &[]), packed(&column[..1]), fixed32(number, column[1]), packed(&column[2..])]
            .concat()
    };
    parts[1] = split(2, &batch.length);
    parts[2] = split(3, &batch.time_offset_ns);
    parts[3] = split(4, &batch.original_length);
    assert_reads_as(&parts.concat(), &batch);
}

#[test]
fn the_last_scalar_and_the_last_bytes_count() {
    let first = FrameBatch {
        frames: b"overwritten".to_vec(),
        base_time_ns: 1,
        link_type: 113,
        interface: 77,
        sequence: 3,
        ..FrameBatch::default()
    };
    let message = [first.encode_to_vec(), fields().concat()].concat();
    assert_reads_as(&message, &sample());
}

#[test]
fn a_zero_written_out_overrides() {
    let mut expected = sample();
    expected.interface = 0;
    expected.link_type = 0;
    let message = [&fields().concat()[..], &[7 << 3, 0, 6 << 3, 0]].concat();
    assert_reads_as(&message, &expected);
}

#[test]
fn varints_longer_than_needed() {
    let mut expected = sample();
    expected.sequence = 5;
    let long = [8 << 3, 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    assert_reads_as(&[&fields().concat()[..], &long].concat(), &expected);
    let long_key = [8 << 3 | 0x80, 0x80, 0x80, 0x80, 0x00, 5];
    assert_reads_as(&[&fields().concat()[..], &long_key].concat(), &expected);
}

#[test]
fn the_upper_bits_of_a_uint32_are_dropped() {
    let mut expected = sample();
    expected.interface = 1;
    let wide = [7 << 3, 0x81, 0x80, 0x80, 0x80, 0x10];
    assert_reads_as(&[&fields().concat()[..], &wide].concat(), &expected);
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let unknown: &[&[u8]] = &[
        &[15 << 3, 0xff, 0x01],
        &[15 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8],
        &[15 << 3 | 2, 3, 0xff, 0xff, 0xff],
        &[15 << 3 | 2, 0],
        &[15 << 3 | 5, 1, 2, 3, 4],
        // A group with a varint, a group of the number 1, and bytes that look like its end.
        &[15 << 3 | 3, 8, 1, 1 << 3 | 3, 1 << 3 | 4, 18, 1, 15 << 3 | 4, 15 << 3 | 4],
        // Field 536,870,911, the largest there is.
        &[0xf8, 0xff, 0xff, 0xff, 0x0f, 1],
    ];
    for field in unknown {
        let mut message = field.to_vec();
        for known in fields() {
            message.extend_from_slice(&known);
            message.extend_from_slice(field);
        }
        assert_reads_as(&message, &sample());
    }
}

#[test]
fn an_embedded_batch_in_pieces_is_merged() {
    let pieces: Vec<u8> = fields().iter().flat_map(|piece| run(1, piece)).collect();
    let message = [&pieces[..], &run(2, b"eth0"), &run(1, &[]), &run(2, b"eth1")].concat();
    let expected =
        IngestRequest { batch: Some(sample()), driver: "eth1".into(), stream_id: vec![] };
    assert_eq!(IngestRequest::decode(&message[..]).unwrap(), expected);
    let view = IngestRequestView::parse(&message).unwrap();
    assert_eq!(view.driver, "eth1");
    sample().assert_is(&view.batch.unwrap());
}

/// Positions count from the beginning of the message, inside embedded messages too.
#[test]
fn the_position_of_the_bytes_is_absolute() {
    let message = [run(2, b"eth0"), run(1, &sample().encode_to_vec())].concat();
    let batch = IngestRequestView::parse(&message).unwrap().batch.unwrap();
    let found = message.windows(7).position(|window| window == b"abcdefg");
    assert_eq!(Some(batch.bytes_position()), found);
}

#[test]
fn empty_messages() {
    assert_reads_as(&[], &FrameBatch::default());
    let request = IngestRequestView::parse(&[]).unwrap();
    assert!(request.batch.is_none());
    assert_eq!(request.driver, "");
    assert!(IngestRequestView::parse(&run(1, &[])).unwrap().batch.unwrap().is_empty());
    let response = SubscribeResponseView::parse(&[]).unwrap();
    assert!(response.batch.is_none() && response.missed.is_empty());
}

#[test]
fn drop_counts_in_any_order_with_unknown_fields() {
    let count = [24, 9, 15 << 3, 1, 16, 4, 8, 2, 8, 3];
    let message = [run(2, &count), run(2, &[])].concat();
    let missed = SubscribeResponseView::parse(&message).unwrap().missed;
    assert_eq!(missed, [DropCount { reason: 3, frames: 4, bytes: 9 }, DropCount::default()]);
}
