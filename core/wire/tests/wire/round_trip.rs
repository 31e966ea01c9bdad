//! What we write, prost reads; what prost writes, we read; and both write the same bytes.

use proptest::prelude::*;
use prost::Message;
use skbpool_wire::{
    BatchEncoder, BatchLimits, DropCount, EncodeError, EncodeFrame, Frame, FrameBatchView,
    FrameSink, IngestRequestView, IngestResponse, Pushed, SubscribeResponseView,
};

use crate::messages;

/// A frame that owns its bytes, in fragments.
#[derive(Clone, Debug)]
struct Chain {
    fragments: Vec<Vec<u8>>,
    original_length: Option<u32>,
    timestamp_ns: u64,
    link_type: u16,
    interface: u32,
}

impl EncodeFrame for Chain {
    fn len(&self) -> u32 {
        self.fragments.iter().map(|fragment| fragment.len() as u32).sum()
    }
    fn original_length(&self) -> u32 {
        self.original_length.unwrap_or(self.len())
    }
    fn timestamp_ns(&self) -> u64 {
        self.timestamp_ns
    }
    fn link_type(&self) -> u16 {
        self.link_type
    }
    fn interface(&self) -> u32 {
        self.interface
    }
    fn write_to(&self, sink: &mut FrameSink<'_>) {
        self.fragments.iter().for_each(|fragment| sink.put_slice(fragment));
    }
}

prop_compose! {
    /// Frames that may share a batch, sometimes all at one time, sometimes none cut short.
    fn chains()(
        link_type: u16,
        interface: u32,
        base in prop_oneof![Just(0), any::<u64>(), Just(u64::MAX - u64::from(u32::MAX))],
        spread in prop_oneof![Just(0), any::<u32>()],
        cut_short: bool,
        frames in prop::collection::vec(
            (
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
                any::<u32>(),
                any::<u32>(),
            ),
            0..40,
        ),
    ) -> Vec<Chain> {
        let base = base.min(u64::MAX - u64::from(u32::MAX));
        frames.into_iter().map(|(fragments, original, offset)| Chain {
            fragments,
            original_length: cut_short.then_some(original),
            timestamp_ns: base + u64::from(offset & spread),
            link_type,
            interface,
        }).collect()
    }
}

prop_compose! {
    fn drop_count()(reason in 0u32..12, frames: u64, bytes: u64) -> DropCount {
        DropCount { reason, frames, bytes }
    }
}

fn encoder_of(chains: &[Chain]) -> BatchEncoder {
    let mut encoder = BatchEncoder::new(BatchLimits::new(1 << 20));
    for chain in chains {
        assert_eq!(encoder.push(chain), Ok(Pushed::Taken));
    }
    encoder
}

fn assert_same(batch: &messages::FrameBatch, chains: &[Chain]) {
    let frames = batch.frames().expect("valid");
    assert_eq!(frames.len(), chains.len());
    for (frame, chain) in frames.iter().zip(chains) {
        assert_eq!(frame.bytes, chain.fragments.concat());
        assert_eq!(frame.original_length, chain.original_length());
        assert_eq!(frame.timestamp_ns, chain.timestamp_ns);
        assert_eq!((frame.link_type, frame.interface), (chain.link_type, chain.interface));
    }
}

proptest! {
    #[test]
    fn bare_batches(chains in chains(), sequence: u64) {
        let message = encoder_of(&chains).frame_batch(sequence);
        let bytes = message.to_vec(&chains).unwrap();
        let batch = messages::FrameBatch::decode(&bytes[..]).unwrap();
        assert_same(&batch, &chains);
        prop_assert_eq!(batch.sequence, sequence);
        prop_assert_eq!(batch.encode_to_vec(), &bytes[..]);
        batch.assert_is(&FrameBatchView::parse(&bytes).unwrap());
    }

    #[test]
    fn ingest_requests(chains in chains(), sequence: u64, driver in ".{0,40}") {
        let encoder = encoder_of(&chains);
        let message = encoder.ingest_request(sequence, &driver).unwrap();
        let mut bytes = vec![0xaa; message.encoded_len()];
        message.write(&chains, &mut bytes).unwrap();
        let request = messages::IngestRequest::decode(&bytes[..]).unwrap();
        prop_assert_eq!(&request.driver, &driver);
        prop_assert_eq!(request.encode_to_vec(), &bytes[..]);
        assert_same(request.batch.as_ref().unwrap(), &chains);

        let view = IngestRequestView::parse(&bytes).unwrap();
        prop_assert_eq!(view.driver, driver);
        let batch = view.batch.unwrap();
        request.batch.unwrap().assert_is(&batch);
        let at = batch.bytes_position();
        prop_assert_eq!(&bytes[at..at + batch.bytes().len()], batch.bytes());
        prop_assert!(std::ptr::eq(&bytes[at..][..batch.bytes().len()], batch.bytes()));
    }

    #[test]
    fn subscribe_responses(
        chains in chains(),
        missed in prop::collection::vec(drop_count(), 0..10),
    ) {
        let encoder = encoder_of(&chains);
        let bytes = encoder.subscribe_response(1, &missed).unwrap().to_vec(&chains).unwrap();
        let response = messages::SubscribeResponse::decode(&bytes[..]).unwrap();
        prop_assert_eq!(response.encode_to_vec(), &bytes[..]);
        prop_assert_eq!(response.batch.is_some(), !chains.is_empty());
        let view = SubscribeResponseView::parse(&bytes).unwrap();
        prop_assert_eq!(&view.missed, &missed);
        let counts: Vec<messages::DropCount> = missed.iter().copied().map(Into::into).collect();
        prop_assert_eq!(&response.missed, &counts);
        if let Some(batch) = &response.batch {
            assert_same(batch, &chains);
            batch.assert_is(&view.batch.unwrap());
        }
    }

    #[test]
    fn ingest_responses(
        acked_through: u64, accepted: u64, credit: u64, unclaimed: u64, duplicates: u64,
        dropped in prop::collection::vec(drop_count(), 0..10),
        missed in prop::collection::vec(drop_count(), 0..10),
    ) {
        let response = IngestResponse {
            acked_through, accepted, dropped: &dropped, credit, unclaimed, duplicates,
            missed: &missed,
        };
        let expected = messages::IngestResponse {
            acked_through, accepted, credit, unclaimed, duplicates,
            dropped: dropped.iter().copied().map(Into::into).collect(),
            missed: missed.iter().copied().map(Into::into).collect(),
        };
        prop_assert_eq!(response.to_vec(), expected.encode_to_vec());
    }

    /// Decoded frames can be sent on as they are.
    #[test]
    fn decoded_frames_encode_to_the_same_message(chains in chains()) {
        let bytes = encoder_of(&chains).frame_batch(5).to_vec(&chains).unwrap();
        let view = FrameBatchView::parse(&bytes).unwrap();
        let mut encoder = BatchEncoder::new(BatchLimits::new(1 << 20));
        for frame in &view {
            prop_assert_eq!(encoder.push(&frame), Ok(Pushed::Taken));
        }
        prop_assert_eq!(encoder.frame_batch(5).to_vec(view.frames()).unwrap(), bytes);
    }
}

