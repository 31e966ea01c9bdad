//! The emulated card: a descriptor ring with hardware on one side and a driver on the other.
//!
//! ```text
//!                 posted: empty buffers
//!   driver  ───────────────────────────────►  hardware ◄── source, paced by the line
//!  (RxLoop) ◄───────────────────────────────  (Hardware)
//!                completed: buffers with frames
//! ```
//! The two sides share nothing but the two rings, so they run in one thread or in two. A buffer
//! belongs to whoever holds its descriptor; the hardware packs frames into it until it closes it.

mod card;
mod config;
mod counters;
mod descriptor;
mod dma;
mod hardware;
mod rx_loop;
mod small_frames;

pub use card::{EmulatedNic, RingLevel, RxQueue};
pub use config::{CloseWhen, MAX_DESCRIPTORS, NicConfig, NicError};
pub use counters::HardwareStats;
pub use descriptor::Descriptor;
pub use hardware::{Hardware, Step};
pub use rx_loop::{Polled, RxLoop, RxSink};
pub use skbpool_pool::RxFrame;
pub use small_frames::SmallFrameLimits;
