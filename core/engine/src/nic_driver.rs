//! An emulated card with its driver, which delivers into the hub.
//!
//! ```text
//!   attach ──► thread: card ─► receive loop ─► port ─► hub      │ finish ──► port ──► close
//!              its end, whatever it was: the ring is home ──────┘            what is left of its buffers
//! ```

use std::fs::File;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use skbpool_deliver::{DriverConfig, DriverObserver, DriverPort, Hub};
use skbpool_nic::{
    CaptureReplay, EmulatedNic, FrameSource, NicConfig, Passes, Rate, RxLoop, RxSink,
    StampedTraffic, TrafficConfig,
};
use skbpool_pool::clock::monotonic_ns;
use skbpool_pool::fork::Birthplace;
use skbpool_pool::{
    Buffer, BufferMarks, DropCount, DropReason, HolderId, LocalCache, MarkedBuffers, MarkedOut,
    Pool, SkbBatch,
};

use crate::card::{BURST, Card, CardShared, Ends, Go, epoch_offset_ns, nap};
use crate::error::NicDriverError;
use crate::timed::OriginalTiming;

/// What the line of a [`NicDriver`] carries.
#[derive(Debug)]
pub enum DriverTraffic {
    /// Stamped frames.
    Stamped {
        /// Size of each in bytes, frame check sequence included.
        size: u32,
        /// Number of the stream.
        stream: u32,
    },
    /// The frames of a capture.
    Capture {
        /// A regular file, open for reading.
        file: File,
        /// What to call it in errors.
        name: String,
        /// How often; none: until something else ends it.
        loops: Option<NonZeroU32>,
        /// Whether frames keep their distances in time; the rate is then the most there may be.
        original_timing: bool,
    },
}

/// Settings of a driver.
#[derive(Clone, Copy, Debug)]
pub struct NicDriverConfig {
    /// Rate of the line.
    pub rate: Rate,
    /// The line goes dead after so many frames; none: never.
    pub frames: Option<u64>,
    /// The line goes dead after so long; none: never.
    pub duration: Option<Duration>,
    /// Descriptors of the ring.
    pub descriptors: u32,
    /// The longest that one delivery may wait for consumers that ask for it; 0: it never waits.
    pub may_block: Duration,
}

/// What a driver did so far. At any time `offered >= accepted + dropped`; equal when the line is dead,
/// unless its thread panicked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NicDriverReport {
    /// Frames that came over the line.
    pub offered: u64,
    /// Frames of those that were handed to the hub.
    pub accepted: u64,
    /// Bytes of those in memory.
    pub accepted_bytes: u64,
    /// Frames of those that no consumer was there for.
    pub unclaimed: u64,
    /// The others, by reason.
    pub dropped: Vec<DropCount>,
    /// Frames that the line had time for and that were not made; of original timing 0.
    pub late: u64,
    /// Bits of the offered frames on the wire, preamble and gap included.
    pub wire_bits: u64,
    /// How long the line is or was up.
    pub seconds: f64,
    /// What ended it before its time.
    pub error: Option<String>,
    /// Whether the line is dead.
    pub ended: bool,
}

/// A driver of the hub, which one thread runs.
#[derive(Debug)]
pub struct NicDriver {
    observer: NicDriverObserver,
    home: Arc<Mutex<Option<Left>>>,
    thread: Option<JoinHandle<()>>,
    pool: Pool,
    marked: Option<MarkedBuffers>,
}

/// Tells about a [`NicDriver`] from any thread.
#[derive(Clone, Debug)]
pub struct NicDriverObserver {
    shared: Arc<CardShared>,
    port: DriverObserver,
    is_paced: bool,
    born: Birthplace,
}

/// What the thread leaves behind.
#[derive(Debug)]
struct Left {
    port: DriverPort,
    marks: BufferMarks,
}

