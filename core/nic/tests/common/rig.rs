//! A card, its driver, a hub and a consumer in one thread, under a clock that the test moves.

use super::Frame;
use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub};
use skbpool_nic::{
    EmulatedNic, FrameMeta, FrameSource, Hardware, NicConfig, RxLoop, SourceError, StampedTraffic,
    TrafficConfig,
};
use skbpool_pool::{Accounts, DropCount, DropReason, Pool, Skb, SkbBatch, SkbFlags};
use std::collections::VecDeque;
use std::sync::Arc;

/// Nobody steps more often.
const STEPS: u32 = 10_000_000;

pub struct Rig<S> {
    pub hardware: Hardware<S>,
    pub rx: RxLoop<DriverPort>,
    pub consumer: Consumer,
    pub hub: Arc<Hub>,
    pub pool: Pool,
    pub now_ns: u64,
}

pub fn pool(buffers: u32) -> Pool {
    Pool::builder(buffers).accounts(Accounts::new()).build().expect("memory")
}

pub fn stamped(frame_size: u32) -> StampedTraffic {
    StampedTraffic::new(TrafficConfig { frame_size, stream: 7, first_sequence: 0 }).expect("a size")
}

impl<S: FrameSource> Rig<S> {
    /// A rig on `pool`, whose consumer may hold `quota` views. The driver reserves nothing, so that a
    /// consumer can be given enough quota to use the whole pool up.
    pub fn new(pool: &Pool, config: NicConfig, source: S, quota: u32) -> Self {
        Self::starting_at(0, pool, config, source, quota)
    }

    pub fn starting_at(now_ns: u64, pool: &Pool, config: NicConfig, source: S, quota: u32) -> Self {
        let hub = Hub::new(pool.clone());
        let port = hub.attach_driver("card", DriverConfig::default()).expect("a driver");
        let consumer =
            hub.attach_consumer("tap", ConsumerConfig::with_quota(quota)).expect("a consumer");
        let (hardware, queue) = EmulatedNic::new(config, source, now_ns).expect("a card");
        let rx = RxLoop::new(queue, pool.local_cache(), port).expect("buffers for the ring");
        Self { hardware, rx, consumer, hub, pool: pool.clone(), now_ns }
    }

    /// Steps, polls and takes until the line is dead, `step_ns` a step; returns what arrived.
    pub fn run(&mut self, step_ns: u64) -> (Vec<Frame>, Option<SourceError>) {
        let (mut frames, mut error) = (Vec::new(), None);
        for _ in 0..STEPS {
            if let Err(stopped) = self.hardware.step(self.now_ns, 256) {
                error = Some(stopped);
            }
            self.rx.poll(8);
            frames.extend(self.take(usize::MAX).iter().map(frame));
            self.check_ring();
            if self.rx.is_finished() {
                return (frames, error);
            }
            self.now_ns += step_ns;
        }
        panic!("the line does not come to an end");
    }

    /// Takes up to `at_most` skbs from the consumer's ring.
    pub fn take(&mut self, at_most: usize) -> Vec<Skb> {
        let mut batch = SkbBatch::new();
        self.consumer.poll(&mut batch, at_most);
        batch.into_iter().collect()
    }

    /// No descriptor is lost or made up: what is neither posted nor completed is open.
    pub fn check_ring(&mut self) {
        let level = self.rx.queue_mut().level();
        let open = u32::from(self.hardware.has_open_buffer());
        assert_eq!(level.posted + level.completed + open, level.descriptors, "{level:?}");
    }

    /// What the driver counted as dropped for `reason`: frames and bytes.
    pub fn dropped(&self, reason: DropReason) -> (u64, u64) {
        count(&self.rx.sink().stats().dropped, reason)
    }
}

pub fn count(dropped: &[DropCount], reason: DropReason) -> (u64, u64) {
    let found = dropped.iter().find(|count| count.reason == reason);
    found.map_or((0, 0), |count| (count.frames, count.bytes))
}

/// Panics unless every buffer of `pool` is free or cached, once.
pub fn check_all_home(pool: &Pool) {
    let audit = pool.audit().expect("a sound pool");
    assert_eq!((audit.in_flight, audit.quarantined), (0, 0));
    assert_eq!(audit.free + audit.cached, pool.count());
    assert_eq!(pool.stats().violations, 0);
}

pub fn frame(skb: &Skb) -> Frame {
    let told = skb.flags.contains(SkbFlags::ORIGINAL_LENGTH);
    assert_eq!(told, skb.original_length() != skb.len(), "told only where it differs");
    Frame {
        timestamp_ns: skb.timestamp_ns,
        original_length: skb.original_length(),
        link_type: skb.link_type,
        interface: u32::from(skb.port),
        data: skb.parts().collect::<Vec<_>>().concat(),
    }
}

/// A source of the frames in a list.
#[derive(Default)]
pub struct Listed {
    pub frames: VecDeque<Vec<u8>>,
    /// What it says about their length on the wire; none: four bytes more than they have.
    pub original_length: Option<u32>,
    current: Vec<u8>,
}

impl Listed {
    pub fn new(frames: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { frames: frames.into_iter().collect(), ..Self::default() }
    }
}

impl FrameSource for Listed {
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        Ok(self.frames.front().map(|frame| frame.len() as u32))
    }

    fn write_next(&mut self, out: &mut [u8], _: u64) -> Result<Option<FrameMeta>, SourceError> {
        let Some(frame) = self.frames.pop_front() else { return Ok(None) };
        let len = frame.len() as u32;
        self.current = frame;
        self.write_rest(out);
        let original_length = self.original_length.unwrap_or(len + 4);
        let meta =
            FrameMeta { len, original_length, timestamp_ns: 5, link_type: 101, interface: 3 };
        Ok(Some(meta))
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.current.len());
        out[..count].copy_from_slice(&self.current[..count]);
        self.current.drain(..count);
        count
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        let count = self.frames.len().min(frames as usize);
        self.frames.drain(..count);
        Ok(count as u64)
    }
}

/// `len` bytes that tell which frame they are of and where they lie in it.
pub fn pattern(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number.wrapping_mul(31) + at + (at >> 8)) as u8).collect()
}
