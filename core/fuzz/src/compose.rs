//! Frames of a program on their way into messages.

use skbpool_engine::FrameComposer;
use skbpool_wire::{EncodeError, Frame, IngestRequestView, MAX_FRAME};

use crate::numbers::Numbers;
use crate::wire::Described;

/// Bytes that a message takes at most beside its frames: headers, one entry a column, the name.
const AROUND_A_FRAME: usize = 62 + 3 * 4 + 8;

/// What the input does: a limit, a name, then frames of any size, time, link type and interface.
pub(crate) fn compose(data: &[u8]) {
    let mut input = Numbers::new(data);
    let limit = input.size(4096) as usize;
    let driver = "d".repeat(usize::from(input.u8()));
    let mut composer = FrameComposer::new(limit, &driver);
    let mut messages = Vec::new();
    let mut given = Vec::new();
    let mut time = 0u64;
    let filling = vec![0xa5; MAX_FRAME as usize + 256];
    while !input.is_empty() {
        let kind = input.u8();
        let len = input.size(MAX_FRAME).min(filling.len() as u32) as usize;
        time = match kind & 3 {
            0 => time,
            1 => time.wrapping_add(u64::from(input.u8())),
            2 => time.wrapping_add(u64::from(input.u32())),
            _ => input.u64(),
        };
        let frame = Frame {
            bytes: &filling[..len],
            original_length: if kind & 4 == 0 { len as u32 } else { input.u32() },
            timestamp_ns: time,
            link_type: if kind & 8 == 0 { 1 } else { input.u16() },
            interface: if kind & 16 == 0 { 0 } else { input.u32() },
        };
        let pending = composer.pending();
        match composer.push(&frame) {
            Ok(full) => {
                assert_eq!(composer.pending(), if full.is_some() { 1 } else { pending + 1 });
                messages.extend(full);
                given.push(Described::of(frame));
            }
            Err(error) => {
                assert_eq!(composer.pending(), pending, "the others are as before");
                assert_refused(&error, len, limit, driver.len());
            }
        }
        if kind & 32 != 0 {
            messages.extend(composer.flush().expect("frames that were pushed"));
            assert_eq!(composer.pending(), 0);
        }
    }
    messages.extend(composer.flush().expect("frames that were pushed"));
    assert_hold(&messages, &given, limit, &driver);
}

/// Asserts that there was a reason to refuse a frame of `len` bytes.
fn assert_refused(error: &EncodeError, len: usize, limit: usize, name: usize) {
    match error {
        EncodeError::FrameTooLarge { length } => {
            assert!(len > MAX_FRAME as usize && *length as usize == len);
        }
        EncodeError::MessageTooLarge { encoded, limit: told } => {
            assert_eq!(*told, limit.min(i32::MAX as usize));
            assert!(encoded > told);
            assert!(len + AROUND_A_FRAME + name > limit, "{len} bytes fit {limit}");
        }
        error => panic!("{error}"),
    }
}

/// Asserts that the messages hold these frames and nothing else, within the limit.
fn assert_hold(messages: &[Vec<u8>], given: &[Described], limit: usize, driver: &str) {
    let mut frames = Vec::new();
    for (position, message) in messages.iter().enumerate() {
        assert!(message.len() <= limit, "{} bytes, the limit is {limit}", message.len());
        let request = IngestRequestView::parse(message).expect("ours");
        assert_eq!(request.driver, if position == 0 { driver } else { "" });
        let batch = request.batch.expect("a message without frames");
        assert_eq!(batch.sequence(), position as u64 + 1);
        assert!(!batch.is_empty());
        frames.extend(batch.frames().map(Described::of));
    }
    assert!(frames == given, "other frames than were pushed");
}
