//! Where one batch ends and the next begins.

use skbpool_wire::{
    BatchEncoder, BatchLimits, Cut, DropCount, EncodeError, Frame, FrameBatchView, MAX_FRAME,
    Pushed,
};

const FRAME: Frame<'static> = Frame {
    bytes: &[0x55; 60],
    original_length: 60,
    timestamp_ns: 5_000_000_000,
    link_type: 1,
    interface: 0,
};

fn after_one_frame() -> BatchEncoder {
    let mut encoder = BatchEncoder::new(BatchLimits::new(1 << 20));
    assert_eq!(encoder.push(&FRAME), Ok(Pushed::Taken));
    encoder
}

#[test]
fn another_link_type_or_interface_cuts() {
    let mut encoder = after_one_frame();
    let other = Frame { link_type: 101, ..FRAME };
    assert_eq!(encoder.push(&other), Ok(Pushed::Cut(Cut::LinkType)));
    let other = Frame { interface: 1, ..FRAME };
    assert_eq!(encoder.push(&other), Ok(Pushed::Cut(Cut::Interface)));
    assert_eq!(encoder.len(), 1);
    encoder.clear();
    assert_eq!(encoder.push(&other), Ok(Pushed::Taken));
}

#[test]
fn times_cut_where_they_span_more_than_32_bits() {
    let at = |timestamp_ns| Frame { timestamp_ns, ..FRAME };
    let span = u64::from(u32::MAX);
    let start = FRAME.timestamp_ns;

    let mut forwards = after_one_frame();
    assert_eq!(forwards.push(&at(start + span + 1)), Ok(Pushed::Cut(Cut::Time)));
    assert_eq!(forwards.push(&at(start + span)), Ok(Pushed::Taken));
    assert_eq!(forwards.push(&at(start - 1)), Ok(Pushed::Cut(Cut::Time)));
    assert_eq!(forwards.push(&at(u64::MAX)), Ok(Pushed::Cut(Cut::Time)));
    assert_eq!(forwards.push(&at(0)), Ok(Pushed::Cut(Cut::Time)));
    assert_eq!(forwards.len(), 2);
}

#[test]
fn times_that_run_backwards_a_little_stay_in_one_batch() {
    let times = [5_000_000_000, 4_999_999_999, 5_000_000_001, 705_032_706];
    let frames = times.map(|timestamp_ns| Frame { timestamp_ns, ..FRAME });
    let mut encoder = BatchEncoder::new(BatchLimits::new(4096));
    for frame in &frames {
        assert_eq!(encoder.push(frame), Ok(Pushed::Taken));
    }
    let message = encoder.frame_batch(1).to_vec(frames).unwrap();
    let view = FrameBatchView::parse(&message).unwrap();
    assert_eq!(view.base_time_ns(), 705_032_706);
    assert_eq!(view.frames().map(|frame| frame.timestamp_ns).collect::<Vec<_>>(), times);
}

/// Every limit: no message exceeds it, and nearly all of it is used.
#[test]
fn messages_fill_their_limit_and_never_exceed_it() {
    let missed = [DropCount { reason: 9, frames: u64::MAX, bytes: u64::MAX }; 9];
    let frames = [
        FRAME,
        Frame { timestamp_ns: FRAME.timestamp_ns + 1, ..FRAME },
        Frame { original_length: 1500, ..FRAME },
        Frame { bytes: &[], original_length: 0, ..FRAME },
    ];
    for limit in 700..3000 {
        let mut encoder = BatchEncoder::new(BatchLimits::new(limit));
        let mut taken = Vec::new();
        for frame in frames.iter().cycle() {
            match encoder.push(frame) {
                Ok(Pushed::Taken) => taken.push(*frame),
                Ok(Pushed::Cut(cut)) => {
                    assert_eq!(cut, Cut::Bytes);
                    break;
                }
                Err(error) => panic!("limit {limit}: {error}"),
            }
        }
        let message = encoder.subscribe_response(u64::MAX, &missed).unwrap();
        assert!(message.encoded_len() <= limit);
        let bare = encoder.ingest_request(1, "").unwrap().encoded_len();
        // Reserved bytes, the bound on headers, and a frame with its columns are what may be left.
        let third_column_begins = 4 * taken.len();
        assert!(bare + 512 + 62 + 60 + 12 + third_column_begins > limit, "limit {limit}: {bare}");
        assert_eq!(message.to_vec(&taken).unwrap().len(), message.encoded_len());
    }
}

