//! The messages of `skbpool.v1` as prost types, and what a naive reader makes of them.

use prost::Message;
use skbpool_wire::{Frame, FrameBatchView, MAX_FRAME};

#[derive(Clone, PartialEq, Message)]
pub struct FrameBatch {
    #[prost(bytes = "vec", tag = "1")]
    pub frames: Vec<u8>,
    #[prost(fixed32, repeated, tag = "2")]
    pub length: Vec<u32>,
    #[prost(fixed32, repeated, tag = "3")]
    pub time_offset_ns: Vec<u32>,
    #[prost(fixed32, repeated, tag = "4")]
    pub original_length: Vec<u32>,
    #[prost(uint64, tag = "5")]
    pub base_time_ns: u64,
    #[prost(uint32, tag = "6")]
    pub link_type: u32,
    #[prost(uint32, tag = "7")]
    pub interface: u32,
    #[prost(uint64, tag = "8")]
    pub sequence: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct IngestRequest {
    #[prost(message, optional, tag = "1")]
    pub batch: Option<FrameBatch>,
    #[prost(string, tag = "2")]
    pub driver: String,
    #[prost(bytes = "vec", tag = "3")]
    pub stream_id: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct DropCount {
    #[prost(int32, tag = "1")]
    pub reason: i32,
    #[prost(uint64, tag = "2")]
    pub frames: u64,
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct SubscribeResponse {
    #[prost(message, optional, tag = "1")]
    pub batch: Option<FrameBatch>,
    #[prost(message, repeated, tag = "2")]
    pub missed: Vec<DropCount>,
}

#[derive(Clone, PartialEq, Message)]
pub struct IngestResponse {
    #[prost(uint64, tag = "1")]
    pub acked_through: u64,
    #[prost(uint64, tag = "2")]
    pub accepted: u64,
    #[prost(message, repeated, tag = "3")]
    pub dropped: Vec<DropCount>,
    #[prost(uint64, tag = "4")]
    pub credit: u64,
    #[prost(uint64, tag = "5")]
    pub unclaimed: u64,
    #[prost(uint64, tag = "7")]
    pub duplicates: u64,
    #[prost(message, repeated, tag = "8")]
    pub missed: Vec<DropCount>,
}

impl From<skbpool_wire::DropCount> for DropCount {
    fn from(count: skbpool_wire::DropCount) -> Self {
        Self { reason: count.reason as i32, frames: count.frames, bytes: count.bytes }
    }
}

impl FrameBatch {
    /// The frames by the rules of frame_batch.proto, written for clarity; `None` if it breaks one.
    pub fn frames(&self) -> Option<Vec<Frame<'_>>> {
        let link_type = u16::try_from(self.link_type).ok()?;
        for column in [&self.time_offset_ns, &self.original_length] {
            if !column.is_empty() && column.len() != self.length.len() {
                return None;
            }
        }
        let mut at = 0usize;
        let mut frames = Vec::new();
        for (index, &length) in self.length.iter().enumerate() {
            let offset = self.time_offset_ns.get(index).copied().unwrap_or(0);
            let end = at + length as usize;
            if length > MAX_FRAME {
                return None;
            }
            frames.push(Frame {
                bytes: self.frames.get(at..end)?,
                original_length: self.original_length.get(index).copied().unwrap_or(length),
                timestamp_ns: self.base_time_ns.checked_add(u64::from(offset))?,
                link_type,
                interface: self.interface,
            });
            at = end;
        }
        (at == self.frames.len()).then_some(frames)
    }

    /// Asserts that `view` shows this very batch.
    pub fn assert_is(&self, view: &FrameBatchView<'_>) {
        let frames = self.frames().expect("the reference reader refuses what was accepted");
        assert_eq!(view.frames().collect::<Vec<_>>(), frames);
        assert_eq!(view.frames().len(), frames.len());
        assert_eq!(view.len(), frames.len());
        assert_eq!(view.is_empty(), frames.is_empty());
        assert_eq!(view.bytes(), self.frames);
        assert_eq!(view.base_time_ns(), self.base_time_ns);
        assert_eq!(u32::from(view.link_type()), self.link_type);
        assert_eq!(view.interface(), self.interface);
        assert_eq!(view.sequence(), self.sequence);
    }
}

/// A valid batch of three frames with every field set.
pub fn sample() -> FrameBatch {
    FrameBatch {
        frames: b"abcdefg".to_vec(),
        length: vec![3, 0, 4],
        time_offset_ns: vec![0, 7, u32::MAX],
        original_length: vec![3, 60, 1500],
        base_time_ns: 1_700_000_000_000_000_000,
        link_type: 1,
        interface: 2,
        sequence: 9,
    }
}