impl NicDriver {
    /// Attaches a driver whose ring is filled from `pool`, and brings its line up.
    ///
    /// # Errors
    /// [`NicDriverError`]; nothing is attached.
    pub fn attach(
        hub: &Arc<Hub>,
        pool: &Pool,
        name: &str,
        traffic: DriverTraffic,
        config: NicDriverConfig,
    ) -> Result<Self, NicDriverError> {
        match traffic {
            DriverTraffic::Stamped { size, stream } => {
                let traffic = TrafficConfig { frame_size: size, stream, first_sequence: 0 };
                let source = StampedTraffic::new(traffic)?;
                Self::attach_source(hub, pool, name, config, source, size, true)
            }
            DriverTraffic::Capture { file, name: of, loops, original_timing } => {
                let passes = loops.map_or(Passes::Endless, Passes::Times);
                let source = CaptureReplay::from_file(file, of, passes)?;
                if original_timing {
                    let source = OriginalTiming::new(source);
                    Self::attach_source(hub, pool, name, config, source, 64, false)
                } else {
                    Self::attach_source(hub, pool, name, config, source, 64, true)
                }
            }
        }
    }

    fn attach_source<S: FrameSource + Send + 'static>(
        hub: &Arc<Hub>,
        pool: &Pool,
        name: &str,
        config: NicDriverConfig,
        source: S,
        size: u32,
        is_paced: bool,
    ) -> Result<Self, NicDriverError> {
        let started_ns = monotonic_ns();
        let line = NicConfig {
            descriptors: config.descriptors,
            rate: config.rate,
            frames: config.frames,
            duration_ns: config.duration.map(|time| time.as_nanos() as u64),
            epoch_offset_ns: epoch_offset_ns(started_ns),
            ..NicConfig::default()
        };
        let (hardware, queue) = EmulatedNic::new(line, source, started_ns)?;
        // At worst out: the ring, what one look takes from it, and the cache.
        let in_hand = config.descriptors.min(BURST);
        let buffers = config.descriptors.saturating_add(in_hand + pool.cache_capacity());
        let promise = pool.reserve(buffers, &format!("driver \"{name}\""))?;
        // Promised here, since the promise ends with the line, and the port does not.
        let port_config = DriverConfig { buffers: 0, may_block: config.may_block };
        let port = hub.attach_driver(name, port_config)?;
        let home = Arc::default();
        let observer = NicDriverObserver {
            shared: Arc::default(),
            port: port.observer(),
            is_paced,
            born: Birthplace::here(),
        };
        let sink =
            PortSink { left: Some(Left { port, marks: pool.marks() }), home: Arc::clone(&home) };
        observer.shared.progress().started_ns = Some(started_ns);
        let closing = pool.clone();
        let card = Card {
            hardware,
            rx: RxLoop::new(queue, pool.local_cache(), sink)?,
            shared: Arc::clone(&observer.shared),
            go: move || {
                if closing.is_closed() {
                    Go::Never(format!("the pool \"{}\" was closed", closing.name()))
                } else {
                    Go::On
                }
            },
            nap: nap(config.rate, size),
            _promise: Some(promise),
            _ends: Ends(Arc::clone(&observer.shared)),
            _at_end: (),
        };
        let thread = std::thread::Builder::new()
            .name("skbpool-nic".to_owned())
            .spawn(move || card.run())
            .map_err(NicDriverError::Thread)?;
        Ok(Self { observer, home, thread: Some(thread), pool: pool.clone(), marked: None })
    }

    /// What tells about the driver, and can stop it, from any thread.
    pub fn observer(&self) -> NicDriverObserver {
        self.observer.clone()
    }

    /// Takes the line down and waits for its thread, which delivers what the card has received, a ring of
    /// frames at most. The driver stays at the hub with its figures; its ring is home, and what its pool
    /// promised is given back.
    pub fn finish(&mut self) {
        self.observer.stop();
        if self.pool.is_forked() {
            // The thread is the parent's, and so is what it has locked.
            std::mem::forget(self.thread.take());
        } else if let Some(thread) = self.thread.take() {
            crate::thread::join(thread);
        }
    }

    /// Detaches the driver. Views of its frames stay valid (S6); returns how many there are. In a forked
    /// child, which has no such driver, none.
    pub fn detach(&mut self) -> MarkedOut {
        self.finish();
        if self.pool.is_forked() {
            return MarkedOut::default();
        }
        let left = self.left().take();
        if let Some(Left { port, marks }) = left {
            drop(port);
            self.marked = Some(marks.into_marked());
        }
        self.out()
    }

    /// Views of its frames that are out, once it is detached, and their buffers; exact when quiet.
    pub fn out(&mut self) -> MarkedOut {
        self.marked.as_mut().map_or_else(MarkedOut::default, MarkedBuffers::out)
    }

    fn left(&self) -> MutexGuard<'_, Option<Left>> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NicDriver {
    fn drop(&mut self) {
        self.finish();
    }
}

