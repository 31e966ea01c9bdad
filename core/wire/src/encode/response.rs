//! The small messages: drop counts and acknowledgements.

use std::mem::MaybeUninit;

use crate::EncodeError;
use crate::encode::output::Output;
use crate::encode::size;

/// Frames dropped for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCount {
    /// The number of the reason in `skbpool.v1.DropReason`.
    pub reason: u32,
    /// How many frames.
    pub frames: u64,
    /// How many bytes those frames had.
    pub bytes: u64,
}

impl DropCount {
    fn encoded_len(&self) -> usize {
        size::scalar(u64::from(self.reason)) + size::scalar(self.frames) + size::scalar(self.bytes)
    }

    /// Bytes of this as a field of another message.
    pub(crate) fn embedded_len(&self) -> usize {
        size::embedded(self.encoded_len())
    }

    /// Writes this as the field `number`.
    pub(crate) fn put(&self, output: &mut Output<'_>, number: u8) {
        output.put_header(number, self.encoded_len());
        output.put_scalar(1, u64::from(self.reason));
        output.put_scalar(2, self.frames);
        output.put_scalar(3, self.bytes);
    }
}

/// An acknowledgement of one Ingest stream; all counts run from the stream's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestResponse<'m> {
    /// Sequence of the last batch handled.
    pub acked_through: u64,
    /// Frames that landed in a buffer.
    pub accepted: u64,
    /// Frames dropped, by reason.
    pub dropped: &'m [DropCount],
    /// Bytes of frames that the client may send beyond `acked_through`.
    pub credit: u64,
    /// Frames that no consumer wanted.
    pub unclaimed: u64,
    /// Batches skipped, because they had been handled before.
    pub duplicates: u64,
    /// Frames that consumers missed, each consumer's by themselves, by reason.
    pub missed: &'m [DropCount],
}

impl IngestResponse<'_> {
    /// Bytes of the message.
    pub fn encoded_len(&self) -> usize {
        let counts = |of: &[DropCount]| of.iter().map(DropCount::embedded_len).sum::<usize>();
        size::scalar(self.acked_through)
            + size::scalar(self.accepted)
            + counts(self.dropped)
            + size::scalar(self.credit)
            + size::scalar(self.unclaimed)
            + size::scalar(self.duplicates)
            + counts(self.missed)
    }

    /// Writes the message.
    ///
    /// # Errors
    /// [`EncodeError::BufferSize`] if `memory` has not exactly `encoded_len()` bytes.
    pub fn write(&self, memory: &mut [u8]) -> Result<(), EncodeError> {
        let (encoded, given) = (self.encoded_len(), memory.len());
        if given != encoded {
            return Err(EncodeError::BufferSize { encoded, given });
        }
        // SAFETY: same memory, same size, borrowed exclusively for as long as `memory` is; u8 may
        // be seen as MaybeUninit<u8>, and an output only ever stores initialised bytes.
        let memory = unsafe {
            std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<MaybeUninit<u8>>(), given)
        };
        let mut output = Output::new(memory);
        output.put_scalar(1, self.acked_through);
        output.put_scalar(2, self.accepted);
        self.dropped.iter().for_each(|count| count.put(&mut output, 3));
        output.put_scalar(4, self.credit);
        output.put_scalar(5, self.unclaimed);
        output.put_scalar(7, self.duplicates);
        self.missed.iter().for_each(|count| count.put(&mut output, 8));
        debug_assert!(output.is_full());
        Ok(())
    }

    /// The message as a vector of exactly its size.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut message = vec![0; self.encoded_len()];
        // The vector has the size that `write` asks for, its only error.
        let _ = self.write(&mut message);
        message
    }
}
