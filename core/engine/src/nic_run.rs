//! An emulated card with its driver, in a process of its own pool, that feeds a client.

use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use skbpool_nic::{
    CaptureReplay, EmulatedNic, FrameSource, NicConfig, Passes, Rate, RxLoop, StampedTraffic,
    TrafficConfig,
};
use skbpool_pool::clock::monotonic_ns;
use skbpool_pool::{DropCount, DropReason, Holder, HolderKind, Pool};
use skbpool_wire::EncodeError;

use crate::card::{BURST, Card, CardShared, Ends, Go, WAIT, epoch_offset_ns, nap};
use crate::error::NicRunError;
use crate::sender::{PlannedRequest, Sender};
use crate::uplink::{Uplink, UplinkSink};

/// What the line carries.
#[derive(Clone, Debug)]
pub enum Traffic {
    /// Stamped frames.
    Stamped {
        /// Size of each in bytes, frame check sequence included.
        size: u32,
        /// Number of the stream.
        stream: u32,
    },
    /// The frames of a capture file.
    Capture {
        /// The file; `-` is the standard input.
        path: PathBuf,
        /// How often; none: until something else ends the run.
        loops: Option<NonZeroU32>,
    },
}

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct NicRunConfig {
    /// What the line carries.
    pub traffic: Traffic,
    /// Rate of the line. At [`Rate::Max`] it waits for the client instead of dropping.
    pub rate: Rate,
    /// The line goes dead after so many frames; none: never.
    pub frames: Option<u64>,
    /// The line goes dead after so long; none: never.
    pub duration: Option<Duration>,
    /// Descriptors of the ring.
    pub descriptors: u32,
    /// Buffers of the pool.
    pub buffers: u32,
    /// They have `4096 << order` bytes.
    pub order: u8,
    /// Name that the daemon accounts the frames under, told in request number 1; empty: the daemon
    /// chooses one.
    pub driver: String,
}

/// What a run did so far. When it is over, `offered = accepted + dropped`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NicReport {
    /// Frames that came over the line.
    pub offered: u64,
    /// Frames that landed in a buffer of the card's pool and were handed on.
    pub accepted: u64,
    /// Bytes of those frames in memory.
    pub accepted_bytes: u64,
    /// Frames that were lost on this side, by reason.
    pub dropped: Vec<DropCount>,
    /// Frames that the line had time for and that were not made.
    pub late: u64,
    /// Bits of the offered frames on the wire, preamble and gap included.
    pub wire_bits: u64,
    /// How long the line was up.
    pub seconds: f64,
    /// What ended the source before its time.
    pub source_error: Option<String>,
    /// Whether the line is dead.
    pub ended: bool,
}

/// A card on a line, its pool, and its driver, which one thread runs.
pub struct NicRun {
    config: NicConfig,
    traffic: Option<Source>,
    nap: Duration,
    pool: Pool,
    holder: Holder,
    uplink: Arc<Uplink>,
    sender: Sender,
    shared: Arc<CardShared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Source {
    Stamped(StampedTraffic),
    Capture(CaptureReplay),
}

/// Tells the sender that no frame comes any more, whatever ended the run.
struct EndsUplink(Arc<Uplink>);

impl Drop for EndsUplink {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl NicRun {
    /// A card that is ready to start: its pool is made and its source open.
    ///
    /// # Errors
    /// [`NicRunError`].
    pub fn new(config: NicRunConfig) -> Result<Self, NicRunError> {
        let pool = Pool::builder(config.buffers).order(config.order).name("nic").build()?;
        let (traffic, size) = match config.traffic {
            Traffic::Stamped { size, stream } => {
                let traffic = TrafficConfig { frame_size: size, stream, first_sequence: 0 };
                (Source::Stamped(StampedTraffic::new(traffic)?), size)
            }
            Traffic::Capture { path, loops } => {
                let passes = loops.map_or(Passes::Endless, Passes::Times);
                (Source::Capture(CaptureReplay::open(path, passes)?), 64)
            }
        };
        let holder = pool.accounts().holder("nic", HolderKind::Driver)?;
        // Outside the queue are the ring, a burst on its way, and what two caches hold back.
        let elsewhere = config.descriptors + BURST + 2 * pool.cache_capacity();
        let queued = config.buffers.saturating_sub(elsewhere).max(1);
        let uplink = Uplink::new(u64::from(queued) * u64::from(pool.buffer_bytes()));
        Ok(Self {
            config: NicConfig {
                descriptors: config.descriptors,
                rate: config.rate,
                duration_ns: config.duration.map(|time| time.as_nanos() as u64),
                frames: config.frames,
                ..NicConfig::default()
            },
            traffic: Some(traffic),
            nap: nap(config.rate, size),
            sender: Sender::new(Arc::clone(&uplink), pool.local_cache(), config.driver),
            uplink,
            shared: Arc::default(),
            thread: None,
            pool,
            holder,
        })
    }

