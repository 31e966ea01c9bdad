//! A capture that is replayed as it was taken.

use std::time::Duration;

use skbpool_nic::{CaptureReplay, FrameMeta, FrameSource, SourceError};
use skbpool_pool::clock::monotonic_ns;

/// Gives each frame as long after the first of its pass as its timestamp says; one that is older than the
/// frame before it comes right behind that. Reads a clock for each frame.
#[derive(Debug)]
pub(crate) struct OriginalTiming {
    replay: CaptureReplay,
    /// Timestamp of the first frame of the pass, and when it was looked at.
    begin: Option<(u64, u64)>,
    /// When the frame at hand is due, once it was looked at.
    due_ns: Option<u64>,
    /// What looking for it ended with, until it is told: the replay has ended then.
    error: Option<SourceError>,
}

impl OriginalTiming {
    pub(crate) fn new(replay: CaptureReplay) -> Self {
        Self { replay, begin: None, due_ns: None, error: None }
    }

    /// When the next frame is due; none: there is nothing to wait for.
    fn due(&mut self) -> Option<u64> {
        if self.due_ns.is_none() {
            // The end and an error are told to whoever asks for the frame.
            let peeked = self.replay.peek_frame();
            let (frame, begins) = peeked.map_err(|error| self.error = Some(error)).ok()??;
            if begins || self.begin.is_none() {
                self.begin = Some((frame.timestamp_ns, monotonic_ns()));
            }
            let (first, since) = self.begin?;
            let after = frame.timestamp_ns.saturating_sub(first);
            self.due_ns = Some(since.saturating_add(after));
        }
        self.due_ns
    }

    /// What looking for the frame ended with.
    fn told(&mut self) -> Result<(), SourceError> {
        self.error.take().map_or(Ok(()), Err)
    }
}

impl FrameSource for OriginalTiming {
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        self.told()?;
        self.replay.peek_len()
    }

    fn is_ready(&mut self) -> bool {
        self.due().is_none_or(|due| monotonic_ns() >= due)
    }

    fn wait(&mut self, at_most: Duration) {
        let left = self.due().map_or(0, |due| due.saturating_sub(monotonic_ns()));
        std::thread::sleep(at_most.min(Duration::from_nanos(left)));
    }

    fn write_next(
        &mut self,
        out: &mut [u8],
        now_ns: u64,
    ) -> Result<Option<FrameMeta>, SourceError> {
        self.told()?;
        self.due_ns = None;
        self.replay.write_next(out, now_ns)
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        self.replay.write_rest(out)
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        self.told()?;
        self.due_ns = None;
        self.replay.skip(frames)
    }
}
