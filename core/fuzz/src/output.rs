//! A client's messages written to capture files.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use rustix::fd::AsFd;
use rustix::fs::{MemfdFlags, memfd_create};
use skbpool_engine::{CaptureFormat, CaptureOutput, CaptureOutputError};
use skbpool_nic::CaptureWriteError;

use crate::capture::read;
use crate::numbers::Numbers;
use crate::rig::piece;
use crate::wire::{Described, valid_response};

/// A format, then messages, each with its length before it: the file holds their frames and no
/// others, whatever went wrong in between.
pub(crate) fn capture_output(data: &[u8]) {
    let mut input = Numbers::new(data);
    let choice = input.u8();
    let format = if choice & 1 == 0 { CaptureFormat::Pcapng } else { CaptureFormat::Pcap };
    let file = File::from(memfd_create("capture", MemfdFlags::CLOEXEC).expect("a file in memory"));
    let mut output = CaptureOutput::to_descriptor(file.as_fd(), format).expect("a file in memory");
    let mut expected = Expected { format, frames: Vec::new(), pairs: Vec::new() };
    while !input.is_empty() {
        let limit = (choice & 2 != 0).then(|| u64::from(input.u8()));
        let message = piece(&mut input);
        let Some(expected_response) = valid_response(message) else { continue };
        let written = output.write_message(message, limit);
        let Some(response) = expected_response else {
            assert!(matches!(written, Err(CaptureOutputError::Message(_))));
            continue;
        };
        let frames = response.batch.as_ref().and_then(|batch| batch.frames()).unwrap_or_default();
        let most = limit.map_or(usize::MAX, |limit| limit as usize);
        let taken = frames.into_iter().take(most).map(Described::of);
        match (written, expected.take(taken)) {
            (Ok(written), Some(count)) => assert_eq!(written, count),
            (Err(CaptureOutputError::Capture(error)), None) => assert!(
                matches!(
                    error,
                    CaptureWriteError::LinkTypeChanged { .. }
                        | CaptureWriteError::TimeOutOfRange(_)
                ),
                "{error}"
            ),
            (written, expected) => panic!("{written:?} instead of {expected:?}"),
        }
    }
    output.finish().expect("a file in memory");
    let mut file = file;
    file.seek(SeekFrom::Start(0)).expect("a file in memory");
    let found = read(file);
    assert!(found.error.is_none(), "{:?}", found.error);
    assert!(found.frames == expected.frames, "other frames than the messages had");
}

struct Expected {
    format: CaptureFormat,
    frames: Vec<Described>,
    /// Link types and interfaces in the order in which the file describes them.
    pairs: Vec<(u16, u32)>,
}

impl Expected {
    /// Adds frames up to the first that the format cannot hold; how many, if that is all.
    fn take(&mut self, frames: impl Iterator<Item = Described>) -> Option<u64> {
        let before = self.frames.len();
        for mut frame in frames {
            let pair = (frame.link_type, frame.interface);
            let known = self.pairs.iter().position(|known| *known == pair);
            let number = known.unwrap_or_else(|| {
                self.pairs.push(pair);
                self.pairs.len() - 1
            });
            frame.interface = number as u32;
            if self.format == CaptureFormat::Pcap {
                let too_late = frame.timestamp_ns / 1_000_000_000 > u64::from(u32::MAX);
                if frame.link_type != self.pairs[0].0 || too_late {
                    return None;
                }
                frame.interface = 0;
            }
            self.frames.push(frame);
        }
        Some((self.frames.len() - before) as u64)
    }
}
