//! Mutated messages: no panic, and the same verdict as prost with a naive check behind it.

use proptest::prelude::*;
use prost::Message;
use skbpool_wire::{FrameBatchView, IngestRequestView, SubscribeResponseView};

use crate::messages::{DropCount, FrameBatch, IngestRequest, SubscribeResponse};

prop_compose! {
    fn batch()(
        lengths in prop::collection::vec(0u32..20, 0..12),
        times in any::<Option<[u32; 12]>>(),
        originals in any::<Option<[u32; 12]>>(),
        base_time_ns: u64,
        link_type: u16,
        interface: u32,
        sequence: u64,
        fill: u8,
    ) -> FrameBatch {
        let bytes = lengths.iter().sum::<u32>() as usize;
        let column = |entries: Option<[u32; 12]>| {
            entries.map_or(Vec::new(), |entries| entries[..lengths.len()].to_vec())
        };
        FrameBatch {
            frames: vec![fill; bytes],
            time_offset_ns: column(times),
            original_length: column(originals),
            length: lengths,
            base_time_ns,
            link_type: link_type.into(),
            interface,
            sequence,
        }
    }
}

/// One change to a message.
#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
    Repeat(prop::sample::Index),
}

impl Mutation {
    fn apply(&self, message: &mut Vec<u8>) {
        let size = message.len() + 1;
        let at = |index: &prop::sample::Index| index.index(size);
        match self {
            Self::Set(index, byte) => {
                message.iter_mut().skip(at(index)).take(1).for_each(|b| *b = *byte)
            }
            Self::Flip(index, bit) => {
                message.iter_mut().skip(at(index)).take(1).for_each(|b| *b ^= 1 << (bit & 7));
            }
            Self::Remove(index) => {
                drop(message.drain(at(index)..(at(index) + 1).min(message.len())))
            }
            Self::Insert(index, byte) => message.insert(at(index), *byte),
            Self::Truncate(index) => message.truncate(at(index)),
            Self::Repeat(index) => message.extend_from_within(at(index)..),
        }
    }
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    use prop::sample::Index;
    prop::collection::vec(
        prop_oneof![
            any::<(Index, u8)>().prop_map(|(index, byte)| Mutation::Set(index, byte)),
            any::<(Index, u8)>().prop_map(|(index, bit)| Mutation::Flip(index, bit)),
            any::<Index>().prop_map(Mutation::Remove),
            any::<(Index, u8)>().prop_map(|(index, byte)| Mutation::Insert(index, byte)),
            any::<Index>().prop_map(Mutation::Truncate),
            any::<Index>().prop_map(Mutation::Repeat),
        ],
        0..4,
    )
}

fn mutated(message: &impl Message, mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = message.encode_to_vec();
    mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
    bytes
}

/// Asserts that the reference and we agree about a batch.
fn assert_agree(expected: Option<&FrameBatch>, found: Option<&FrameBatchView<'_>>) {
    match (expected, found) {
        (Some(expected), Some(found)) => expected.assert_is(found),
        (None, None) => {}
        (expected, found) => panic!("prost: {expected:?}, ours: {found:?}"),
    }
}

fn valid(batch: &FrameBatch) -> bool {
    batch.frames().is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn bare_batches(batch in batch(), mutations in mutations()) {
        let message = mutated(&batch, &mutations);
        let expected = FrameBatch::decode(&message[..]).ok().filter(valid);
        let found = FrameBatchView::parse(&message).ok();
        assert_agree(expected.as_ref(), found.as_ref());
    }

    #[test]
    fn ingest_requests(batch in batch(), driver in ".{0,6}", stream_id in prop::collection::vec(0u8..9, 0..6), mutations in mutations()) {
        let message = mutated(&IngestRequest { batch: Some(batch), driver, stream_id }, &mutations);
        let expected = IngestRequest::decode(&message[..])
            .ok()
            .filter(|request| request.batch.as_ref().is_none_or(valid));
        let found = IngestRequestView::parse(&message).ok();
        prop_assert_eq!(expected.is_some(), found.is_some());
        if let (Some(expected), Some(found)) = (expected, found) {
            prop_assert_eq!(&expected.driver, found.driver);
            prop_assert_eq!(&expected.stream_id[..], found.stream_id);
            assert_agree(expected.batch.as_ref(), found.batch.as_ref());
        }
    }

    #[test]
    fn subscribe_responses(
        batch in proptest::option::of(batch()),
        counts in prop::collection::vec((0i32..12, any::<u64>(), any::<u64>()), 0..4),
        mutations in mutations(),
    ) {
        let missed = counts
            .into_iter()
            .map(|(reason, frames, bytes)| DropCount { reason, frames, bytes })
            .collect();
        let message = mutated(&SubscribeResponse { batch, missed }, &mutations);
        let expected = SubscribeResponse::decode(&message[..])
            .ok()
            .filter(|response| response.batch.as_ref().is_none_or(valid));
        let found = SubscribeResponseView::parse(&message).ok();
        prop_assert_eq!(expected.is_some(), found.is_some());
        if let (Some(expected), Some(found)) = (expected, found) {
            let missed: Vec<DropCount> = found.missed.into_iter().map(Into::into).collect();
            prop_assert_eq!(expected.missed, missed);
            assert_agree(expected.batch.as_ref(), found.batch.as_ref());
        }
    }

    #[test]
    fn arbitrary_bytes(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let expected = FrameBatch::decode(&message[..]).ok().filter(valid);
        assert_agree(expected.as_ref(), FrameBatchView::parse(&message).ok().as_ref());
        let _ = IngestRequestView::parse(&message);
        let _ = SubscribeResponseView::parse(&message);
    }
}
