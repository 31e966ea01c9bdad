//! The stages of a buffer: unarmed, armed, being filled.

use super::{assert_all_home, pool};
use skbpool_pool::{MAX_REFERENCES, RxFrame, Skb, SkbBatch, SkbError};

#[test]
fn armed_views_lie_where_they_were_cut() {
    let pool = pool(1);
    let mut buffer = pool.alloc().unwrap();
    for (position, byte) in buffer.as_mut_slice().unwrap().iter_mut().enumerate() {
        *byte = position as u8;
    }
    let first = buffer.as_slice().as_ptr();
    let mut armed = buffer.arm(4).map_err(|(error, _)| error).unwrap();
    assert_eq!(armed.header().unwrap().references(), 4);
    assert_eq!(armed.header().unwrap().armed(), 4);
    let views: Vec<Skb> = (0..4).map(|view| armed.skb(view * 1024, 256).unwrap()).collect();
    assert_eq!(armed.left(), 0);
    for (position, view) in views.iter().enumerate() {
        assert_eq!(view.data().as_ptr(), first.wrapping_add(position * 1024));
        assert_eq!(view.data().len(), 256);
        assert_eq!(view.truesize(), 1024);
    }
    drop(views);
    assert!(armed.header().is_none(), "the last view may be gone");
    assert_eq!(armed.skb(0, 1).unwrap_err(), SkbError::NotArmed);
    assert_all_home(&pool);
}

#[test]
fn a_refused_view_leaves_the_buffer_as_it_was() {
    let pool = pool(1);
    let mut armed = pool.alloc().unwrap().arm(2).map_err(|(error, _)| error).unwrap();
    let size = 4096;
    for (start, len) in [(4096, 1), (1, 4096), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
        let end = start.saturating_add(len);
        assert_eq!(armed.skb(start, len).unwrap_err(), SkbError::OutOfRange { start, end, size });
    }
    // Data outside its window, and windows and data that are the wrong way round.
    let reversed = |start, end| std::ops::Range { start, end };
    for (window, data) in [
        (10..20, 9..15),
        (10..20, 15..21),
        (reversed(20, 10), 12..15),
        (10..20, reversed(15, 12)),
        (0..4097, 0..10),
    ] {
        let error = armed.skb_in(window, data.clone()).unwrap_err();
        let SkbError::OutOfRange { start, end, .. } = error else { panic!("{error}") };
        assert_eq!((start, end), (data.start, data.end));
    }
    assert_eq!(armed.left(), 2);
    let view = armed.skb_in(0..200, 50..100).unwrap();
    let error = armed.skb_in(199..300, 200..300).unwrap_err();
    assert_eq!(error, SkbError::Overlap { start: 199, taken: 200 });
    assert_eq!(armed.left(), 1);
    assert!(armed.skb(200, 0).unwrap().is_empty());
    drop(view);
    assert_all_home(&pool);
}

#[test]
fn arming_is_refused_outside_its_limits() {
    let pool = pool(1);
    let mut buffer = pool.alloc().unwrap();
    let too_many = SkbError::TooManyReferences;
    for (views, expected) in
        [(0, SkbError::NoViews), (MAX_REFERENCES + 1, too_many), (u32::MAX, too_many)]
    {
        let (error, back) = buffer.arm(views).unwrap_err();
        assert_eq!(error, expected);
        buffer = back;
    }
    let (error, buffer) = buffer.into_skb(1..4097).unwrap_err();
    assert_eq!(error, SkbError::OutOfRange { start: 1, end: 4097, size: 4096 });
    drop(buffer);
    assert_all_home(&pool);
}

/// I3: at the limit a clone is an error, and the count is where it was.
#[test]
fn the_count_never_passes_its_limit() {
    let pool = pool(1);
    let mut armed = pool.alloc().unwrap().arm(MAX_REFERENCES - 2).map_err(|(e, _)| e).unwrap();
    let first = armed.skb(0, 1).unwrap();
    let clones = [first.clone_skb().unwrap(), first.clone_skb().unwrap()];
    assert_eq!(first.clone_skb().unwrap_err(), SkbError::TooManyReferences);
    assert_eq!(first.slice(0, 1).unwrap_err(), SkbError::TooManyReferences);
    assert_eq!(first.header().references(), MAX_REFERENCES);
    drop(clones);
    assert_eq!(first.header().references(), MAX_REFERENCES - 2);
    drop(armed);
    assert_eq!(first.header().references(), 1);
    drop(first);
    assert_all_home(&pool);
}

#[test]
fn views_not_cut_are_given_back() {
    let pool = pool(1);
    let mut armed = pool.alloc().unwrap().arm(10).map_err(|(error, _)| error).unwrap();
    let view = armed.skb(0, 100).unwrap();
    drop(armed);
    assert!(!view.is_shared());
    drop(view);
    assert_all_home(&pool);
}

#[test]
fn fill_cuts_views_while_the_tail_is_written() {
    let pool = pool(1);
    let mut cache = pool.local_cache();
    let mut fill = pool.alloc().unwrap().fill().map_err(|(error, _)| error).unwrap();
    let mut views = Vec::new();
    for burst in 0..4u8 {
        fill.tail_mut()[16..116].fill(burst);
        let view = fill.cut(16, 100, 12).unwrap();
        assert_eq!((view.headroom(), view.tailroom(), view.truesize()), (16, 12, 128));
        views.push(view);
        assert_eq!(fill.position(), 128 * (u32::from(burst) + 1));
    }
    let error = fill.cut(0, u32::MAX, u32::MAX).unwrap_err();
    assert_eq!(error, SkbError::OutOfRange { start: 512, end: u32::MAX, size: 4096 });
    fill.skip(3000);
    assert_eq!((fill.room(), fill.tail_mut().len()), (584, 584));
    fill.skip(u32::MAX);
    assert_eq!(fill.cut(0, 1, 0).unwrap_err(), {
        SkbError::OutOfRange { start: 4096, end: 4097, size: 4096 }
    });
    assert_eq!(fill.views(), 4);
    fill.finish(&mut cache);
    assert_eq!(views[0].header().references(), 4);
    assert_eq!(views[0].header().armed(), 4);
    for (burst, view) in views.iter().enumerate() {
        assert_eq!(view.data(), [burst as u8; 100]);
    }
    drop((views, cache));
    assert_all_home(&pool);
}

