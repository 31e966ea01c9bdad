//! A capture file as a stream of frames.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::error::{CaptureError, CaptureErrorKind};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::stream::Stream;
use super::window::Window;
use super::{CaptureFrame, Look, Record};

/// Reads the frames of a pcap or pcapng file, in the order of the file, from any [`Read`].
///
/// Both byte orders; pcap with micro- or nanoseconds and in Kuznetzov's variant; pcapng with any
/// number of sections and up to 65,536 interfaces in each, any time resolution and offset, and
/// enhanced, simple and obsolete packet blocks. Captured lengths over the snap length, original
/// lengths unlike captured ones, empty frames and times in any order are taken as they are.
///
/// Times are nanoseconds since 1970. A pcap fraction of a second or more is carried over. A pcapng
/// time before 1970 becomes 0, one after the year 2554 becomes `u64::MAX`, and
/// [`clamped_times`](Self::clamped_times) counts them; a simple packet block has no time and gets 0.
///
/// An error comes after all frames before it and ends the file: a damaged length leaves no way to
/// find the next frame. That goes for a frame over 262,144 bytes too. Memory: 64 KiB, more only as a
/// large block really arrives, at most twice 16 MiB.
pub struct CaptureReader<R> {
    window: Window<R>,
    format: Format,
    name: String,
    current: Option<Record>,
    next: Next,
}

/// What `advance` goes on with.
#[derive(Debug)]
enum Next {
    /// The bytes ahead.
    Ahead,
    /// The frame that `is_ready` found.
    Frame(Record),
    /// The error that `is_ready` found.
    Error(CaptureErrorKind),
    /// The end, or an error that was told.
    End,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureReader<Box<dyn Read + Send>> {
    /// Opens the file at `path`; `-` is the standard input, of which nothing may have been read into a
    /// buffer. Of a pipe it can tell whether the next frame [is there](CaptureReader::is_ready).
    ///
    /// # Errors
    /// As [`new`](CaptureReader::new), and `Open`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::of_stream(Stream::new(io::stdin()), "standard input".to_owned());
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::of_file(file, name),
            Err(error) => {
                Err(CaptureError { file: name, offset: 0, kind: CaptureErrorKind::Open(error) })
            }
        }
    }

    /// Reads a file that is open, called `name` in errors, from where it stands.
    ///
    /// # Errors
    /// As [`open`](CaptureReader::open).
    pub fn of_file(file: File, name: String) -> Result<Self, CaptureError> {
        match readable(file) {
            Ok(file) => Self::of_stream(Stream::new(file), name),
            Err(error) => {
                Err(CaptureError { file: name, offset: 0, kind: CaptureErrorKind::Open(error) })
            }
        }
    }

    fn of_stream(stream: Stream, name: String) -> Result<Self, CaptureError> {
        let input: Box<dyn Read + Send> = Box::new(stream.clone());
        let mut reader = Self::new(input, name)?;
        reader.window.watch(stream);
        Ok(reader)
    }
}

impl<R: Read> CaptureReader<R> {
    /// Reads the beginning of `input`, called `name` in errors; needs no buffering.
    ///
    /// # Errors
    /// `Read`, `Empty`, `UnknownFormat`, and for a pcap file `UnsupportedVersion` and `Truncated`.
    pub fn new(input: R, name: impl Into<String>) -> Result<Self, CaptureError> {
        let name = name.into();
        let mut window = Window::new(input);
        match format(&mut window) {
            Ok(format) => Ok(Self { window, format, name, current: None, next: Next::Ahead }),
            Err(kind) => Err(CaptureError { file: name, offset: 0, kind }),
        }
    }