impl NicDriverObserver {
    /// What the driver did so far; also after it is gone. `None` in a forked child, where it is not.
    pub fn report(&self) -> Option<NicDriverReport> {
        if self.born.is_elsewhere() {
            return None;
        }
        // Whether it has ended before the port, so that the figures of a dead line are whole; what was
        // offered after it, so that nothing was handled that was not offered.
        // SYNC: the lock orders both, though the port counts drops Relaxed. What the card offers is noted under
        // it before the driver counts what became of it: whoever has read that count locks after the note.
        let ended = self.shared.progress().ended_ns.is_some();
        let port = self.port.stats();
        let progress = self.shared.progress().clone();
        let seconds = progress.seconds();
        Some(NicDriverReport {
            offered: progress.hardware.offered,
            accepted: port.frames,
            accepted_bytes: port.bytes,
            unclaimed: port.unclaimed,
            dropped: port.dropped,
            late: if self.is_paced { progress.hardware.late } else { 0 },
            wire_bits: progress.hardware.wire_bits,
            seconds,
            error: progress.error,
            ended,
        })
    }

    /// Asks the line to go down, without waiting.
    pub fn stop(&self) {
        self.shared.stop();
    }
}

/// The port while the thread has it; leaves it behind when the receive loop is gone.
struct PortSink {
    /// Only a drop takes it.
    left: Option<Left>,
    home: Arc<Mutex<Option<Left>>>,
}

impl RxSink for PortSink {
    #[inline]
    fn accept(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache) {
        if let Some(left) = &mut self.left {
            left.port.deliver(batch, cache);
        }
    }

    fn count_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        if let Some(left) = &mut self.left {
            left.port.count_drop(reason, frames, bytes);
        }
    }

    fn count_card_drop(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        self.count_drop(reason, frames, bytes);
    }

    #[inline]
    fn received(&mut self, buffer: &Buffer) {
        if let Some(left) = &mut self.left {
            left.marks.mark(buffer);
        }
    }

    fn holder(&self) -> HolderId {
        self.left.as_ref().map_or(HolderId::NONE, |left| left.port.holder())
    }
}

impl Drop for PortSink {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.left.take();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use skbpool_nic::{FrameMeta, SourceError};

    /// Gives a few frames, and then panics.
    struct Panics(u32);

    impl FrameSource for Panics {
        fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
            Ok(Some(60))
        }

        fn write_next(
            &mut self,
            out: &mut [u8],
            now_ns: u64,
        ) -> Result<Option<FrameMeta>, SourceError> {
            self.0 = self.0.checked_sub(1).expect("a source that panics, as this test wants it");
            out[..60].fill(0);
            Ok(Some(FrameMeta { len: 60, timestamp_ns: now_ns, ..FrameMeta::default() }))
        }

        fn write_rest(&mut self, _: &mut [u8]) -> usize {
            0
        }

        fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
            Ok(frames)
        }
    }

    #[test]
    fn a_panic_is_the_drivers_state_and_leaves_nothing_behind() {
        let pool = Pool::builder(1024).build().unwrap();
        let hub = Hub::new(pool.clone());
        let config = NicDriverConfig {
            rate: Rate::Max,
            frames: None,
            duration: None,
            descriptors: 64,
            may_block: Duration::ZERO,
        };
        let mut driver =
            NicDriver::attach_source(&hub, &pool, "card", config, Panics(5), 64, true).unwrap();
        while !driver.observer().report().unwrap().ended {
            std::thread::yield_now();
        }
        let error = driver.observer().report().unwrap().error.unwrap();
        assert!(error.contains("panicked"), "{error}");
        assert_eq!(driver.detach(), MarkedOut::default());
        assert!(hub.stats().drivers.is_empty());
        drop(driver);
        assert_eq!((pool.stats().in_flight, pool.stats().reserved), (0, 0));
    }
}
