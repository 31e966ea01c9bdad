//! Memory that is written from front to back.

use std::mem::MaybeUninit;

use crate::encode::size::Key;

/// Memory of a known size that is being filled.
///
/// Writing beyond the end writes nothing and marks the output as overflown: whoever handed it out
/// asks [`is_full`](Output::is_full), once, when it is complete.
pub(crate) struct Output<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    /// `memory[..at]` is initialised; greater than `memory.len()` after an overflow.
    at: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        Self { memory, at: 0 }
    }

    /// Whether exactly every byte has been written.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.at == self.memory.len()
    }

    #[inline]
    pub(crate) fn put_slice(&mut self, bytes: &[u8]) {
        match self.memory.get_mut(self.at..).and_then(|room| room.get_mut(..bytes.len())) {
            Some(room) => {
                // SAFETY: `room` is valid for writes of bytes.len() bytes, `bytes` for reads of as
                // many; they do not overlap, since `room` is borrowed exclusively. MaybeUninit<u8>
                // has the layout of u8.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        room.as_mut_ptr().cast::<u8>(),
                        bytes.len(),
                    );
                }
                self.at += bytes.len();
            }
            None => self.at = usize::MAX,
        }
    }

    #[inline]
    pub(crate) fn put_u32(&mut self, value: u32) {
        self.put_slice(&value.to_le_bytes());
    }

    pub(crate) fn put_key(&mut self, key: Key) {
        self.put_slice(&[key.byte()]);
    }

    pub(crate) fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_slice(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put_slice(&[value as u8]);
    }

    /// Writes a scalar field unless it is zero.
    pub(crate) fn put_scalar(&mut self, number: u8, value: u64) {
        if value != 0 {
            self.put_key(Key::Varint(number));
            self.put_varint(value);
        }
    }

    /// Writes key and size of a string, bytes, packed or embedded field.
    pub(crate) fn put_header(&mut self, number: u8, size: usize) {
        self.put_key(Key::Bytes(number));
        self.put_varint(size as u64);
    }

    /// Splits off what follows the next `size` bytes, which this keeps; `None` if there are fewer.
    pub(crate) fn split(self, size: usize) -> Option<(Output<'a>, Output<'a>)> {
        let end = self.at.checked_add(size)?;
        let (head, tail) = self.memory.split_at_mut_checked(end)?;
        Some((Output { memory: head, at: self.at }, Output::new(tail)))
    }

    /// Lends the next `size` bytes to `fill`; whether it filled them exactly.
    #[inline]
    pub(crate) fn fill_exactly(
        &mut self,
        size: usize,
        fill: impl FnOnce(&mut FrameSink<'_>),
    ) -> bool {
        let Some(room) = self.memory.get_mut(self.at..).and_then(|room| room.get_mut(..size))
        else {
            return false;
        };
        let mut sink = FrameSink { output: Output::new(room) };
        fill(&mut sink);
        let full = sink.output.is_full();
        if full {
            self.at += size;
        }
        full
    }
}

/// Where a frame puts its bytes.
pub struct FrameSink<'a> {
    output: Output<'a>,
}

impl FrameSink<'_> {
    /// Appends bytes of the frame. What exceeds the frame's `len()` is not written, and makes the
    /// message fail with [`EncodeError::FramesChanged`](crate::EncodeError::FramesChanged).
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.output.put_slice(bytes);
    }
}
