//! A consumer whose frames leave in messages.

use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use skbpool_deliver::{
    Bell, Consumer, ConsumerConfig, ConsumerStats, Hub, HubError, Policy, QuotaEvents, Token,
};
use skbpool_pool::{DropReason, Reservation};
use skbpool_wire::{BatchLimits, DropCount, EncodeError};

use crate::ingest::to_wire;
use crate::linger::Linger;
use crate::skb_encoder::{Form, SkbEncoder};

/// Skbs taken from the consumer's rings at a time.
const POLL: usize = 256;

/// Settings of a subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionConfig {
    /// Most views it may hold, those in its rings included.
    pub quota: u32,
    /// Most bytes it may hold by truesize, likewise; none: as many as the views come to.
    pub quota_bytes: Option<u64>,
    /// What happens to frames that it cannot take.
    pub policy: Policy,
    /// Largest message in bytes.
    pub max_message_bytes: usize,
    /// Most frames of a message; none: as many as fit it.
    pub max_message_frames: Option<NonZeroUsize>,
    /// Longest that a frame waits, from when it was taken, for its message to fill; a day at most. A message
    /// is also as good as full when half of what the subscription may hold is held: what comes then would
    /// soon be missed.
    pub linger: Duration,
    /// Most bytes of each frame; none: all. What is cut off is not copied, and the frame's original length
    /// tells what it had.
    pub snapshot_length: Option<u32>,
    /// The bell that calls it, and its name there; none: a bell of its own.
    pub bell: Option<(Arc<Bell>, Token)>,
}

impl SubscriptionConfig {
    /// A subscription that may hold `quota` views, drops the newest, and sends what is there at once, in
    /// messages of `max_message_bytes` at most.
    pub fn new(quota: u32, max_message_bytes: usize) -> Self {
        Self {
            quota,
            quota_bytes: None,
            policy: Policy::DropNewest,
            max_message_bytes,
            max_message_frames: None,
            linger: Duration::ZERO,
            snapshot_length: None,
            bell: None,
        }
    }
}

/// A message that is ready to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedResponse {
    /// Bytes of the message.
    pub encoded_len: usize,
    /// Frames in it.
    pub frames: usize,
}

/// One subscriber: frames come out of the hub as `SubscribeResponse` messages.
///
/// Made in two steps, so that the caller chooses the memory: [`plan`](Subscription::plan) says how
/// large the message is, [`write`](Subscription::write) writes it and releases its frames.
pub struct Subscription {
    consumer: Consumer,
    bell: Option<Arc<Bell>>,
    /// Frames taken from the rings.
    out: SkbEncoder,
    linger: Linger,
    missed: Vec<DropCount>,
    sequence: u64,
    /// What its cache holds at worst.
    _reservation: Reservation,
}

impl Subscription {
    /// Attaches to `hub` as the consumer `name`: from now on it is offered every frame.
    ///
    /// # Errors
    /// [`HubError`]: quota and cache do not fit the pool beside everybody's worst case, the quota is
    /// 0 or too large for a ring, there is no memory for the copies that its policy makes, or the hub is
    /// closed.
    pub fn attach(
        hub: &Arc<Hub>,
        name: &str,
        config: SubscriptionConfig,
    ) -> Result<Self, HubError> {
        let pool = hub.pool();
        let what = format!("the cache of consumer \"{name}\"");
        let reservation = pool.reserve(pool.cache_capacity(), &what)?;
        let own = config.bell.is_none().then(Bell::new);
        let bell = own.clone().map(|bell| (bell, 0)).or(config.bell);
        let consumer = hub.attach_consumer(
            name,
            ConsumerConfig {
                quota_bytes: config.quota_bytes,
                policy: config.policy,
                bell,
                outside: true,
                ..ConsumerConfig::with_quota(config.quota)
            },
        )?;
        let form = Form {
            max_frames: config.max_message_frames.map_or(usize::MAX, NonZeroUsize::get),
            snapshot_length: config.snapshot_length.unwrap_or(u32::MAX),
        };
        let limits = BatchLimits::new(config.max_message_bytes);
        Ok(Self {
            consumer,
            bell: own,
            out: SkbEncoder::new(pool.local_cache(), limits).with_form(form),
            linger: Linger::new(config.linger),
            missed: Vec::new(),
            sequence: 0,
            _reservation: reservation,
        })
    }

    /// Decides on the next message: as many frames as are there and fit, and what was missed since
    /// the message before. `None` if there is nothing to tell, or its frames wait for more
    /// ([`lingers_for`](Subscription::lingers_for)). Never waits itself.
    ///
    /// # Errors
    /// [`EncodeError::MessageTooLarge`] if the limit does not even hold the counts of missed frames.
    pub fn plan(&mut self) -> Result<Option<PlannedResponse>, EncodeError> {
        if self.out.planned().is_none() {
            let full = self.take_frames();
            if self.out.batch().is_empty() {
                self.note_missed();
                if self.missed.is_empty() {
                    self.out.flush();
                    return Ok(None);
                }
            } else if !full && self.waits_for_more() {
                return Ok(None);
            }
            self.linger.end();
            self.note_missed();
            let sequence = self.next_sequence();
            let message = self.out.batch().subscribe_response(sequence, &self.missed)?;
            self.out.plan(message.encoded_len());
        }
        let frames = self.out.frames().len();
        Ok(self.out.planned().map(|encoded_len| PlannedResponse { encoded_len, frames }))
    }

