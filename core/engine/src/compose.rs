//! Messages of frames that a program brings one at a time.

use skbpool_pool::Skb;
#[cfg(not(loom))]
use skbpool_pool::{Accounts, CopyStage};
use skbpool_wire::{BatchEncoder, BatchLimits, EncodeError, EncodeFrame, Frame, FrameSink, Pushed};

/// Collects frames into `IngestRequest` messages, each as large as the limit allows.
///
/// A message ends where the next frame does not fit, its time is too far off, or its link type or
/// interface differs. Copies each byte twice: when it is pushed, and into the message.
#[derive(Debug)]
pub struct FrameComposer {
    encoder: BatchEncoder,
    driver: String,
    sequence: u64,
    bytes: Vec<u8>,
    frames: Vec<Described>,
}

#[derive(Debug)]
struct Described {
    /// First byte after the frame in `bytes`.
    end: usize,
    original_length: u32,
    timestamp_ns: u64,
    link_type: u16,
    interface: u32,
}

impl FrameComposer {
    /// A composer of messages of at most `max_message_bytes`. The first names `driver`, unless that
    /// is empty; batches are numbered from 1.
    pub fn new(max_message_bytes: usize, driver: &str) -> Self {
        let reserved_bytes = driver.len() + 8;
        Self {
            encoder: BatchEncoder::new(BatchLimits { max_message_bytes, reserved_bytes }),
            driver: driver.to_owned(),
            sequence: 0,
            bytes: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Adds a frame; returns the message of those before it if it begins another.
    ///
    /// # Errors
    /// [`EncodeError`] if the frame is over the limit or fits no message; the others are as before.
    pub fn push(&mut self, frame: &Frame<'_>) -> Result<Option<Vec<u8>>, EncodeError> {
        self.add(frame, |bytes| bytes.extend_from_slice(frame.bytes))
    }

    /// Adds the frame of `skb`, which arrived at `now_ns` unless the skb says when.
    ///
    /// # Errors
    /// As [`FrameComposer::push`].
    pub fn push_skb(&mut self, skb: &Skb, now_ns: u64) -> Result<Option<Vec<u8>>, EncodeError> {
        self.add(&Arrived { skb, now_ns }, |bytes| {
            skb.parts().for_each(|part| bytes.extend_from_slice(part));
        })
    }

    fn add(
        &mut self,
        frame: &impl EncodeFrame,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Option<Vec<u8>>, EncodeError> {
        let mut full = None;
        if let Pushed::Cut(_) = self.encoder.push(frame)? {
            // Before anything is sent on its account: a frame that fits no message is refused.
            let mut next = self.encoder.clone();
            next.clear();
            let pushed = next.push(frame)?;
            debug_assert_eq!(pushed, Pushed::Taken);
            full = self.flush()?;
            self.encoder = next;
        }
        append(&mut self.bytes);
        self.frames.push(Described {
            end: self.bytes.len(),
            original_length: frame.original_length(),
            timestamp_ns: frame.timestamp_ns(),
            link_type: frame.link_type(),
            interface: frame.interface(),
        });
        Ok(full)
    }

    /// The message of the frames that wait, if any.
    ///
    /// # Errors
    /// [`EncodeError`] as the encoder's; cannot occur for frames that were pushed.
    pub fn flush(&mut self) -> Result<Option<Vec<u8>>, EncodeError> {
        if self.frames.is_empty() {
            return Ok(None);
        }
        let driver = if self.sequence == 0 { self.driver.as_str() } else { "" };
        let mut start = 0;
        let frames = self.frames.iter().map(|frame| {
            let bytes = &self.bytes[start..frame.end];
            start = frame.end;
            Frame {
                bytes,
                original_length: frame.original_length,
                timestamp_ns: frame.timestamp_ns,
                link_type: frame.link_type,
                interface: frame.interface,
            }
        });
        let message = self.encoder.ingest_request(self.sequence + 1, driver)?.to_vec(frames)?;
        self.sequence += 1;
        count_copies(self.frames.len() as u64, self.bytes.len() as u64);
        self.encoder.clear();
        self.bytes.clear();
        self.frames.clear();
        Ok(Some(message))
    }

    /// Frames that wait for a message.
    pub fn pending(&self) -> usize {
        self.frames.len()
    }
}

/// The frame of an skb, with a time.
struct Arrived<'a> {
    skb: &'a Skb,
    /// When, unless the skb says so.
    now_ns: u64,
}

impl EncodeFrame for Arrived<'_> {
    fn len(&self) -> u32 {
        self.skb.len()
    }

    fn original_length(&self) -> u32 {
        self.skb.original_length()
    }

    fn timestamp_ns(&self) -> u64 {
        match self.skb.timestamp_ns {
            0 => self.now_ns,
            told => told,
        }
    }

    fn link_type(&self) -> u16 {
        self.skb.link_type
    }

    fn interface(&self) -> u32 {
        u32::from(self.skb.port)
    }

    fn write_to(&self, sink: &mut FrameSink<'_>) {
        self.skb.parts().for_each(|part| sink.put_slice(part));
    }
}

/// Counts the two copies of a message's frames. These come from no pool and go to none, so it is in the
/// process's accounts.
#[cfg(not(loom))]
fn count_copies(frames: u64, bytes: u64) {
    for stage in [CopyStage::Compose, CopyStage::Encode] {
        Accounts::global().count_copy(stage, frames, bytes);
    }
}

/// The process has no accounts in a model.
#[cfg(loom)]
fn count_copies(_: u64, _: u64) {}
