//! A message with a batch of frames, written in one pass.

use std::mem::MaybeUninit;

use crate::encode::batch::BatchSums;
use crate::encode::output::Output;
use crate::encode::size;
use crate::{DropCount, EncodeError, EncodeFrame};

/// What stands beside the batch, and with it which message this is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside<'m> {
    /// Nothing: a bare `FrameBatch`.
    Bare,
    /// `IngestRequest.driver`.
    Driver(&'m str),
    /// `SubscribeResponse.missed`.
    Missed(&'m [DropCount]),
}

/// A message that is ready to be written: a `FrameBatch`, `IngestRequest` or `SubscribeResponse`.
///
/// Made by [`BatchEncoder`](crate::BatchEncoder), whose frames it describes without holding them.
/// Fields stand in the order of their numbers and zeros are left out, so that the bytes are those
/// which other implementations write.
#[derive(Clone, Copy, Debug)]
pub struct BatchMessage<'m> {
    sums: BatchSums,
    sequence: u64,
    beside: Beside<'m>,
    batch_len: usize,
    encoded_len: usize,
}

impl<'m> BatchMessage<'m> {
    pub(crate) fn new(sums: BatchSums, sequence: u64, beside: Beside<'m>) -> Self {
        let batch_len = sums.batch_len(sequence);
        let embedded = size::embedded(batch_len);
        let encoded_len = match beside {
            Beside::Bare => batch_len,
            Beside::Driver(name) => embedded + size::run(name.len()),
            Beside::Missed(missed) => {
                let batch = if sums.frames == 0 { 0 } else { embedded };
                batch + missed.iter().map(DropCount::embedded_len).sum::<usize>()
            }
        };
        Self { sums, sequence, beside, batch_len, encoded_len }
    }