    /// Writes the planned message into `memory`, which has exactly its size, and releases its frames.
    /// Copies each byte once.
    ///
    /// # Errors
    /// [`EncodeError::BufferSize`] if the memory has another size or nothing is planned; the plan
    /// stays.
    pub fn write<'o>(
        &mut self,
        memory: &'o mut [MaybeUninit<u8>],
    ) -> Result<&'o mut [u8], EncodeError> {
        let sequence = self.next_sequence();
        let written =
            self.out.write(memory, |batch| batch.subscribe_response(sequence, &self.missed))?;
        if !self.out.batch().is_empty() {
            self.sequence = sequence;
        }
        self.consumer.count_taken(self.out.frames());
        self.out.release();
        self.missed.clear();
        Ok(written)
    }

    /// Moves frames from the rings into the batch until it is full or nothing is left; answers whether it
    /// is. A frame that fits no message is gone, and told as missed.
    fn take_frames(&mut self) -> bool {
        loop {
            let consumer = &mut self.consumer;
            let refuse = |bytes, _| consumer.count_refused(DropReason::TooLarge, 1, bytes);
            if self.out.fill(refuse) {
                return true;
            }
            if self.consumer.take(self.out.taken_mut(), POLL) == 0 {
                return false;
            }
        }
    }

    /// Whether a batch that has room is to wait: for longer, with room for more, and while more may come.
    fn waits_for_more(&mut self) -> bool {
        self.linger.goes_on() && !is_half_used(&self.stats()) && !self.consumer.is_finished()
    }

    /// How long the frames that were taken wait on for their message to fill; none: nothing waits.
    pub fn lingers_for(&self) -> Option<Duration> {
        if self.out.planned().is_some() { None } else { self.linger.left() }
    }

    fn note_missed(&mut self) {
        if !self.missed.is_empty() {
            return;
        }
        self.missed.extend(self.consumer.missed().iter().map(to_wire));
    }

    /// Number of the planned batch; a message without one has none.
    fn next_sequence(&self) -> u64 {
        if self.out.batch().is_empty() { 0 } else { self.sequence + 1 }
    }

    /// Whether no message is planned and no frame was taken for one.
    fn is_idle(&self) -> bool {
        self.out.planned().is_none() && self.out.is_empty()
    }

    /// Asks the bell to call when frames arrive. Answers false, without asking, if there are some
    /// already or no more will come. It does not call when the time of frames is over that wait for more
    /// ([`lingers_for`](Subscription::lingers_for)).
    pub fn arm(&mut self) -> bool {
        if self.is_idle() {
            return !self.is_finished() && self.consumer.arm();
        }
        // Of a closing, those are called who had asked before it.
        self.lingers_for().is_some()
            && self.consumer.arm()
            && (!self.consumer.is_finished() || self.disarm())
    }

    /// Takes the wish of [`arm`](Subscription::arm) back; answers whether the call was already made.
    pub fn disarm(&mut self) -> bool {
        self.consumer.disarm()
    }

    /// Its own bell; none if it shares one.
    pub fn own_bell(&self) -> Option<&Arc<Bell>> {
        self.bell.as_ref()
    }

    /// Waits until there is something, the hub is closed, or `timeout` has passed; answers whether
    /// there is something: frames that arrived, or a message that is to leave. For a subscription with a
    /// bell of its own.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        if self.is_idle() {
            return self.consumer.wait(timeout);
        }
        let Some(left) = self.lingers_for() else { return true };
        let found = !self.consumer.is_finished() && self.consumer.wait(left.min(timeout));
        found || left <= timeout || self.consumer.is_finished()
    }

    /// Whether there is something to tell, or to add to a message that waits for more.
    pub fn has_frames(&mut self) -> bool {
        let waits = self.is_idle() || self.lingers_for().is_some() && !self.consumer.is_finished();
        !waits || self.consumer.has_frames()
    }

    /// Whether nothing will ever come again: the hub is closed, and everything was written.
    pub fn is_finished(&mut self) -> bool {
        self.is_idle() && self.consumer.is_finished()
    }

    /// Its figures. Frames count as its own when they are written; those that fit no message as dropped.
    pub fn stats(&self) -> ConsumerStats {
        self.consumer.stats()
    }

    /// A watcher of its quota from now on.
    pub fn quota_events(&self) -> QuotaEvents {
        self.consumer.quota_events()
    }
}

/// Whether somebody holds half of what he may, in views, bytes or copies.
fn is_half_used(stats: &ConsumerStats) -> bool {
    let half = |held: u64, most: u64| most != 0 && held >= most.div_ceil(2);
    half(stats.held, stats.quota)
        || half(stats.held_bytes, stats.quota_bytes.unwrap_or(0))
        || half(stats.copies_held_bytes, stats.copy_memory)
}
