//! `SubscribeResponse` messages written to capture files.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd};
use skbpool_nic::{CaptureFrame, CaptureWriteError, LINKTYPE_ETHERNET, PcapWriter, PcapngWriter};
use skbpool_wire::SubscribeResponseView;

use crate::error::MessageError;

/// Format of a capture file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureFormat {
    /// pcapng: link types and interfaces side by side, and what was missed.
    #[default]
    Pcapng,
    /// pcap with nanosecond times: one link type, that of the first frame.
    Pcap,
}

/// Why frames could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureOutputError {
    /// Something is wrong with the message; nothing of it was written.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A frame cannot be written; those before it are.
    #[error(transparent)]
    Capture(#[from] CaptureWriteError),
}

/// A capture file being written.
///
/// Whatever was written reaches the file at the end of each message, so that a reader at the other end
/// of a pipe sees frames as they come. Missed frames stand in `epb_dropcount` of the frame after them.
#[derive(Debug)]
pub struct CaptureOutput {
    writer: Writer,
    /// Frames missed since the last one written.
    missed: u64,
}

#[derive(Debug)]
enum Writer {
    Pcapng(PcapngWriter<BufWriter<File>>),
    Pcap(PcapWriter<BufWriter<File>>),
    /// A pcap file whose link type the first frame will tell.
    Unknown(Option<BufWriter<File>>),
}

impl CaptureOutput {
    /// Creates the file at `path`, or empties it; `-` is the standard output.
    ///
    /// # Errors
    /// `Io` if it cannot be opened or written.
    pub fn create(path: &Path, format: CaptureFormat) -> Result<Self, CaptureWriteError> {
        if path.as_os_str() == "-" {
            return Self::to_descriptor(io::stdout().as_fd(), format);
        }
        Self::begin(File::create(path)?, format)
    }

    /// Writes to an open descriptor, of which a second one is made.
    ///
    /// # Errors
    /// `Io` if it is no open descriptor or cannot be written.
    pub fn to_descriptor(
        descriptor: BorrowedFd<'_>,
        format: CaptureFormat,
    ) -> Result<Self, CaptureWriteError> {
        let own = rustix::io::fcntl_dupfd_cloexec(descriptor, 0).map_err(io::Error::from)?;
        Self::begin(File::from(own), format)
    }

    fn begin(file: File, format: CaptureFormat) -> Result<Self, CaptureWriteError> {
        let file = BufWriter::with_capacity(1 << 16, file);
        let writer = match format {
            CaptureFormat::Pcapng => {
                let mut writer = PcapngWriter::new(file)?;
                writer.flush()?;
                Writer::Pcapng(writer)
            }
            CaptureFormat::Pcap => Writer::Unknown(Some(file)),
        };
        Ok(Self { writer, missed: 0 })
    }

    /// Writes the first frames of an encoded `SubscribeResponse`, at most `limit`; returns how many.
    ///
    /// # Errors
    /// [`CaptureOutputError`].
    pub fn write_message(
        &mut self,
        message: &[u8],
        limit: Option<u64>,
    ) -> Result<u64, CaptureOutputError> {
        let response = SubscribeResponseView::parse(message).map_err(MessageError::from)?;
        let missed = response.missed.iter().fold(0u64, |sum, count| sum.wrapping_add(count.frames));
        self.missed = self.missed.saturating_add(missed);
        let Some(batch) = &response.batch else { return Ok(0) };
        let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut written = 0;
        for frame in batch.frames().take(limit) {
            self.write_frame(&CaptureFrame {
                timestamp_ns: frame.timestamp_ns,
                original_length: frame.original_length,
                link_type: frame.link_type,
                interface: frame.interface,
                data: frame.bytes,
            })?;
            written += 1;
        }
        self.flush()?;
        Ok(written)
    }

    fn write_frame(&mut self, frame: &CaptureFrame<'_>) -> Result<(), CaptureWriteError> {
        if let Writer::Unknown(file) = &mut self.writer {
            let file = file.take();
            self.begin_pcap(file, frame.link_type)?;
        }
        match &mut self.writer {
            Writer::Pcapng(writer) => {
                writer.write_frame(frame, self.missed)?;
                self.missed = 0;
                Ok(())
            }
            Writer::Pcap(writer) => writer.write_frame(frame),
            Writer::Unknown(_) => Ok(()),
        }
    }

    fn begin_pcap(
        &mut self,
        file: Option<BufWriter<File>>,
        link_type: u16,
    ) -> Result<(), CaptureWriteError> {
        let file = file.ok_or_else(|| io::Error::other("its header could not be written"))?;
        self.writer = Writer::Pcap(PcapWriter::new(file, link_type)?);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CaptureWriteError> {
        match &mut self.writer {
            Writer::Pcapng(writer) => writer.flush(),
            Writer::Pcap(writer) => writer.flush(),
            Writer::Unknown(_) => Ok(()),
        }
    }

    /// Ends the file. One without frames is a valid file too: of Ethernet.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self) -> Result<(), CaptureWriteError> {
        if let Writer::Unknown(file) = &mut self.writer {
            let file = file.take();
            self.begin_pcap(file, LINKTYPE_ETHERNET)?;
        }
        match &mut self.writer {
            Writer::Pcapng(writer) => writer.finish(),
            Writer::Pcap(_) | Writer::Unknown(_) => self.flush(),
        }
    }
}
