//! The end of a card's uplink that makes messages.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skbpool_pool::{LocalCache, Skb};
use skbpool_wire::{BatchEncoder, BatchLimits, BatchMessage, EncodeError};

use crate::skb_encoder::SkbEncoder;
use crate::uplink::{Taken, Uplink};

/// What [`NicRun::plan_request`](crate::NicRun::plan_request) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedRequest {
    /// A message of so many bytes.
    Ready(usize),
    /// No frame came in time.
    Nothing,
    /// The line is dead and everything was sent.
    Ended,
}

/// Makes `IngestRequest` messages of what is queued.
pub(crate) struct Sender {
    uplink: Arc<Uplink>,
    out: SkbEncoder,
    driver: String,
    /// Number of the message being planned.
    sequence: u64,
}

impl Sender {
    pub(crate) fn new(uplink: Arc<Uplink>, cache: LocalCache, driver: String) -> Self {
        Self { uplink, out: SkbEncoder::new(cache, BatchLimits::new(0)), driver, sequence: 0 }
    }

    /// Collects the next message, number `sequence`, of at most `max_bytes`. Waits at most `patience`
    /// for the first frame, and then at most `linger` for the message to fill. The first message names
    /// the driver.
    pub(crate) fn plan(
        &mut self,
        max_bytes: usize,
        linger: Duration,
        sequence: u64,
        patience: Duration,
    ) -> Result<PlannedRequest, EncodeError> {
        let reserved_bytes = self.driver.len() + 8;
        if max_bytes < reserved_bytes {
            return Err(EncodeError::MessageTooLarge { encoded: reserved_bytes, limit: max_bytes });
        }
        self.out.restart(BatchLimits { max_message_bytes: max_bytes, reserved_bytes });
        let mut until = Instant::now() + patience;
        let mut ended = false;
        let (mut begun, mut looked) = (false, false);
        while !ended && !self.fill() {
            if !begun && !self.out.batch().is_empty() {
                begun = true;
                until = Instant::now() + linger;
            } else if looked && Instant::now() >= until {
                // Frames that fit no message may come without end.
                break;
            }
            looked = true;
            // Of a full message what the columns take is left out: a little late is as good as on time.
            let full = max_bytes.saturating_sub(self.out.batch().frame_bytes()).max(1);
            let wanted = if begun { full as u64 } else { 1 };
            match self.uplink.take(self.out.taken_mut(), wanted, until) {
                Taken::Frames => {}
                Taken::Nothing => break,
                Taken::End => ended = true,
            }
        }
        if self.out.batch().is_empty() {
            return Ok(if ended { PlannedRequest::Ended } else { PlannedRequest::Nothing });
        }
        self.sequence = sequence;
        let size = request(self.out.batch(), sequence, &self.driver)?.encoded_len();
        self.out.plan(size);
        Ok(PlannedRequest::Ready(size))
    }

    /// Adds what was taken to the message; answers whether that is full.
    fn fill(&mut self) -> bool {
        let uplink = &self.uplink;
        self.out.fill(|bytes, truesize| uplink.refused(bytes, truesize))
    }

    /// Writes the planned message into `memory`, which has exactly its size, and releases its frames.
    pub(crate) fn write<'o>(
        &mut self,
        memory: &'o mut [MaybeUninit<u8>],
    ) -> Result<&'o mut [u8], EncodeError> {
        let (sequence, driver) = (self.sequence, &self.driver);
        let written = self.out.write(memory, |batch| request(batch, sequence, driver))?;
        let truesize = self.out.frames().iter().map(Skb::truesize).map(u64::from).sum();
        self.out.release();
        self.uplink.sent(truesize);
        Ok(written)
    }
}

/// The message of a batch; the first of a stream names the driver.
fn request<'m>(
    batch: &BatchEncoder,
    sequence: u64,
    driver: &'m str,
) -> Result<BatchMessage<'m>, EncodeError> {
    batch.ingest_request(sequence, if sequence == 1 { driver } else { "" })
}
