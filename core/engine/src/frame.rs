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

/// An skb that goes into a message.
pub(crate) struct SkbFrame<'a>(pub(crate) &'a Skb);

impl EncodeFrame for SkbFrame<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn original_length(&self) -> u32 {
        self.0.original_length()
    }

    #[inline(always)]
    fn timestamp_ns(&self) -> u64 {
        self.0.timestamp_ns
    }

    #[inline(always)]
    fn link_type(&self) -> u16 {
        self.0.link_type
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        u32::from(self.0.port)
    }

    #[inline(always)]
    fn write_to(&self, sink: &mut FrameSink<'_>) {
        if self.0.is_chain() {
            self.0.parts().for_each(|part| sink.put_slice(part));
        } else {
            sink.put_slice(self.0.data());
        }
    }
}
