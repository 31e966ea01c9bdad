//! Messages written to capture files.

use std::io::{Read, Seek};

use rustix::fd::AsFd;
use skbpool_engine::{
    CaptureFormat, CaptureOutput, CaptureOutputError, Ingest, IngestConfig, Subscription,
    SubscriptionConfig,
};
use skbpool_nic::{CaptureReader, LINKTYPE_ETHERNET};

use crate::support::*;

/// A file without a name.
fn unnamed_file() -> std::fs::File {
    let file = rustix::fs::memfd_create("capture", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    std::fs::File::from(file)
}

fn sent(frames: &[Given], quota: u32) -> Vec<Vec<u8>> {
    let (_, hub) = hub(2048);
    let config = SubscriptionConfig::new(quota, 1 << 20);
    let mut out = Subscription::attach(&hub, "out", config).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    for message in messages(frames, 1 << 20) {
        ingest.submit(&message).unwrap();
    }
    std::iter::from_fn(|| next_message(&mut out)).collect()
}

fn read_back(mut file: std::fs::File) -> Vec<Given> {
    file.rewind().unwrap();
    let mut reader = CaptureReader::new(file, "memory").unwrap();
    let mut given = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        given.push(Given {
            bytes: frame.data.to_vec(),
            original_length: frame.original_length,
            timestamp_ns: frame.timestamp_ns,
            link_type: frame.link_type,
            interface: frame.interface,
        });
    }
    given
}

#[test]
fn what_was_subscribed_is_read_back() {
    let mut frames = numbered(&[60, 0, 1500, 9000]);
    frames[0].original_length = 0;
    frames[2].original_length = 64_000;
    for format in [CaptureFormat::Pcapng, CaptureFormat::Pcap] {
        let file = unnamed_file();
        let mut output = CaptureOutput::to_descriptor(file.as_fd(), format).unwrap();
        for message in sent(&frames, 64) {
            assert_eq!(output.write_message(&message, None).unwrap(), 4);
        }
        // Before the end: who reads a pipe does not wait for the last frame.
        assert_eq!(read_back(file.try_clone().unwrap()), frames);
        output.finish().unwrap();
    }
}

#[test]
fn a_limit_ends_within_a_message() {
    let frames = numbered(&[60; 10]);
    let file = unnamed_file();
    let mut output = CaptureOutput::to_descriptor(file.as_fd(), CaptureFormat::Pcapng).unwrap();
    let messages = sent(&frames, 64);
    assert_eq!(output.write_message(&messages[0], Some(3)).unwrap(), 3);
    assert_eq!(output.write_message(&messages[0], Some(0)).unwrap(), 0);
    output.finish().unwrap();
    assert_eq!(read_back(file), frames[..3]);
}

#[test]
fn pcap_holds_one_link_type_and_pcapng_several() {
    let mut frames = numbered(&[60, 60]);
    frames[0].link_type = 101;
    let messages = sent(&frames, 64);
    let file = unnamed_file();
    let mut output = CaptureOutput::to_descriptor(file.as_fd(), CaptureFormat::Pcap).unwrap();
    assert_eq!(output.write_message(&messages[0], None).unwrap(), 1);
    let error = output.write_message(&messages[1], None).unwrap_err();
    assert!(matches!(error, CaptureOutputError::Capture(_)), "{error}");
    output.finish().unwrap();
    assert_eq!(read_back(file), frames[..1]);
}

#[test]
fn an_empty_file_is_valid_and_bytes_that_are_no_message_change_nothing() {
    for format in [CaptureFormat::Pcapng, CaptureFormat::Pcap] {
        let file = unnamed_file();
        let mut output = CaptureOutput::to_descriptor(file.as_fd(), format).unwrap();
        assert!(output.write_message(b"no message", None).is_err());
        output.finish().unwrap();
        assert_eq!(read_back(file.try_clone().unwrap()), []);
        // libpcap wants to know a link type, of whatever there is none of.
        assert_eq!(link_types(file, format), [LINKTYPE_ETHERNET]);
    }
}

/// The link types that the file tells of, by its headers alone.
fn link_types(mut file: std::fs::File, format: CaptureFormat) -> Vec<u16> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    if format == CaptureFormat::Pcap {
        return vec![u16_at(20)];
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if u32_at(at) == 1 {
            found.push(u16_at(at + 8));
        }
        at += u32_at(at + 4) as usize;
    }
    found
}

#[test]
fn a_file_with_frames_tells_of_their_link_type_alone() {
    let mut frames = numbered(&[60]);
    frames[0].link_type = 101;
    let file = unnamed_file();
    let mut output = CaptureOutput::to_descriptor(file.as_fd(), CaptureFormat::Pcapng).unwrap();
    output.write_message(&sent(&frames, 64)[0], None).unwrap();
    output.finish().unwrap();
    assert_eq!(link_types(file, CaptureFormat::Pcapng), [101]);
}

#[test]
fn missed_frames_stand_in_the_drop_count_of_the_next_one() {
    let messages = sent(&numbered(&[60; 130]), 100);
    let mut file = unnamed_file();
    let mut output = CaptureOutput::to_descriptor(file.as_fd(), CaptureFormat::Pcapng).unwrap();
    output.write_message(&messages[0], None).unwrap();
    output.finish().unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    // epb_dropcount (option 4, 8 bytes) of 30.
    let option = [4, 0, 8, 0, 30, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(bytes.windows(option.len()).filter(|window| *window == option).count(), 1);
}
