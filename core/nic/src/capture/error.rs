//! What can be wrong with a capture file.

use std::io;

use thiserror::Error;

use super::{MAX_FRAME_BYTES, MAX_INTERFACES};

/// A capture file cannot be read on: which, where, and why. Frames before it were delivered.
#[derive(Debug, Error)]
#[error("{file}: {}{kind}", place(.kind, *.offset))]
pub struct CaptureError {
    /// Name of the file, as it was given.
    pub file: String,
    /// Where the record, block or header begins that is wrong.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub kind: CaptureErrorKind,
}

/// What is wrong with a capture file, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureErrorKind {
    /// The file could not be opened.
    #[error("cannot be opened: {}; check the path and its permissions", reason(.0))]
    Open(#[source] io::Error),
    /// Reading failed.
    #[error("reading failed: {}; check the disk or the program that writes the stream", reason(.0))]
    Read(#[source] io::Error),
    /// There is nothing in it.
    #[error("the file is empty; a capture begins with a pcap or pcapng header")]
    Empty,
    /// It is no pcap and no pcapng file.
    #[error(
        "no pcap or pcapng file: it begins with {}; convert it with editcap, or decompress it",
        hex(.0)
    )]
    UnknownFormat(Vec<u8>),
    /// A version that is not known.
    #[error("version {major}.{minor} is not known (pcap 2, pcapng 1); convert it with editcap")]
    UnsupportedVersion {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// The file ends inside something.
    #[error(
        "cut off: a {what} of {needed} bytes begins here, {present} are left; \
         the frames before it are whole"
    )]
    Truncated {
        /// What is cut.
        what: &'static str,
        /// Bytes it has.
        needed: u64,
        /// Bytes that are there.
        present: u64,
    },
    /// A frame is larger than any may be.
    #[error(
        "a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}: the file is damaged here, or \
         was captured with a larger snap length; cut it with editcap -s {MAX_FRAME_BYTES}"
    )]
    FrameTooLarge(u32),
    /// A block's length is impossible.
    #[error(
        "a block of {0} bytes: lengths are multiples of 4 from 12 on; the file is damaged here"
    )]
    BlockLength(u32),
    /// A block is larger than any that is held in memory.
    #[error("a block of {0} bytes is over the limit of 16 MiB; the file is damaged here")]
    BlockTooLarge(u32),
    /// The two lengths of a block differ.
    #[error("a block of {head} bytes ends with the length {tail}; the file is damaged here")]
    BlockLengthsDiffer {
        /// Length at its head.
        head: u32,
        /// Length at its end.
        tail: u32,
    },
    /// A block's fields do not fit into it.
    #[error("the fields of this {0} do not fit into it; the file is damaged here")]
    MalformedBlock(&'static str),
    /// A section has no byte order.
    #[error("a section with the byte-order magic {0:#010x}; the file is damaged here")]
    ByteOrder(u32),
    /// A packet names an interface that no block described.
    #[error(
        "a packet of interface {interface}, of which this section has {described}; the file is damaged here"
    )]
    UnknownInterface {
        /// Interface named.
        interface: u32,
        /// Interfaces described so far.
        described: usize,
    },
    /// More interfaces than are kept.
    #[error("more than {MAX_INTERFACES} interfaces in one section; split the file")]
    TooManyInterfaces,
}

/// A frame that cannot be written to a capture file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureWriteError {
    /// Writing failed; the file may end in the middle of a frame.
    #[error("writing the capture failed: {}; the file may end inside a frame", reason(.0))]
    Io(#[from] io::Error),
    /// The frame is larger than any may be.
    #[error(
        "a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}; nothing of it was written"
    )]
    FrameTooLarge(usize),
    /// A pcap file has one link type.
    #[error(
        "link type {found} in a pcap file of link type {file}; write pcapng, which holds several"
    )]
    LinkTypeChanged {
        /// Link type of the file.
        file: u16,
        /// Link type of the frame.
        found: u16,
    },
    /// A pcap file tells the seconds in 32 bits.
    #[error("time {0} ns is after 2106, which a pcap file cannot tell; write pcapng")]
    TimeOutOfRange(u64),
    /// More interfaces than are kept.
    #[error("more than {MAX_INTERFACES} pairs of link type and interface; write several files")]
    TooManyInterfaces,
}

/// Where it happened, for the front of a text; nothing for a file that has no bytes yet.
fn place(kind: &CaptureErrorKind, offset: u64) -> String {
    match kind {
        CaptureErrorKind::Open(_) => String::new(),
        _ => format!("byte {offset}: "),
    }
}

/// What the system says, without the number that std adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" (os error ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_opened_has_no_byte() {
        let missing = io::Error::from_raw_os_error(2);
        let error = CaptureError {
            file: "trace.pcap".to_owned(),
            offset: 0,
            kind: CaptureErrorKind::Open(missing),
        };
        assert_eq!(
            error.to_string(),
            "trace.pcap: cannot be opened: No such file or directory; check the path and its \
             permissions"
        );
        let error = CaptureError { kind: CaptureErrorKind::Empty, ..error };
        assert!(error.to_string().starts_with("trace.pcap: byte 0: the file is empty"), "{error}");
    }
}
