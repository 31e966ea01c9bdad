//! A driver whose frames come in messages.

use std::sync::Arc;
use std::time::Duration;

use skbpool_deliver::{DriverConfig, DriverStats, Hub, HubError};
use skbpool_pool::{Buffer, Pool};
use skbpool_wire::{DropCount, FrameBatchView, IngestRequestView, IngestResponse, MAX_FRAME};

use crate::adopt::Kept;
use crate::error::MessageError;
use crate::landing::Landing;
use crate::progress::Progress;

/// Bytes of frames that a client may send beyond what was acknowledged, unless set otherwise: 8 MiB.
pub const DEFAULT_CREDIT_BYTES: u64 = 8 << 20;

/// Settings of an ingest stream.
#[derive(Clone, Copy, Debug)]
pub struct IngestConfig {
    /// Largest frame in bytes; at most [`MAX_FRAME`].
    pub max_frame_bytes: u32,
    /// Bytes of frames that the client may send beyond what was acknowledged.
    pub credit_bytes: u64,
    /// The longest that a delivery may wait for consumers that ask for it ([`Policy::Block`]); 0: it never
    /// waits.
    ///
    /// [`Policy::Block`]: skbpool_deliver::Policy::Block
    pub may_block: Duration,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: MAX_FRAME,
            credit_bytes: DEFAULT_CREDIT_BYTES,
            may_block: Duration::ZERO,
        }
    }
}

/// One ingest stream: `IngestRequest` in, `IngestResponse` out.
///
/// Every frame of a message is copied once into pool buffers and delivered. Frames that find no
/// buffer are dropped and counted; nothing waits, unless it may be blocked. Dropping it detaches the driver.
pub struct Ingest {
    landing: Landing,
    config: IngestConfig,
    acked_through: u64,
    /// Of a stream that may be resumed: what was handled before this attached, and the next number.
    resumable: Option<Progress>,
}

impl Ingest {
    /// Attaches to `hub` as the driver `name`.
    ///
    /// # Errors
    /// [`HubError`]: the pool is too small for one more driver beside everybody's worst case (its
    /// cache, and the larger of a burst and a frame of `max_frame_bytes`), or the hub is closed.
    pub fn attach(hub: &Arc<Hub>, name: &str, config: IngestConfig) -> Result<Self, HubError> {
        let config =
            IngestConfig { max_frame_bytes: config.max_frame_bytes.min(MAX_FRAME), ..config };
        let buffers = Landing::worst_case(hub.pool(), config.max_frame_bytes);
        let may_block = config.may_block;
        let port = hub.attach_driver(name, DriverConfig { buffers, may_block })?;
        let landing = Landing::new(port, hub.pool());
        Ok(Self { landing, config, acked_through: 0, resumable: None })
    }

    /// As [`Ingest::attach`], for a stream that goes on where `progress` ends: what it counts is added to
    /// that, and the numbers of its batches are checked.
    ///
    /// # Errors
    /// As [`Ingest::attach`].
    pub fn resume(
        hub: &Arc<Hub>,
        name: &str,
        config: IngestConfig,
        progress: Progress,
    ) -> Result<Self, HubError> {
        let acked_through = progress.acked_through();
        Ok(Self { acked_through, resumable: Some(progress), ..Self::attach(hub, name, config)? })
    }

    /// What was handled so far, with which the stream can be resumed.
    pub fn progress(&self) -> Progress {
        self.resumable.as_ref().unwrap_or(&Progress::default()).with(self.stats())
    }

    /// The encoded `IngestResponse` that opens a stream: it grants the first credit.
    pub fn greeting(&self) -> Vec<u8> {
        self.response()
    }

    /// Lands and delivers the frames of an encoded `IngestRequest`; returns the encoded
    /// `IngestResponse`. Its counts run from the stream's beginning, also of one that was resumed; only
    /// what consumers `missed` is counted from when this was attached.
    ///
    /// # Errors
    /// [`MessageError`]: nothing of this message landed, earlier ones are unaffected, and the stream
    /// can go on.
    ///
    /// # Cost
    /// One pass over the lengths, and one copy and one skb a frame; allocates the response only.
    pub fn submit(&mut self, message: &[u8]) -> Result<Vec<u8>, MessageError> {
        let request = self.parse(message)?;
        if let Some(batch) = &request.batch
            && self.admit(batch)?
        {
            self.landing.land(batch);
            self.handled(batch);
        }
        Ok(self.response())
    }

