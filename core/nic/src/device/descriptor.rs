//! What travels on the descriptor ring.

use skbpool_pool::Buffer;

/// One buffer and what the hardware wrote into it. The list keeps its memory when the descriptor is
/// posted again, so a running ring does not allocate.
#[derive(Debug)]
pub struct Descriptor {
    /// The buffer.
    pub buffer: Buffer,
    /// Its frames in the order of their offsets; empty when posted.
    pub frames: Vec<RxFrame>,
}

/// One frame, or one part of a frame that did not fit a buffer, in a completed buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxFrame {
    /// When the frame was received, in nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    /// First byte of headroom in the buffer.
    pub head: u32,
    /// First byte of data in the buffer.
    pub offset: u32,
    /// Bytes of data.
    pub len: u32,
    /// First byte of the buffer that belongs to the next frame.
    pub end: u32,
    /// Bytes of the frame before it was cut short; as many as it has if it was not.
    pub original_length: u32,
    /// LINKTYPE_ number.
    pub link_type: u16,
    /// Interface.
    pub interface: u16,
    /// The frame goes on as the first one of the next completed buffer.
    pub more: bool,
}
