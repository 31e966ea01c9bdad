//! Writes classic pcap files.

use std::io::Write;

use super::error::CaptureWriteError;
use super::{CaptureFrame, MAX_FRAME_BYTES};

const NANOSECOND_MAGIC: u32 = 0xa1b2_3c4d;

/// Writes frames of one link type to a pcap file with nanosecond times, in little-endian order.
///
/// Several small writes a frame: give it a [`std::io::BufWriter`].
#[derive(Debug)]
pub struct PcapWriter<W> {
    output: W,
    link_type: u16,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a file for frames of `link_type`.
    ///
    /// # Errors
    /// `Io`.
    pub fn new(mut output: W, link_type: u16) -> Result<Self, CaptureWriteError> {
        let mut header = Vec::with_capacity(24);
        header.extend(NANOSECOND_MAGIC.to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(4u16.to_le_bytes());
        // Time zone and significant figures, which are always 0.
        header.extend([0; 8]);
        header.extend(MAX_FRAME_BYTES.to_le_bytes());
        header.extend(u32::from(link_type).to_le_bytes());
        output.write_all(&header)?;
        Ok(Self { output, link_type })
    }

    /// Writes one frame; its interface is lost, since the format has no place for it.
    ///
    /// # Errors
    /// `FrameTooLarge`, `LinkTypeChanged` and `TimeOutOfRange` write nothing and leave the writer
    /// usable; after `Io` the file may end inside a frame.
    pub fn write_frame(&mut self, frame: &CaptureFrame<'_>) -> Result<(), CaptureWriteError> {
        if frame.link_type != self.link_type {
            return Err(CaptureWriteError::LinkTypeChanged {
                file: self.link_type,
                found: frame.link_type,
            });
        }
        let captured = captured_length(frame)?;
        let seconds = u32::try_from(frame.timestamp_ns / 1_000_000_000)
            .map_err(|_| CaptureWriteError::TimeOutOfRange(frame.timestamp_ns))?;
        let nanoseconds = (frame.timestamp_ns % 1_000_000_000) as u32;
        let mut header = [0; 16];
        header[0..4].copy_from_slice(&seconds.to_le_bytes());
        header[4..8].copy_from_slice(&nanoseconds.to_le_bytes());
        header[8..12].copy_from_slice(&captured.to_le_bytes());
        header[12..16].copy_from_slice(&frame.original_length.to_le_bytes());
        self.output.write_all(&header)?;
        self.output.write_all(frame.data)?;
        Ok(())
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// `Io`.
    pub fn flush(&mut self) -> Result<(), CaptureWriteError> {
        Ok(self.output.flush()?)
    }

    /// The output, unflushed.
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// The frame's length, if a capture file may hold it.
pub(super) fn captured_length(frame: &CaptureFrame<'_>) -> Result<u32, CaptureWriteError> {
    match u32::try_from(frame.data.len()) {
        Ok(length) if length <= MAX_FRAME_BYTES => Ok(length),
        _ => Err(CaptureWriteError::FrameTooLarge(frame.data.len())),
    }
}
