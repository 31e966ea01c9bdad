//! A frame on the wire and the same frame as an skb.

use skbpool_pool::Skb;
use skbpool_wire::{EncodeFrame, Frame, FrameSink};

/// Writes into `skb` what is known about `frame` beside its bytes. The interface was checked to fit.
#[inline(always)]
pub(crate) fn describe(skb: &mut Skb, frame: &Frame<'_>, birth: u32) {
    skb.timestamp_ns = frame.timestamp_ns;
    skb.link_type = frame.link_type;
    skb.port = frame.interface as u16;
    skb.birth = birth;
    if frame.original_length as usize != frame.bytes.len() {
        skb.set_original_length(frame.original_length);
    }
}

/// An skb that goes into a message, cut behind its first `most` bytes.
pub(crate) struct SkbFrame<'a> {
    pub(crate) skb: &'a Skb,
    pub(crate) most: u32,
}

impl EncodeFrame for SkbFrame<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.skb.len().min(self.most)
    }

    #[inline(always)]
    fn original_length(&self) -> u32 {
        self.skb.original_length()
    }

    #[inline(always)]
    fn timestamp_ns(&self) -> u64 {
        self.skb.timestamp_ns
    }

    #[inline(always)]
    fn link_type(&self) -> u16 {
        self.skb.link_type
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        u32::from(self.skb.port)
    }

    #[inline(always)]
    fn write_to(&self, sink: &mut FrameSink<'_>) {
        let mut left = self.len() as usize;
        if self.skb.is_chain() {
            for part in self.skb.parts() {
                let part = &part[..part.len().min(left)];
                left -= part.len();
                sink.put_slice(part);
            }
        } else {
            sink.put_slice(&self.skb.data()[..left]);
        }
    }
}