/// With nothing reserved, the largest header values fit as well.
#[test]
fn headers_count_towards_the_limit() {
    let frame = Frame {
        original_length: 1500,
        timestamp_ns: u64::MAX - 1,
        link_type: u16::MAX,
        interface: u32::MAX,
        ..FRAME
    };
    let later = Frame { timestamp_ns: u64::MAX, ..frame };
    for max_message_bytes in 300..20_000 {
        let mut encoder = BatchEncoder::new(BatchLimits { max_message_bytes, reserved_bytes: 0 });
        while let Ok(Pushed::Taken) = encoder.push(if encoder.is_empty() { &frame } else { &later })
        {
        }
        assert!(!encoder.is_empty());
        let message = encoder.ingest_request(u64::MAX, "");
        assert!(message.is_ok(), "{message:?}");
    }
}

#[test]
fn a_frame_that_never_fits_is_an_error_and_the_batch_goes_on() {
    let mut encoder = BatchEncoder::new(BatchLimits { max_message_bytes: 200, reserved_bytes: 0 });
    let wide = [0; 190];
    let wide = Frame { bytes: &wide, original_length: 190, ..FRAME };
    let error = encoder.push(&wide);
    assert!(matches!(error, Err(EncodeError::MessageTooLarge { limit: 200, .. })), "{error:?}");
    assert_eq!(encoder.push(&FRAME), Ok(Pushed::Taken));
    assert_eq!(encoder.push(&wide), Ok(Pushed::Cut(Cut::Bytes)));
    assert_eq!(encoder.len(), 1);
}

#[test]
fn the_largest_frame_is_taken_and_one_byte_more_is_not() {
    let bytes = vec![7; MAX_FRAME as usize + 1];
    let frame =
        |length: u32| Frame { bytes: &bytes[..length as usize], original_length: length, ..FRAME };
    let mut encoder = BatchEncoder::new(BatchLimits::new(1 << 20));
    let length = MAX_FRAME + 1;
    assert_eq!(encoder.push(&frame(length)), Err(EncodeError::FrameTooLarge { length }));
    assert_eq!(encoder.push(&frame(MAX_FRAME)), Ok(Pushed::Taken));
    let message = encoder.frame_batch(1).to_vec([frame(MAX_FRAME)]).unwrap();
    let view = FrameBatchView::parse(&message).unwrap();
    assert_eq!(view.frames().next().unwrap().bytes, &bytes[1..]);
}

#[test]
fn a_name_longer_than_reserved_is_refused_when_it_breaks_the_limit() {
    let mut encoder = BatchEncoder::new(BatchLimits::new(700));
    assert_eq!(encoder.push(&FRAME), Ok(Pushed::Taken));
    let name = "d".repeat(700);
    let error = encoder.ingest_request(1, &name).unwrap_err();
    assert!(matches!(error, EncodeError::MessageTooLarge { limit: 700, .. }), "{error:?}");
    assert!(encoder.ingest_request(1, &name[..500]).is_ok());
}

#[test]
fn columns_that_say_nothing_are_left_out() {
    let size = |frames: &[Frame<'_>]| {
        let mut encoder = BatchEncoder::new(BatchLimits::new(1 << 20));
        for frame in frames {
            assert_eq!(encoder.push(frame), Ok(Pushed::Taken));
        }
        encoder.frame_batch(1).encoded_len()
    };
    let later = Frame { timestamp_ns: FRAME.timestamp_ns + 1, ..FRAME };
    let cut_short = Frame { original_length: 61, ..FRAME };
    let column = 2 + 2 * 4;
    assert_eq!(size(&[FRAME, later]), size(&[FRAME, FRAME]) + column);
    assert_eq!(size(&[FRAME, cut_short]), size(&[FRAME, FRAME]) + column);
    assert_eq!(size(&[later, cut_short]), size(&[FRAME, FRAME]) + 2 * column);
}
