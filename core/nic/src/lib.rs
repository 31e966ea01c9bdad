//! The line side of skbpool: what travels on the wire, when, and how it is judged on arrival.
//!
//! Traffic and its stamps, pacing at line rate, capture files read and written, sources of frames, the
//! emulated card with its driver, and the reader of stamps that measures loss, duplication, reordering
//! and latency. Times are given by the caller, in nanoseconds; only [`Hardware::run`] reads a clock for
//! it, and [`RxLoop::poll`] for an skb's arrival tick.
//!
//! `DESIGN.md` beside this crate holds the arguments.

#![deny(unsafe_code)]

mod capture;
mod device;
mod line_rate;
mod pacing;
mod rate;
mod sequence;
mod source;
mod stamp;
mod stamp_reader;
mod traffic;

pub use capture::{
    CaptureError, CaptureErrorKind, CaptureFrame, CaptureReader, CaptureWriteError,
    LINKTYPE_ETHERNET, MAX_FRAME_BYTES, MAX_INTERFACES, PcapWriter, PcapngWriter,
};
pub use device::{
    CloseWhen, Descriptor, EmulatedNic, Hardware, HardwareStats, MAX_DESCRIPTORS, NicConfig,
    NicError, Polled, RingLevel, RxFrame, RxLoop, RxQueue, RxSink, SmallFrameLimits, Step,
};
pub use line_rate::{
    FCS_BYTES, MAX_FRAME_SIZE, MIN_FRAME_SIZE, WIRE_OVERHEAD, frame_size, frames_per_second,
    memory_len, wire_bits,
};
pub use pacing::{Admission, DEFAULT_CATCH_UP_NS, Due, Pacer};
pub use rate::{MAX_BITS_PER_SECOND, MAX_FRAMES_PER_SECOND, Rate, RateError};
pub use sequence::{Arrival, SEQUENCE_WINDOW, SequenceTracker};
pub use source::{
    CaptureReplay, FrameMeta, FrameSource, Passes, REPLAY_MEMORY_LIMIT, SlotSize, SourceError,
    TemplateSource,
};
pub use stamp::{STAMP_LEN, STAMP_MAGIC, STAMP_OFFSET, Stamp};
pub use stamp_reader::{LatencySummary, StampReader, StampReport};
pub use traffic::{StampedTraffic, TrafficConfig, TrafficError};
