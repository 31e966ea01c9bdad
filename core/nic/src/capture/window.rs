//! A window that moves over a stream of bytes and knows where it is.

use std::io::{self, Read};

const INITIAL_BYTES: usize = 64 * 1024;

/// Buffers what lies ahead in `input`.
///
/// ```text
///   buffer   [ free │ start ── bytes ahead ── end │ free ]
///                     ▲ offset bytes of the input lie before this
/// ```
///
/// Grows to what is asked for, and only as fast as bytes arrive: a length that lies costs no memory.
pub(super) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    /// The input has answered "end"; it is not asked again.
    ended: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; INITIAL_BYTES], start: 0, end: 0, offset: 0, ended: false }
    }

    /// Position of the window's first byte in the input.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes ahead that are buffered.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Sees to it that `want` bytes are ahead, or all there are; returns how many are, up to `want`.
    #[inline]
    pub(super) fn fill(&mut self, want: usize) -> io::Result<usize> {
        if self.end - self.start < want {
            self.read_until(want)?;
        }
        Ok(want.min(self.end - self.start))
    }

    #[cold]
    fn read_until(&mut self, want: usize) -> io::Result<()> {
        while self.end - self.start < want && !self.ended {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.buffer.len() {
                self.buffer.resize(want.min(2 * self.end), 0);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                // A reader that claims more than it was offered is not believed.
                Ok(count) => self.end = (self.end + count).min(self.buffer.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves on by `count` bytes, which must be ahead.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Moves on by `count` bytes, ahead or not yet read; returns how many there were.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 {
            let step = self.fill(left.min(INITIAL_BYTES as u64) as usize)?;
            if step == 0 {
                break;
            }
            self.consume(step);
            left -= step as u64;
        }
        Ok(count - left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, interrupted in between, as a slow pipe may.
    struct Dribble<'a>(&'a [u8], bool);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = out.len().min(1);
            self.0.read(&mut out[..count])
        }
    }

    #[test]
    fn fills_consumes_and_skips() {
        let bytes: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
        let mut window = Window::new(Dribble(&bytes, false));
        assert_eq!(window.fill(10).unwrap(), 10);
        window.consume(7);
        assert_eq!(window.fill(100_000).unwrap(), 100_000);
        assert_eq!(window.ahead()[..100_000], bytes[7..100_007]);
        assert_eq!(window.skip(150_000).unwrap(), 150_000);
        assert_eq!(window.offset(), 150_007);
        assert_eq!(window.fill(60_000).unwrap(), 49_993);
        assert_eq!(window.skip(60_000).unwrap(), 49_993);
        assert_eq!(window.fill(1).unwrap(), 0);
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        let mut window = Window::new(&[0u8; 100][..]);
        assert_eq!(window.fill(1 << 40).unwrap(), 100);
        assert!(window.buffer.len() <= INITIAL_BYTES);
    }
}