    /// As [`Ingest::submit`], and if every consumer is in this process the frames stay where they lie: in
    /// `buffer`, whose bytes `message` are.
    ///
    /// What is returned beside the answer is the caller's reference to the buffer: as long as it is kept,
    /// no consumer is the one that lets the message go.
    pub fn submit_adopted(
        &mut self,
        message: &[u8],
        buffer: Buffer,
    ) -> (Result<Vec<u8>, MessageError>, Kept) {
        let request = match self.parse(message) {
            Ok(request) => request,
            Err(error) => return (Err(error), Kept::Whole(buffer)),
        };
        let Some(batch) = &request.batch else { return (Ok(self.response()), Kept::Whole(buffer)) };
        match self.admit(batch) {
            Ok(true) => {}
            Ok(false) => return (Ok(self.response()), Kept::Whole(buffer)),
            Err(error) => return (Err(error), Kept::Whole(buffer)),
        }
        let kept = if buffer.len() == message.len() && !self.landing.serves_outside() {
            self.landing.deliver_in_place(buffer, batch)
        } else {
            Kept::Whole(buffer)
        };
        if matches!(kept, Kept::Whole(_)) {
            self.landing.land(batch);
        }
        self.handled(batch);
        (Ok(self.response()), kept)
    }

    /// Whether the batch is to be handled; of a stream that may be resumed it may have been before.
    fn admit(&mut self, batch: &FrameBatchView<'_>) -> Result<bool, MessageError> {
        self.resumable.as_mut().map_or(Ok(true), |progress| progress.admit(batch.sequence()))
    }

    fn handled(&mut self, batch: &FrameBatchView<'_>) {
        self.acked_through = self.acked_through.max(batch.sequence());
        if let Some(progress) = &mut self.resumable {
            progress.handled(batch.sequence());
        }
    }

    fn parse<'a>(&self, message: &'a [u8]) -> Result<IngestRequestView<'a>, MessageError> {
        let request = IngestRequestView::parse(message)?;
        if let Some(batch) = &request.batch {
            self.check(batch)?;
        }
        Ok(request)
    }

    /// From now on, while the pool is low, frames land in a buffer of `small` if one holds all that is left
    /// of their message: a few frames then pin no buffer of the pool. No byte is copied more often for it.
    /// `small` had better share its accounts with the hub's pool; none: no longer.
    pub fn land_small_in(&mut self, small: Option<&Pool>) {
        self.landing.land_small_in(small);
    }

    /// What the wire allows and this stream does not.
    fn check(&self, batch: &FrameBatchView<'_>) -> Result<(), MessageError> {
        let interface = batch.interface();
        if interface > u32::from(u16::MAX) {
            return Err(MessageError::Interface { interface });
        }
        let limit = self.config.max_frame_bytes;
        if limit < MAX_FRAME {
            let mut frames = batch.frames().enumerate();
            if let Some((index, frame)) =
                frames.find(|(_, frame)| frame.bytes.len() > limit as usize)
            {
                let length = frame.bytes.len() as u32;
                return Err(MessageError::FrameTooLarge { index, length, limit });
            }
        }
        Ok(())
    }

    /// The figures of this stream.
    pub fn stats(&self) -> DriverStats {
        self.landing.port().stats()
    }

    fn response(&self) -> Vec<u8> {
        let progress = self.progress();
        let (accepted, unclaimed, duplicates, dropped) = progress.counts();
        let dropped: Vec<DropCount> = dropped.iter().map(to_wire).collect();
        let missed: Vec<DropCount> = self.landing.missed().iter().map(|it| to_wire(&it)).collect();
        IngestResponse {
            acked_through: self.acked_through,
            accepted,
            dropped: &dropped,
            credit: self.config.credit_bytes,
            unclaimed,
            duplicates,
            missed: &missed,
        }
        .to_vec()
    }
}

/// A drop count as the wire has it.
pub(crate) fn to_wire(count: &skbpool_pool::DropCount) -> DropCount {
    DropCount { reason: count.reason.number(), frames: count.frames, bytes: count.bytes }
}
