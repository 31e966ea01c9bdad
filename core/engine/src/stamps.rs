//! A consumer that reads every frame's stamp, in a thread of its own or on those of the drivers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use skbpool_deliver::{
    Bell, Consumer, ConsumerConfig, ConsumerStats, Hub, HubError, Policy, QuotaEvents,
    RunToCompletion,
};
use skbpool_nic::{StampReader, StampReport};
use skbpool_pool::fork::Birthplace;
use skbpool_pool::{LocalCache, SkbBatch, clock};

/// Skbs read at a time.
const POLL: usize = 256;

/// How long it looks for more before it sleeps: longer than a driver takes between two bursts of a
/// message, since waking a sleeper costs the driver more than landing a burst does.
const LOOK: Duration = Duration::from_micros(50);

/// Longest sleep; a bell ends it sooner.
const SLEEP: Duration = Duration::from_secs(1);

/// What a stamp consumer saw.
#[derive(Clone, Debug)]
pub struct StampConsumerReport {
    /// What the stamps tell.
    pub stamps: StampReport,
    /// Its figures as a consumer, what it missed included.
    pub consumer: ConsumerStats,
}

/// Reads the stamps of one stream, in place, in a thread of its own or on those of the drivers.
///
/// Latency is the time it reads a frame less the send time in its stamp, both of the monotonic clock,
/// and means nothing if the sender is on another host. Dropping it detaches the consumer.
#[derive(Debug)]
pub struct StampConsumer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    born: Birthplace,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    bell: Arc<Bell>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    reader: StampReader,
    /// None: detached.
    consumer: Option<Consumer>,
    last: ConsumerStats,
    /// Empty, for the next driver that runs it.
    spare: SkbBatch,
}

impl Seen {
    fn new(reader: StampReader, consumer: Consumer) -> Mutex<Self> {
        Mutex::new(Self { reader, consumer, batch: SkbBatch::new() })
    }

    /// Reads up to `most` frames, which are then in `batch`; returns how many.
    #[inline]
    fn read(&mut self, batch: &mut SkbBatch, most: usize) -> usize {
        let taken = self.consumer.poll(batch, most);
        if taken != 0 {
            let now_ns = clock::monotonic_ns();
            for skb in batch.as_slice() {
                self.reader.observe_part(skb.data(), u64::from(skb.len()), now_ns);
            }
        }
        taken
    }
}

/// Why a stamp consumer could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum StampConsumerError {
    /// The hub refused it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// No thread to be had.
    #[error("no thread for the stamp reader: {0}; raise the limit on processes, or stop some")]
    Thread(#[source] std::io::Error),
}

impl StampConsumer {
    /// Attaches to `hub` as the consumer `name` and starts reading the stamps of `stream`, whose first
    /// sequence number is 0: what is missing before the first frame that comes counts as lost.
    ///
    /// # Errors
    /// [`StampConsumerError`].
    pub fn attach(
        hub: &Arc<Hub>,
        name: &str,
        stream: u32,
        quota: u32,
    ) -> Result<Self, StampConsumerError> {
        Self::attach_with(hub, name, stream, quota, Policy::DropNewest)
    }

    /// As [`Self::attach`], with a `policy` for frames beyond the quota.
    ///
    /// # Errors
    /// [`StampConsumerError`].
    pub fn attach_with(
        hub: &Arc<Hub>,
        name: &str,
        stream: u32,
        quota: u32,
        policy: Policy,
    ) -> Result<Self, StampConsumerError> {
        let pool = hub.pool().clone();
        let what = format!("the cache of consumer \"{name}\"");
        let reservation = pool.reserve(pool.cache_capacity(), &what).map_err(HubError::from)?;
        let bell = Bell::new();
        let config = ConsumerConfig {
            bell: Some((Arc::clone(&bell), 0)),
            policy,
            ..ConsumerConfig::with_quota(quota)
        };
        let consumer = hub.attach_consumer(name, config)?;
        let reader = StampReader::starting_at(stream, 0);
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            bell,
            seen: Seen::new(reader, consumer),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("skbpool-stamps".to_owned())
            .spawn(move || {
                let _reservation = reservation;
                theirs.run(&mut pool.local_cache());
            })
            .map_err(StampConsumerError::Thread)?;
        Ok(Self { shared, thread: Some(thread), born: Birthplace::here() })
    }

