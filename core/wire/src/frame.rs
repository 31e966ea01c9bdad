//! A frame: what decoding yields and what encoding takes.

use crate::encode::output::FrameSink;

/// One frame of a batch, its bytes where they lie in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The captured bytes, at most [`MAX_FRAME`](crate::MAX_FRAME) of them.
    pub bytes: &'a [u8],
    /// Bytes the frame had before a snap length cut it short. A capture may claim fewer than it
    /// has bytes; the number is passed on as it came.
    pub original_length: u32,
    /// Arrival, in nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    /// LINKTYPE_ number of the pcap registry.
    pub link_type: u16,
    /// Number of the interface the frame came in on.
    pub interface: u32,
}

/// A frame that can be put into a message.
///
/// The numbers are read when the frame is pushed and again when it is written; they must be the
/// same both times, else writing fails with
/// [`EncodeError::FramesChanged`](crate::EncodeError::FramesChanged).
pub trait EncodeFrame {
    /// Captured bytes, all fragments together.
    fn len(&self) -> u32;

    /// Whether the frame has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the frame had before a snap length cut it short.
    fn original_length(&self) -> u32;

    /// Arrival, in nanoseconds since the Unix epoch.
    fn timestamp_ns(&self) -> u64;

    /// LINKTYPE_ number of the pcap registry.
    fn link_type(&self) -> u16;

    /// Number of the interface the frame came in on.
    fn interface(&self) -> u32;

    /// Puts the frame's bytes, fragment by fragment, [`len`](EncodeFrame::len) in all.
    fn write_to(&self, sink: &mut FrameSink<'_>);
}

impl EncodeFrame for Frame<'_> {
    /// Saturates at `u32::MAX`, which is over the limit and refused.
    #[inline]
    fn len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    fn original_length(&self) -> u32 {
        self.original_length
    }

    #[inline]
    fn timestamp_ns(&self) -> u64 {
        self.timestamp_ns
    }

    #[inline]
    fn link_type(&self) -> u16 {
        self.link_type
    }

    #[inline]
    fn interface(&self) -> u32 {
        self.interface
    }

    #[inline]
    fn write_to(&self, sink: &mut FrameSink<'_>) {
        sink.put_slice(self.bytes);
    }
}

impl<F: EncodeFrame + ?Sized> EncodeFrame for &F {
    #[inline]
    fn len(&self) -> u32 {
        (**self).len()
    }

    #[inline]
    fn original_length(&self) -> u32 {
        (**self).original_length()
    }

    #[inline]
    fn timestamp_ns(&self) -> u64 {
        (**self).timestamp_ns()
    }

    #[inline]
    fn link_type(&self) -> u16 {
        (**self).link_type()
    }

    #[inline]
    fn interface(&self) -> u32 {
        (**self).interface()
    }

    #[inline]
    fn write_to(&self, sink: &mut FrameSink<'_>) {
        (**self).write_to(sink);
    }
}
