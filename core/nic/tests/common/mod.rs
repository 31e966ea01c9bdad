//! What the tests share: captures here, the card in `rig`, the judge of frames in `valid`.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod rig;
pub mod valid;

use std::path::PathBuf;

use skbpool_nic::{CaptureError, CaptureFrame, CaptureReader};

/// Folder with capture files, by the environment; tests skip, and say so, without it.
pub const CAPTURES: &str = "SKBPOOL_CAPTURES";

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub timestamp_ns: u64,
    pub original_length: u32,
    pub link_type: u16,
    pub interface: u32,
    pub data: Vec<u8>,
}

impl Frame {
    pub fn borrow(&self) -> CaptureFrame<'_> {
        CaptureFrame {
            timestamp_ns: self.timestamp_ns,
            original_length: self.original_length,
            link_type: self.link_type,
            interface: self.interface,
            data: &self.data,
        }
    }
}

impl From<CaptureFrame<'_>> for Frame {
    fn from(frame: CaptureFrame<'_>) -> Self {
        Self {
            timestamp_ns: frame.timestamp_ns,
            original_length: frame.original_length,
            link_type: frame.link_type,
            interface: frame.interface,
            data: frame.data.to_vec(),
        }
    }
}

/// All frames of a file and how it ended; also checks that nothing comes after the end.
pub fn read_all(file: &[u8]) -> (Vec<Frame>, Option<CaptureError>) {
    let mut frames = Vec::new();
    let mut reader = match CaptureReader::new(file, "test.pcap") {
        Ok(reader) => reader,
        Err(error) => return (frames, Some(error)),
    };
    // Every frame takes bytes of the file, so there cannot be more frames than bytes.
    for _ in 0..=file.len() {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push(frame.into()),
            Ok(None) => {
                assert!(!reader.advance().expect("the end is no error"));
                return (frames, None);
            }
            Err(error) => {
                assert!(!reader.advance().expect("an error is told once"));
                assert!(error.offset <= file.len() as u64, "{error}");
                return (frames, Some(error));
            }
        }
    }
    panic!("the reader does not come to an end");
}

/// The capture files, by name; none, with a printed reason, if the folder is not named.
pub fn capture_files() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os(CAPTURES).map(PathBuf::from) else {
        assert!(
            std::env::var_os("SKBPOOL_REQUIRE_ALL").is_none_or(|value| value != "1"),
            "{CAPTURES} must name the folder of captures when SKBPOOL_REQUIRE_ALL=1"
        );
        println!("skipped: {CAPTURES} does not name a folder of captures");
        return Vec::new();
    };
    let entries = std::fs::read_dir(&folder).expect("the folder of captures can be read");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no capture in {}", folder.display());
    files
}