    /// The next frame; `None` at the end of the file and after an error.
    ///
    /// # Errors
    /// A [`CaptureError`] that names the file and the byte where the damaged record or block begins.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<CaptureFrame<'_>>, CaptureError> {
        self.advance()?;
        Ok(self.current())
    }

    /// Moves to the next frame; `false` at the end of the file and after an error.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame).
    #[inline]
    pub fn advance(&mut self) -> Result<bool, CaptureError> {
        self.release();
        if !matches!(self.next, Next::Ahead) {
            return self.advance_found();
        }
        loop {
            match self.look() {
                Ok(Look::Record) => return Ok(true),
                Ok(Look::End) => {
                    self.next = Next::End;
                    return Ok(false);
                }
                Ok(Look::Short(want)) => {
                    if let Err(error) = self.window.fill(want) {
                        return Err(self.fail(CaptureErrorKind::Read(error)));
                    }
                }
                Err(kind) => return Err(self.fail(kind)),
            }
        }
    }

    /// Whether [`advance`](Self::advance) answers without waiting for whoever writes the file: always,
    /// as far as is known, unless it was opened by [`open`](Self::open) and is a pipe, a socket or a
    /// device. Of those it reads at most once, and only what is there.
    ///
    /// What [`current`](Self::current) gave is gone, as after `advance`.
    #[inline]
    pub fn is_ready(&mut self) -> bool {
        !self.window.may_wait() || self.look_without_waiting()
    }

    /// Waits until there is more to read, at most so long; not at all unless reading may wait.
    pub fn wait(&self, at_most: Duration) {
        self.window.wait(at_most);
    }

    fn look_without_waiting(&mut self) -> bool {
        self.release();
        if !matches!(self.next, Next::Ahead) {
            return true;
        }
        let mut found = self.look();
        if let Ok(Look::Short(want)) = found {
            found = match self.window.read_now(want) {
                Ok(true) => self.look(),
                Ok(false) => return false,
                Err(error) => Err(CaptureErrorKind::Read(error)),
            };
        }
        self.next = match (found, self.current.take()) {
            (Ok(Look::Short(_)), _) => return false,
            (Ok(_), Some(record)) => Next::Frame(record),
            (Ok(_), None) => Next::End,
            (Err(kind), _) => Next::Error(kind),
        };
        true
    }

    fn advance_found(&mut self) -> Result<bool, CaptureError> {
        match std::mem::replace(&mut self.next, Next::End) {
            Next::Frame(record) => {
                self.next = Next::Ahead;
                self.current = Some(record);
                Ok(true)
            }
            Next::Error(kind) => Err(self.fail(kind)),
            Next::Ahead | Next::End => Ok(false),
        }
    }

    #[cold]
    fn fail(&mut self, kind: CaptureErrorKind) -> CaptureError {
        self.next = Next::End;
        let offset = match &self.format {
            Format::Pcap(_) => self.window.offset(),
            Format::Pcapng(pcapng) => pcapng.block_at(),
        };
        CaptureError { file: self.name.clone(), offset, kind }
    }

    /// Looks for the next frame among the bytes ahead, once the one before was let go.
    #[inline]
    fn look(&mut self) -> Result<Look, CaptureErrorKind> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.look(&self.window, &mut self.current),
            Format::Pcapng(pcapng) => pcapng.look(&mut self.window, &mut self.current),
        }
    }

    #[inline]
    fn release(&mut self) {
        if let Some(done) = self.current.take() {
            self.window.consume(done.total);
        }
    }

    /// The frame that [`advance`](Self::advance) moved to.
    #[inline]
    pub fn current(&self) -> Option<CaptureFrame<'_>> {
        let record = self.current.as_ref()?;
        Some(CaptureFrame {
            timestamp_ns: record.timestamp_ns,
            original_length: record.original_length,
            link_type: record.link_type,
            interface: record.interface,
            data: &self.window.ahead()[record.data_at..record.data_at + record.data_len],
        })
    }

    /// Name of the file, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Frames so far whose time did not fit into 64 bits of nanoseconds since 1970.
    pub fn clamped_times(&self) -> u64 {
        match &self.format {
            Format::Pcap(_) => 0,
            Format::Pcapng(pcapng) => pcapng.clamped_times(),
        }
    }
}

impl<R> fmt::Debug for CaptureReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureReader")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("current", &self.current)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The file, unless it is a folder, which can be opened and not read.
fn readable(file: File) -> io::Result<File> {
    if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
}

fn format<R: Read>(window: &mut Window<R>) -> Result<Format, CaptureErrorKind> {
    let present = window.fill(4).map_err(CaptureErrorKind::Read)?;
    match window.ahead().first_chunk::<4>() {
        Some(&magic) if Pcapng::recognises(magic) => Ok(Format::Pcapng(Pcapng::new())),
        Some(&magic) if Pcap::recognises(magic) => Ok(Format::Pcap(Pcap::open(window)?)),
        Some(magic) => Err(CaptureErrorKind::UnknownFormat(magic.to_vec())),
        None if present == 0 => Err(CaptureErrorKind::Empty),
        None => Err(CaptureErrorKind::UnknownFormat(window.ahead().to_vec())),
    }
}
