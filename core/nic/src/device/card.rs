//! Making the two sides of a card, and what the driver's side sees of the ring.

use super::config::{MAX_DESCRIPTORS, NicConfig, NicError};
use super::counters::{HardwareCounters, HardwareStats};
use super::descriptor::Descriptor;
use super::dma::Dma;
use super::hardware::Hardware;
use crate::source::FrameSource;
use skbpool_deliver::{Dequeue, Enqueue, Ring};
use std::sync::Arc;

/// Makes the two sides of a card.
///
/// ```
/// use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub};
/// use skbpool_nic::{
///     CloseWhen, EmulatedNic, NicConfig, Rate, RxLoop, StampedTraffic, TrafficConfig,
/// };
/// use skbpool_pool::{Pool, SkbBatch};
///
/// let pool = Pool::builder(1024).build()?;
/// let hub = Hub::new(pool.clone());
/// // At worst a driver has its ring and its cache out.
/// let buffers = 64 + pool.cache_capacity();
/// let port = hub.attach_driver("card", DriverConfig::with_buffers(buffers))?;
/// let mut tap = hub.attach_consumer("tap", ConsumerConfig::with_quota(512))?;
///
/// let rate = Rate::bits_per_second(1_000_000_000)?;
/// let close = CloseWhen::Burst;
/// let config = NicConfig { descriptors: 64, rate, close, ..NicConfig::default() };
/// let source = StampedTraffic::new(TrafficConfig::default())?;
/// let (mut hardware, queue) = EmulatedNic::new(config, source, 0)?;
/// let mut rx = RxLoop::new(queue, pool.local_cache(), port)?;
///
/// hardware.step(200_000, 1000)?; // 200 us at a gigabit: 297 frames of 64 bytes, 672 ns each
/// assert_eq!(rx.poll(64).frames, 297);
/// let mut batch = SkbBatch::new();
/// assert_eq!(tap.poll(&mut batch, 512), 297);
/// batch.release(rx.cache());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EmulatedNic;

impl EmulatedNic {
    /// A card whose line carries the frames of `source`; the line comes up at `now_ns`.
    ///
    /// # Errors
    /// [`NicError::Descriptors`], [`NicError::Memory`].
    #[allow(clippy::new_ret_no_self, reason = "a card is its two sides")]
    pub fn new<S: FrameSource>(
        config: NicConfig,
        source: S,
        now_ns: u64,
    ) -> Result<(Hardware<S>, RxQueue), NicError> {
        let NicConfig { descriptors, headroom, start, .. } = config;
        if descriptors == 0 || descriptors > MAX_DESCRIPTORS {
            return Err(NicError::Descriptors { descriptors });
        }
        let start_index = start as u32;
        let memory = |_| NicError::Memory { descriptors };
        let (post, posted) = Ring::channel(descriptors, start_index).map_err(memory)?;
        let (complete, completed) = Ring::channel(descriptors, start_index).map_err(memory)?;
        let counters = Arc::new(HardwareCounters::start_at(start));
        let dma = Dma::new(posted, complete, descriptors, headroom);
        let hardware = Hardware::new(config, source, dma, Arc::clone(&counters), now_ns);
        Ok((hardware, RxQueue { post, completed, descriptors, headroom, counters }))
    }
}

/// The driver's side of the descriptor ring.
#[derive(Debug)]
pub struct RxQueue {
    pub(super) post: Enqueue<Descriptor>,
    pub(super) completed: Dequeue<Descriptor>,
    pub(super) descriptors: u32,
    pub(super) headroom: u32,
    counters: Arc<HardwareCounters>,
}

/// Where the descriptors of a ring are. What is in neither place is the one buffer that the hardware
/// is filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLevel {
    /// Of the ring.
    pub descriptors: u32,
    /// Waiting for the hardware, empty.
    pub posted: u32,
    /// Waiting for the driver, with frames.
    pub completed: u32,
}

impl RxQueue {
    /// The hardware's figures.
    pub fn hardware_stats(&self) -> HardwareStats {
        self.counters.stats()
    }

    /// Where the descriptors are now.
    pub fn level(&mut self) -> RingLevel {
        let slots = self.post.slots();
        RingLevel {
            descriptors: self.descriptors,
            // Asking for all slots makes both ends look at the other side's index.
            posted: slots - self.post.room(slots),
            completed: self.completed.filled(slots),
        }
    }

    /// Whether the line is dead and every completed buffer was taken.
    pub fn is_finished(&mut self) -> bool {
        self.counters.has_ended() && self.completed.filled(1) == 0
    }
}