    /// As [`Self::attach`], without a thread: whoever delivers reads the stamps of what it delivered before
    /// it goes on ([`RunToCompletion`]). Costs less in all, and nothing is missed for want of quota unless
    /// drivers deliver as many views at a time.
    ///
    /// # Errors
    /// [`StampConsumerError`].
    pub fn attach_inline(
        hub: &Arc<Hub>,
        name: &str,
        stream: u32,
        quota: u32,
    ) -> Result<Self, StampConsumerError> {
        let inline = Arc::<Inline>::default();
        let run: Arc<dyn RunToCompletion> = Arc::clone(&inline) as _;
        let config = ConsumerConfig { run: Some(run), ..ConsumerConfig::with_quota(quota) };
        let consumer = hub.attach_consumer(name, config)?;
        let reader = StampReader::starting_at(stream, 0);
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            bell: Bell::new(),
            seen: Seen::new(reader, consumer),
        });
        // What was delivered in between stays queued until the next delivery.
        *inline.shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&shared);
        Ok(Self { shared, thread: None, born: Birthplace::here() })
    }

    /// What it saw so far; `None` in a forked child, where whoever reads stamps is not. Waits for at
    /// most the burst that is being read.
    pub fn report(&self) -> Option<StampConsumerReport> {
        if self.born.is_elsewhere() {
            return None;
        }
        let seen = self.shared.seen();
        Some(StampConsumerReport { stamps: seen.reader.report(), consumer: seen.consumer.stats() })
    }

    /// A watcher of its quota from now on. Waits as [`Self::report`] does, and in a forked child is `None`
    /// likewise.
    pub fn quota_events(&self) -> Option<QuotaEvents> {
        (!self.born.is_elsewhere()).then(|| self.shared.seen().consumer.quota_events())
    }

    /// Stops as [`Self::stop`] does, and detaches; returns what [`Self::report`] does.
    pub fn close(mut self) -> Option<StampConsumerReport> {
        self.stop();
        self.report()
    }

    /// Reads as many frames as are queued now, and no further ones; stays attached. Waits for no more
    /// than a quota of frames, however fast drivers deliver meanwhile. A second call does nothing.
    pub fn stop(&mut self) {
        // SYNC: what was delivered before is in the figures that the thread looks at after it.
        self.shared.stop.store(true, Ordering::Release);
        if self.born.is_elsewhere() {
            // The thread is the parent's, and so is what it has locked.
            std::mem::forget(self.thread.take());
            return;
        }
        self.shared.bell.ring(0);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Drop for StampConsumer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A reader that drivers run.
#[derive(Debug, Default)]
struct Inline {
    /// Locked by the driver that runs it.
    shared: Mutex<Weak<Shared>>,
}

impl RunToCompletion for Inline {
    fn run(&self, cache: &mut LocalCache) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shared) = shared.upgrade() else { return };
        shared.read_all(cache);
    }
}

impl Shared {
    /// Reads everything that is queued, unless it was stopped.
    fn read_all(&self, cache: &mut LocalCache) {
        let mut seen = self.seen();
        // SYNC: pairs with `stop`.
        if self.stop.load(Ordering::Acquire) {
            return;
        }
        let mut batch = std::mem::take(&mut seen.batch);
        while seen.read(&mut batch, POLL) != 0 {
            batch.release(cache);
        }
        seen.batch = batch;
    }

    fn run(&self, cache: &mut LocalCache) {
        let mut batch = SkbBatch::with_capacity(POLL);
        let mut idle_since = None;
        // Frames still to be read, once it shall stop: without a bound, drivers that never pause would
        // keep it here.
        let mut left = None;
        loop {
            // SYNC: pairs with `stop`.
            if left.is_none() && self.stop.load(Ordering::Acquire) {
                left = Some(self.seen().consumer.stats().queued);
            }
            let most = left.map_or(POLL, |left: u64| left.min(POLL as u64) as usize);
            let taken = self.read(&mut batch, most);
            if taken != 0 {
                batch.release(cache);
                left = left.map(|left| left - taken as u64);
                idle_since = None;
                continue;
            }
            if left.is_some() || self.seen().consumer.is_finished() {
                return;
            }
            if idle_since.get_or_insert_with(Instant::now).elapsed() < LOOK {
                // No yield: on a busy machine that gives a whole time slice away.
                std::hint::spin_loop();
                continue;
            }
            cache.flush();
            self.sleep();
            idle_since = None;
        }
    }

    /// Reads up to `most` frames, which are then in `batch`; returns how many.
    #[inline]
    fn read(&self, batch: &mut SkbBatch, most: usize) -> usize {
        self.seen().read(batch, most)
    }

    /// Sleeps until frames arrive, somebody rings, or [`SLEEP`] has passed. The lock is free meanwhile.
    fn sleep(&self) {
        if self.seen().consumer.arm() {
            self.bell.wait(SLEEP);
            self.seen().consumer.disarm();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic in between leaves counters that are short by a burst at most.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
