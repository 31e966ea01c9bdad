//! Writes pcapng files.

use std::collections::HashMap;
use std::io::Write;

use super::error::CaptureWriteError;
use super::write_pcap::captured_length;
use super::{CaptureFrame, LINKTYPE_ETHERNET, MAX_FRAME_BYTES, MAX_INTERFACES};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const END_OF_OPTIONS: u16 = 0;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_DROPCOUNT: u16 = 4;

/// Writes frames to a pcapng file with nanosecond times, in little-endian order.
///
/// One section. Every pair of link type and interface gets an interface block when it is first
/// seen, with the name `if` and the interface's number; [`finish`](Self::finish) writes one if none
/// was seen. Several small writes a frame: give it a [`std::io::BufWriter`].
#[derive(Debug)]
pub struct PcapngWriter<W> {
    output: W,
    /// Number of the interface block of each pair of link type and interface.
    interfaces: HashMap<(u16, u32), u32>,
    /// The pair written last, which is mostly the next one too.
    last: Option<((u16, u32), u32)>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// `Io`.
    pub fn new(mut output: W) -> Result<Self, CaptureWriteError> {
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4du32.to_le_bytes());
        body.extend(1u16.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        // The section's length is not known.
        body.extend((-1i64).to_le_bytes());
        option(&mut body, SHB_USERAPPL, concat!("skbpool ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(&mut body, END_OF_OPTIONS, &[]);
        write_block(&mut output, SECTION_HEADER, &body)?;
        Ok(Self { output, interfaces: HashMap::new(), last: None })
    }

    /// Writes one frame, and that `dropped` frames of its interface were lost since the one before.
    ///
    /// # Errors
    /// `FrameTooLarge` and `TooManyInterfaces` write nothing and leave the writer usable; after `Io`
    /// the file may end inside a frame.
    pub fn write_frame(
        &mut self,
        frame: &CaptureFrame<'_>,
        dropped: u64,
    ) -> Result<(), CaptureWriteError> {
        let captured = captured_length(frame)?;
        let interface = self.interface(frame.link_type, frame.interface)?;
        let padding = padding(frame.data.len());
        let mut tail = [0; 3 + 16 + 4];
        // epb_dropcount with its header, end of options.
        let options = if dropped > 0 { 16 } else { 0 };
        let length = 32 + captured + padding as u32 + options;
        if dropped > 0 {
            let at = padding;
            tail[at..at + 2].copy_from_slice(&EPB_DROPCOUNT.to_le_bytes());
            tail[at + 2..at + 4].copy_from_slice(&8u16.to_le_bytes());
            tail[at + 4..at + 12].copy_from_slice(&dropped.to_le_bytes());
        }
        let end = padding + options as usize;
        tail[end..end + 4].copy_from_slice(&length.to_le_bytes());

        let mut head = [0; 28];
        let fields = [
            ENHANCED_PACKET,
            length,
            interface,
            (frame.timestamp_ns >> 32) as u32,
            frame.timestamp_ns as u32,
            captured,
            frame.original_length,
        ];
        for (place, field) in head.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        self.output.write_all(&head)?;
        self.output.write_all(frame.data)?;
        self.output.write_all(&tail[..end + 4])?;
        Ok(())
    }

    /// Number of the interface block for a pair, which is written if it is new.
    fn interface(&mut self, link_type: u16, interface: u32) -> Result<u32, CaptureWriteError> {
        let pair = (link_type, interface);
        if let Some((last, number)) = self.last {
            if last == pair {
                return Ok(number);
            }
        }
        let number = match self.interfaces.get(&pair) {
            Some(number) => *number,
            None => self.describe(pair)?,
        };
        self.last = Some((pair, number));
        Ok(number)
    }

    #[cold]
    fn describe(&mut self, pair: (u16, u32)) -> Result<u32, CaptureWriteError> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(CaptureWriteError::TooManyInterfaces);
        }
        let (link_type, interface) = pair;
        let mut body = Vec::new();
        body.extend(link_type.to_le_bytes());
        body.extend([0; 2]);
        body.extend(MAX_FRAME_BYTES.to_le_bytes());
        option(&mut body, IF_NAME, format!("if{interface}").as_bytes());
        option(&mut body, IF_TSRESOL, &[9]);
        option(&mut body, END_OF_OPTIONS, &[]);
        write_block(&mut self.output, INTERFACE_DESCRIPTION, &body)?;
        let number = self.interfaces.len() as u32;
        self.interfaces.insert(pair, number);
        Ok(number)
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// `Io`.
    pub fn flush(&mut self) -> Result<(), CaptureWriteError> {
        Ok(self.output.flush()?)
    }

    /// Ends the file: one without frames gets an interface of Ethernet, since libpcap refuses a file
    /// that describes none. Flushes the output.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(&mut self) -> Result<(), CaptureWriteError> {
        if self.interfaces.is_empty() {
            self.describe((LINKTYPE_ETHERNET, 0))?;
        }
        self.flush()
    }

    /// The output, unflushed.
    pub fn into_inner(self) -> W {
        self.output
    }
}

fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.resize(body.len() + padding(value.len()), 0);
}

fn write_block(output: &mut impl Write, kind: u32, body: &[u8]) -> Result<(), CaptureWriteError> {
    let length = (12 + body.len() as u32).to_le_bytes();
    output.write_all(&kind.to_le_bytes())?;
    output.write_all(&length)?;
    output.write_all(body)?;
    output.write_all(&length)?;
    Ok(())
}
