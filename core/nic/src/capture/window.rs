//! A window that moves over a stream of bytes and knows where it is.

use std::io::{self, Read};
use std::time::Duration;

use super::stream::Stream;

pub(super) const INITIAL_BYTES: usize = 64 * 1024;

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
    /// What `input` reads from, if that may keep its reader waiting and can be asked whether it does.
    stream: Option<Stream>,
}

impl<R> Window<R> {
    pub(super) fn new(input: R) -> Self {
        let buffer = vec![0; INITIAL_BYTES];
        Self { input, buffer, start: 0, end: 0, offset: 0, ended: false, stream: None }
    }

    /// Names what `input` reads from.
    pub(super) fn watch(&mut self, stream: Stream) {
        self.stream = stream.may_wait().then_some(stream);
    }

    /// Whether reading may wait for somebody else, as far as that is known.
    #[inline]
    pub(super) fn may_wait(&self) -> bool {
        self.stream.is_some()
    }

    /// Waits until there is something to read, at most so long; not at all if that is not known.
    pub(super) fn wait(&self, at_most: Duration) {
        if let Some(stream) = &self.stream {
            stream.wait(at_most);
        }
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

    /// How many bytes are ahead, up to `want`; `None` if fewer are and more may come.
    #[inline]
    pub(super) fn have(&self, want: usize) -> Option<usize> {
        let ahead = self.end - self.start;
        (ahead >= want || self.ended).then_some(ahead.min(want))
    }

    /// Moves on by `count` bytes, which must be ahead.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }
}

impl<R: Read> Window<R> {
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
            match self.read_once(want) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// Reads once if that answers at once, for `want` bytes ahead; answers whether it did.
    pub(super) fn read_now(&mut self, want: usize) -> io::Result<bool> {
        if self.stream.as_ref().is_some_and(|stream| !stream.wait(Duration::ZERO)) {
            return Ok(false);
        }
        match self.read_once(want) {
            Ok(()) => Ok(true),
            // Somebody else who reads the same pipe was faster, or a signal came.
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Ok(false),
                _ => Err(error),
            },
        }
    }

    fn read_once(&mut self, want: usize) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(want.min(2 * self.end), 0);
        }
        match self.input.read(&mut self.buffer[self.end..])? {
            0 => self.ended = true,
            // A reader that claims more than it was offered is not believed.
            count => self.end = (self.end + count).min(self.buffer.len()),
        }
        Ok(())
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
    fn fills_and_consumes() {
        let bytes: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
        let mut window = Window::new(Dribble(&bytes, false));
        assert_eq!(window.fill(10).unwrap(), 10);
        window.consume(7);
        assert_eq!(window.fill(100_000).unwrap(), 100_000);
        assert_eq!(window.ahead()[..100_000], bytes[7..100_007]);
        window.consume(100_000);
        assert_eq!((window.have(1), window.offset()), (None, 100_007));
        assert_eq!(window.fill(100_000).unwrap(), 99_993);
        assert_eq!((window.have(50_000), window.have(100_000)), (Some(50_000), Some(99_993)));
        window.consume(99_993);
        assert_eq!(window.fill(1).unwrap(), 0);
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        let mut window = Window::new(&[0u8; 100][..]);
        assert_eq!(window.fill(1 << 40).unwrap(), 100);
        assert!(window.buffer.len() <= INITIAL_BYTES);
    }
}