    /// Brings the line up. Starting twice does nothing.
    ///
    /// # Errors
    /// [`NicRunError::Nic`] if the ring is out of range or does not fit the pool; the line is dead
    /// then. [`NicRunError::Thread`].
    pub fn start(&mut self) -> Result<(), NicRunError> {
        let started = match self.traffic.take() {
            None => return Ok(()),
            Some(Source::Stamped(source)) => self.spawn(source),
            Some(Source::Capture(source)) => self.spawn(source),
        };
        if started.is_err() {
            self.uplink.end();
        }
        started
    }

    fn spawn<S: FrameSource + Send + 'static>(&mut self, source: S) -> Result<(), NicRunError> {
        let started_ns = monotonic_ns();
        self.config.epoch_offset_ns = epoch_offset_ns(started_ns);
        let (hardware, queue) = EmulatedNic::new(self.config, source, started_ns)?;
        let sink = UplinkSink { uplink: Arc::clone(&self.uplink), holder: self.holder.id() };
        let rx = RxLoop::new(queue, self.pool.local_cache(), sink)?;
        self.shared.progress().started_ns = Some(started_ns);
        // At the highest rate the line waits for the client when the uplink is crowded.
        let waits = self.config.rate == Rate::Max;
        let uplink = Arc::clone(&self.uplink);
        let card = Card {
            hardware,
            rx,
            shared: Arc::clone(&self.shared),
            go: move || if waits && !uplink.wait_for_room(WAIT) { Go::NotYet } else { Go::On },
            nap: self.nap,
            // The pool is its own.
            _promise: None,
            _ends: Ends(Arc::clone(&self.shared)),
            _at_end: EndsUplink(Arc::clone(&self.uplink)),
        };
        let thread = std::thread::Builder::new()
            .name("skbpool-nic".to_owned())
            .spawn(move || card.run())
            .map_err(NicRunError::Thread)?;
        self.thread = Some(thread);
        Ok(())
    }

    /// Collects the frames of the next `IngestRequest`, number `sequence`, of at most `max_bytes`. Waits
    /// at most `patience` for the first frame, and then at most `linger` for the message to fill.
    ///
    /// # Errors
    /// [`EncodeError::MessageTooLarge`] if the limit does not even hold the driver's name.
    pub fn plan_request(
        &mut self,
        max_bytes: usize,
        linger: Duration,
        sequence: u64,
        patience: Duration,
    ) -> Result<PlannedRequest, EncodeError> {
        self.sender.plan(max_bytes, linger, sequence, patience)
    }

    /// Writes the planned message into `memory`, which has exactly its size, and releases its frames.
    ///
    /// # Errors
    /// [`EncodeError::BufferSize`] if the memory has another size or nothing is planned.
    pub fn write_request<'o>(
        &mut self,
        memory: &'o mut [MaybeUninit<u8>],
    ) -> Result<&'o mut [u8], EncodeError> {
        self.sender.write(memory)
    }

    /// What tells about the run, and can stop it, while another thread waits for frames.
    pub fn observer(&self) -> NicObserver {
        NicObserver { uplink: Arc::clone(&self.uplink), shared: Arc::clone(&self.shared) }
    }

    /// Takes the line down and waits for its thread. Frames that were received can still be fetched.
    pub fn stop(&mut self) {
        self.observer().stop();
        if self.pool.is_forked() {
            // The thread is the parent's, and so is what it has locked.
            std::mem::forget(self.thread.take());
            return;
        }
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended the line.
            crate::thread::join(thread);
        }
        if self.traffic.take().is_some() {
            self.uplink.end();
        }
    }
}

impl Drop for NicRun {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Tells about a [`NicRun`] from any thread.
#[derive(Clone, Debug)]
pub struct NicObserver {
    uplink: Arc<Uplink>,
    shared: Arc<CardShared>,
}

impl NicObserver {
    /// What the run did so far.
    pub fn report(&self) -> NicReport {
        let progress = self.shared.progress();
        let (accepted, accepted_bytes) = self.uplink.accepted();
        let hardware = &progress.hardware;
        let mut dropped = self.uplink.dropped();
        for (reason, frames, bytes) in [
            (DropReason::NoDescriptor, hardware.missed, hardware.missed_bytes),
            (DropReason::TooLarge, hardware.too_large, hardware.too_large_bytes),
        ] {
            if frames != 0 {
                dropped.push(DropCount { reason, frames, bytes });
            }
        }
        NicReport {
            offered: hardware.offered,
            accepted,
            accepted_bytes,
            dropped,
            late: hardware.late,
            wire_bits: hardware.wire_bits,
            seconds: progress.seconds(),
            source_error: progress.error.clone(),
            ended: progress.ended_ns.is_some(),
        }
    }

    /// Asks the line to go down, without waiting.
    pub fn stop(&self) {
        self.shared.stop();
    }
}
