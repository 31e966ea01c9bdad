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
/// and means nothing if the sender is on another host. Dropping it detaches the consumer, whoever runs it
/// then.
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
    /// Empty, for the next driver that runs it.
    spare: SkbBatch,
}

impl Seen {
    fn new(reader: StampReader, consumer: Consumer) -> Mutex<Self> {
        Mutex::new(Self { reader, consumer: Some(consumer), spare: SkbBatch::new() })
    }

    /// Frames that it could read.
    fn queued(&self) -> u64 {
        self.consumer.as_ref().map_or(0, |consumer| consumer.stats().queued)
    }

    fn is_finished(&mut self) -> bool {
        self.consumer.as_mut().is_none_or(Consumer::is_finished)
    }

    /// As [`Consumer::arm`].
    fn arm(&mut self) -> bool {
        self.consumer.as_mut().is_some_and(Consumer::arm)
    }

    fn disarm(&mut self) {
        self.consumer.as_mut().map(Consumer::disarm);
    }

    /// Reads up to `most` frames, which are then in `batch`; returns how many.
    #[inline]
    fn read(&mut self, batch: &mut SkbBatch, most: usize) -> usize {
        let Some(consumer) = &mut self.consumer else { return 0 };
        let taken = consumer.poll(batch, most);
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
    /// drivers deliver as many views at a time; drivers wait for one another while one reads a burst.
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
        inline.shared.get_or_init(|| Arc::downgrade(&shared));
        Ok(Self { shared, thread: None, born: Birthplace::here() })
    }

    /// What it saw so far; `None` in a forked child, where whoever reads stamps is not. Waits for at
    /// most the burst that is being read.
    pub fn report(&self) -> Option<StampConsumerReport> {
        if self.born.is_elsewhere() {
            return None;
        }
        let seen = self.shared.seen();
        let consumer = seen.consumer.as_ref()?.stats();
        Some(StampConsumerReport { stamps: seen.reader.report(), consumer })
    }

    /// A watcher of its quota from now on. Waits as [`Self::report`] does; `None` in a forked child and once
    /// it is detached.
    pub fn quota_events(&self) -> Option<QuotaEvents> {
        if self.born.is_elsewhere() {
            return None;
        }
        self.shared.seen().consumer.as_ref().map(Consumer::quota_events)
    }

    /// Stops as [`Self::stop`] does, and returns what [`Self::report`] does then. It is detached when this
    /// returns, and all it took is counted.
    pub fn close(mut self) -> Option<StampConsumerReport> {
        self.stop();
        self.report()
    }

    /// Reads as many frames as are queued now, and no further ones; stays attached. Waits for no more
    /// than a quota of frames, however fast drivers deliver meanwhile; an inline one reads them here, and
    /// drivers find nothing to read any more. A second call does nothing.
    pub fn stop(&mut self) {
        // SYNC: what was delivered before is in the figures that are looked at after it.
        if self.shared.stop.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.born.is_elsewhere() {
            // The thread is the parent's, and so is what it or a driver has locked.
            std::mem::forget(self.thread.take());
            return;
        }
        self.shared.bell.ring(0);
        match self.thread.take() {
            Some(thread) => crate::thread::join(thread),
            None => self.shared.read_queued(),
        }
    }
}

impl Drop for StampConsumer {
    fn drop(&mut self) {
        self.stop();
        if !self.born.is_elsewhere() {
            // A driver may still have `shared`, and finds nothing to read there. What is queued is released
            // here: with the lock free, for who frees it may deliver.
            let consumer = self.shared.seen().consumer.take();
            drop(consumer);
        }
    }
}

/// A reader that drivers run.
#[derive(Debug, Default)]
struct Inline {
    /// Once there is something to read from. Weak, since that has this.
    shared: OnceLock<Weak<Shared>>,
}

impl RunToCompletion for Inline {
    fn run(&self, cache: &mut LocalCache) {
        if let Some(shared) = self.shared.get().and_then(Weak::upgrade) {
            shared.read_all(cache);
        }
    }
}

impl Shared {
    /// Reads everything that is queued, unless it was stopped. The lock is free while frames are released.
    fn read_all(&self, cache: &mut LocalCache) {
        let mut seen = self.seen();
        let mut batch = std::mem::take(&mut seen.spare);
        // SYNC: pairs with `stop`, which then waits for the lock.
        while !self.stop.load(Ordering::Acquire) && seen.read(&mut batch, POLL) != 0 {
            drop(seen);
            batch.release(cache);
            seen = self.seen();
        }
        seen.spare = batch;
    }

    /// Reads as many frames as are queued now.
    fn read_queued(&self) {
        let mut batch = SkbBatch::new();
        let mut left = self.seen().queued();
        while left != 0 {
            let taken = self.read(&mut batch, left.min(POLL as u64) as usize);
            if taken == 0 {
                return;
            }
            batch.release_uncached();
            left -= taken as u64;
        }
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
                left = Some(self.seen().queued());
            }
            let most = left.map_or(POLL, |left: u64| left.min(POLL as u64) as usize);
            let taken = self.read(&mut batch, most);
            if taken != 0 {
                batch.release(cache);
                left = left.map(|left| left - taken as u64);
                idle_since = None;
                continue;
            }
            if left.is_some() || self.seen().is_finished() {
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
        if self.seen().arm() {
            self.bell.wait(SLEEP);
            self.seen().disarm();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic in between leaves counters that are short by a burst at most.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