const FRAME: Frame<'static> =
    Frame { bytes: b"0123", original_length: 4, timestamp_ns: 10, link_type: 1, interface: 0 };

#[test]
fn memory_of_another_size_is_refused() {
    let mut encoder = BatchEncoder::new(BatchLimits::new(4096));
    assert_eq!(encoder.push(&FRAME), Ok(Pushed::Taken));
    let message = encoder.frame_batch(1);
    let encoded = message.encoded_len();
    for given in [0, encoded - 1, encoded + 1] {
        let result = message.write([FRAME], &mut vec![0; given]);
        assert_eq!(result, Err(EncodeError::BufferSize { encoded, given }));
        let result = IngestResponse { credit: 1, ..Default::default() }.write(&mut vec![0; given]);
        assert_eq!(result, Err(EncodeError::BufferSize { encoded: 2, given }));
    }
}

#[test]
fn other_frames_than_those_pushed_are_refused() {
    let mut encoder = BatchEncoder::new(BatchLimits::new(4096));
    let later = Frame { timestamp_ns: 20, ..FRAME };
    assert_eq!(encoder.push(&FRAME), Ok(Pushed::Taken));
    assert_eq!(encoder.push(&later), Ok(Pushed::Taken));
    let message = encoder.frame_batch(1);
    assert!(message.to_vec([FRAME, later]).is_ok());
    let refused = |index, frames: &[Frame<'_>]| {
        let result = message.to_vec(frames);
        assert_eq!(result, Err(EncodeError::FramesChanged { index }), "{frames:?}");
    };
    refused(0, &[]);
    refused(1, &[FRAME]);
    refused(2, &[FRAME, later, later]);
    let empty = Frame { bytes: &[], original_length: 0, ..FRAME };
    refused(2, &[FRAME, later, empty, empty]);
    refused(1, &[FRAME, Frame { bytes: b"01234", ..FRAME }]);
    refused(2, &[FRAME, Frame { bytes: b"012", original_length: 3, ..FRAME }]);
    refused(1, &[FRAME, Frame { original_length: 5, ..FRAME }]);
    refused(1, &[FRAME, Frame { timestamp_ns: 9, ..FRAME }]);
    refused(1, &[FRAME, Frame { timestamp_ns: 21, ..FRAME }]);
    refused(1, &[FRAME, Frame { link_type: 0, ..FRAME }]);
    refused(1, &[FRAME, Frame { interface: 1, ..FRAME }]);

    let none = BatchEncoder::new(BatchLimits::new(4096));
    let message = none.subscribe_response(1, &[]).unwrap();
    assert_eq!(message.to_vec([FRAME]), Err(EncodeError::FramesChanged { index: 0 }));
}

/// A frame whose fragments are not as long together as it says.
struct Liar(u32);

impl EncodeFrame for Liar {
    fn len(&self) -> u32 {
        self.0
    }
    fn original_length(&self) -> u32 {
        self.0
    }
    fn timestamp_ns(&self) -> u64 {
        0
    }
    fn link_type(&self) -> u16 {
        1
    }
    fn interface(&self) -> u32 {
        0
    }
    fn write_to(&self, sink: &mut FrameSink<'_>) {
        sink.put_slice(b"01");
        sink.put_slice(b"23");
    }
}

#[test]
fn a_frame_that_puts_more_or_less_than_its_length_is_refused() {
    for (length, right) in [(0, false), (2, false), (3, false), (4, true), (5, false)] {
        let mut encoder = BatchEncoder::new(BatchLimits::new(4096));
        assert_eq!(encoder.push(&Liar(length)), Ok(Pushed::Taken));
        let result = encoder.frame_batch(1).to_vec([Liar(length)]);
        if right {
            assert_eq!(FrameBatchView::parse(&result.unwrap()).unwrap().bytes(), b"0123");
        } else {
            assert_eq!(result, Err(EncodeError::FramesChanged { index: 0 }), "{length}");
        }
    }
}