/// The bias is taken again when it is used up.
#[test]
fn more_views_than_the_bias() {
    let pool = pool(1);
    let mut cache = pool.local_cache();
    let mut fill = pool.alloc().unwrap().fill().map_err(|(error, _)| error).unwrap();
    let views: Vec<Skb> = (0..150_000).map(|_| fill.cut(0, 0, 0).unwrap()).collect();
    fill.finish(&mut cache);
    assert_eq!(views[0].header().references(), 150_000);
    drop(views);
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn a_fill_without_views_goes_home() {
    let pool = pool(2);
    let mut cache = pool.local_cache();
    drop(pool.alloc().unwrap().fill().map_err(|(error, _)| error).unwrap());
    pool.alloc().unwrap().fill().map_err(|(error, _)| error).unwrap().finish(&mut cache);
    assert_eq!(cache.cached(), 1);
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn a_buffer_counts_its_homecomings() {
    let pool = pool(1);
    for generation in 0..3 {
        let buffer = pool.alloc().unwrap();
        assert_eq!(buffer.header().generation(), generation);
        assert_eq!(buffer.header().index(), Some(0));
    }
}

/// What `skbs_of` makes of descriptors is what `skb_of` makes of each, up to the first that is wrong.
#[test]
fn frames_of_a_received_buffer_become_skbs() {
    let frame = |head: u32, offset: u32, len: u32, end: u32| RxFrame {
        timestamp_ns: u64::from(head) << 33 | 7,
        head,
        offset,
        len,
        end,
        original_length: len.wrapping_add(head & 64),
        interface: 0x1234,
        link_type: 0x8765,
    };
    let good = [frame(0, 16, 60, 128), frame(128, 128, 0, 192), frame(192, 256, 64, 320)];
    let wrong = [
        frame(319, 320, 1, 400),              // begins before the end of the last
        frame(320, 319, 1, 400),              // data before the window
        frame(320, 330, 71, 400),             // data behind it
        frame(400, 400, 1, 320),              // ends before it begins
        frame(320, 320, 10, 4097),            // ends behind the buffer
        frame(320, u32::MAX, u32::MAX, 4096), // the sum wraps
        frame(320, 320, u32::MAX, u32::MAX),
    ];
    for last in [frame(320, 320, 3776, 4096)].into_iter().chain(wrong) {
        let frames = [good.as_slice(), &[last, frame(4096, 4096, 0, 4096)]].concat();
        let pool = pool(4);
        let arm = || pool.alloc().unwrap().arm(5).map_err(|(error, _)| error).unwrap();
        let (mut one, mut many) = (arm(), arm());
        let singly: Vec<Skb> =
            frames.iter().map_while(|frame| one.skb_of(frame, 11).ok()).collect();
        let mut batch = SkbBatch::new();
        let (made, bytes) = many.skbs_of(&frames, 11, &mut batch);
        assert_eq!((made, batch.len()), (singly.len(), singly.len()), "{last:?}");
        assert_eq!(made, if last.len == 3776 { 5 } else { 3 });
        assert_eq!((bytes, many.left()), (batch.bytes(), one.left()));
        for (one, other) in singly.iter().zip(&batch) {
            let told = |skb: &Skb| {
                let place = (skb.headroom(), skb.len(), skb.tailroom(), skb.truesize());
                let lies = skb.data().as_ptr().addr() - skb.header().data().addr().get();
                let what = (skb.timestamp_ns, skb.original_length(), skb.hash, skb.birth);
                let from = (skb.port, skb.link_type, skb.flags, skb.holder());
                (place, lies, what, from)
            };
            assert_eq!(told(one), told(other));
        }
        assert_eq!(batch.as_slice()[2].original_length(), 64 + 64);
        drop((one, many, singly, batch));
        assert_all_home(&pool);
    }
}

#[test]
fn more_frames_than_views_make_as_many_as_there_are() {
    let pool = pool(4);
    let mut armed = pool.alloc().unwrap().arm(2).map_err(|(error, _)| error).unwrap();
    let frame = RxFrame { len: 4, end: 4, ..RxFrame::default() };
    let frames = [
        frame,
        RxFrame { head: 4, offset: 4, end: 8, ..frame },
        RxFrame { head: 8, offset: 8, end: 12, ..frame },
    ];
    let mut batch = SkbBatch::new();
    assert_eq!(armed.skbs_of(&frames, 0, &mut batch), (2, 8));
    assert_eq!(armed.skbs_of(&frames[2..], 0, &mut batch), (0, 0));
    drop((armed, batch));
    assert_all_home(&pool);
}

/// A frame that is put together from words is the same frame.
#[test]
fn a_frame_in_words_is_the_same() {
    let frame = RxFrame {
        timestamp_ns: 0x0102_0304_0506_0708,
        head: 0x1112_1314,
        offset: 0x2122_2324,
        len: 0x3132_3334,
        end: 0x4142_4344,
        original_length: 0x5152_5354,
        interface: 0x6162,
        link_type: 0x7172,
    };
    assert_eq!(frame.in_words(), frame);
}