    /// Bytes of the message.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// Writes the message. `frames` are those which the encoder took, in their order.
    ///
    /// # Errors
    /// [`EncodeError::BufferSize`] if `memory` has not exactly `encoded_len()` bytes;
    /// [`EncodeError::FramesChanged`] if `frames` are not those that were pushed. What `memory`
    /// holds after an error is no message.
    ///
    /// # Cost
    /// Copies each byte of each frame once; allocates nothing.
    pub fn write<I>(&self, frames: I, memory: &mut [u8]) -> Result<(), EncodeError>
    where
        I: IntoIterator<Item: EncodeFrame>,
    {
        let size = memory.len();
        // SAFETY: same memory, same size, borrowed exclusively for as long as `memory` is; u8 may
        // be seen as MaybeUninit<u8>, and `write_uninit` only ever stores initialised bytes.
        let memory = unsafe {
            std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<MaybeUninit<u8>>(), size)
        };
        self.write_uninit(frames, memory).map(|_| ())
    }

    /// Writes the message into memory that need not be initialised, and returns that memory.
    ///
    /// # Errors
    /// As [`write`](BatchMessage::write).
    pub fn write_uninit<'o, I>(
        &self,
        frames: I,
        memory: &'o mut [MaybeUninit<u8>],
    ) -> Result<&'o mut [u8], EncodeError>
    where
        I: IntoIterator<Item: EncodeFrame>,
    {
        let given = memory.len();
        if given != self.encoded_len {
            return Err(EncodeError::BufferSize { encoded: self.encoded_len, given });
        }
        let start = memory.as_mut_ptr().cast::<u8>();
        self.fill(frames, Output::new(memory))?;
        // SAFETY: `fill` succeeds only if every part of the memory was filled to its end, so all
        // `given` bytes are initialised; they stay borrowed for 'o.
        Ok(unsafe { std::slice::from_raw_parts_mut(start, given) })
    }

    /// Writes the message into a vector of exactly its size.
    ///
    /// # Errors
    /// [`EncodeError::FramesChanged`] if `frames` are not those that were pushed.
    pub fn to_vec<I>(&self, frames: I) -> Result<Vec<u8>, EncodeError>
    where
        I: IntoIterator<Item: EncodeFrame>,
    {
        let mut message = Vec::with_capacity(self.encoded_len);
        self.write_uninit(frames, &mut message.spare_capacity_mut()[..self.encoded_len])?;
        // SAFETY: `write_uninit` initialised the first `encoded_len` bytes, within the capacity.
        unsafe { message.set_len(self.encoded_len) };
        Ok(message)
    }

    /// Fills `output` to its end, or fails.
    fn fill<I>(&self, frames: I, mut output: Output<'_>) -> Result<(), EncodeError>
    where
        I: IntoIterator<Item: EncodeFrame>,
    {
        let mismatch = || EncodeError::FramesChanged { index: self.sums.frames };
        let has_batch = !matches!(self.beside, Beside::Missed(_)) || self.sums.frames > 0;
        if has_batch && !matches!(self.beside, Beside::Bare) {
            output.put_header(1, self.batch_len);
        }
        let size = if has_batch { self.batch_len } else { 0 };
        let (batch, mut beside) = output.split(size).ok_or_else(mismatch)?;
        if has_batch {
            self.fill_batch(frames, batch)?;
        } else if frames.into_iter().next().is_some() {
            return Err(mismatch());
        }
        match self.beside {
            Beside::Bare | Beside::Driver("") => {}
            Beside::Driver(name) => {
                beside.put_header(2, name.len());
                beside.put_slice(name.as_bytes());
            }
            Beside::Missed(missed) => missed.iter().for_each(|count| count.put(&mut beside, 2)),
        }
        if beside.is_full() { Ok(()) } else { Err(mismatch()) }
    }

    /// Fills `output`, which has `batch_len` bytes left, with the `FrameBatch`, or fails.
    fn fill_batch<I>(&self, frames: I, output: Output<'_>) -> Result<(), EncodeError>
    where
        I: IntoIterator<Item: EncodeFrame>,
    {
        let mismatch = |index| EncodeError::FramesChanged { index };
        let sums = &self.sums;
        let runs = (|| {
            let (data, rest) = run(output, 1, sums.bytes)?;
            let (lengths, rest) = run(rest, 2, sums.column_bytes())?;
            let (offsets, rest) = run(rest, 3, sums.offsets_bytes())?;
            let (originals, rest) = run(rest, 4, sums.originals_bytes())?;
            Some((Columns { data, lengths, offsets, originals }, rest))
        })();
        let (mut columns, mut scalars) = runs.ok_or(mismatch(sums.frames))?;
        let mut written = 0;
        for frame in frames {
            if written == sums.frames || !columns.put(&frame, sums) {
                return Err(mismatch(written));
            }
            written += 1;
        }
        scalars.put_scalar(5, sums.earliest);
        scalars.put_scalar(6, u64::from(sums.link_type));
        scalars.put_scalar(7, u64::from(sums.interface));
        scalars.put_scalar(8, self.sequence);
        if columns.are_full() && scalars.is_full() { Ok(()) } else { Err(mismatch(written)) }
    }
}

/// Writes the header of a field of `size` bytes, unless it is empty, and splits off what follows.
fn run(mut output: Output<'_>, number: u8, size: usize) -> Option<(Output<'_>, Output<'_>)> {
    if size > 0 {
        output.put_header(number, size);
    }
    output.split(size)
}

/// The four columns of a `FrameBatch`, filled side by side.
struct Columns<'o> {
    data: Output<'o>,
    lengths: Output<'o>,
    offsets: Output<'o>,
    originals: Output<'o>,
}

impl Columns<'_> {
    /// Writes one frame; whether it is one that `sums` can include.
    #[inline]
    fn put<F: EncodeFrame>(&mut self, frame: &F, sums: &BatchSums) -> bool {
        let length = frame.len();
        let Some(offset) = frame.timestamp_ns().checked_sub(sums.earliest) else {
            return false;
        };
        if offset > sums.latest - sums.earliest
            || frame.link_type() != sums.link_type
            || frame.interface() != sums.interface
            || (!sums.cut_short && frame.original_length() != length)
        {
            return false;
        }
        self.lengths.put_u32(length);
        if sums.latest != sums.earliest {
            self.offsets.put_u32(offset as u32);
        }
        if sums.cut_short {
            self.originals.put_u32(frame.original_length());
        }
        self.data.fill_exactly(length as usize, |sink| frame.write_to(sink))
    }

    fn are_full(&self) -> bool {
        [&self.data, &self.lengths, &self.offsets, &self.originals]
            .into_iter()
            .all(|column| column.is_full())
    }
}
