//! A capture file as a stream of frames.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{CaptureError, CaptureErrorKind};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::window::Window;
use super::{CaptureFrame, Record};

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
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureReader<Box<dyn Read + Send>> {
    /// Opens the file at `path`; `-` is the standard input.
    ///
    /// # Errors
    /// As [`new`](CaptureReader::new), and `Open`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::new(Box::new(io::stdin()), "standard input");
        }
        let name = path.display().to_string();
        match File::open(path).and_then(readable) {
            Ok(file) => Self::new(Box::new(file), name),
            Err(error) => {
                Err(CaptureError { file: name, offset: 0, kind: CaptureErrorKind::Open(error) })
            }
        }
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
            Ok(format) => Ok(Self { window, format, name, current: None, ended: false }),
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
        if let Some(done) = self.current.take() {
            self.window.consume(done.total);
        }
        if self.ended {
            return Ok(false);
        }
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.window),
        };
        match found {
            Ok(record) => {
                self.ended = record.is_none();
                self.current = record;
                Ok(record.is_some())
            }
            Err(kind) => {
                self.ended = true;
                let offset = match &self.format {
                    Format::Pcap(_) => self.window.offset(),
                    Format::Pcapng(pcapng) => pcapng.block_at(),
                };
                Err(CaptureError { file: self.name.clone(), offset, kind })
            }
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
            .field("ended", &self.ended)
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
