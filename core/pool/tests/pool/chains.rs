//! Chains: one frame in several buffers.

use super::{assert_all_home, bytes_of, pool, skb_of};
use skbpool_pool::{CopyError, Pool, Skb, SkbError};

/// A frame of `parts`, each in a buffer of its own.
fn chain(pool: &Pool, parts: &[&[u8]]) -> Skb {
    let mut frame = skb_of(pool, 0, parts[0]);
    for part in &parts[1..] {
        frame.append_frag(skb_of(pool, 0, part)).unwrap();
    }
    frame
}

#[test]
fn smoke() {
    let pool = pool(8);
    let mut frame = chain(&pool, &[b"one", b"two", b"three"]);
    assert!(frame.is_chain());
    assert_eq!((frame.len(), frame.data(), frame.tailroom()), (11, &b"one"[..], 0));
    assert_eq!(bytes_of(&frame), b"onetwothree");
    assert_eq!(frame.truesize(), 3 * 4096);
    let other = chain(&pool, &[b"4", b"5"]);
    frame.append_frag(other).unwrap();
    assert_eq!(bytes_of(&frame), b"onetwothree45");
    assert_eq!(pool.stats().in_flight, 5);
    assert_eq!(frame.put(1).unwrap_err(), SkbError::Nonlinear);
    assert_eq!(frame.reserve(1).unwrap_err(), SkbError::NotEmpty);
    drop(frame);
    assert_all_home(&pool);
}

#[test]
fn trim_lets_go_of_the_fragments_behind() {
    let pool = pool(4);
    for (len, in_flight, is_chain) in [(6, 2, true), (4, 2, true), (3, 1, false), (0, 1, false)] {
        let mut frame = chain(&pool, &[b"one", b"two", b"three"]);
        frame.trim(len).unwrap();
        assert_eq!(bytes_of(&frame), b"onetwothree"[..len as usize]);
        assert_eq!((pool.stats().in_flight, frame.is_chain()), (in_flight, is_chain));
        assert_eq!(
            frame.trim(len + 1).unwrap_err(),
            SkbError::TooShort { needed: len + 1, have: len }
        );
    }
    assert_all_home(&pool);
}

#[test]
fn linearize_brings_it_into_one_buffer() {
    let pool = pool(4);
    let mut frame = chain(&pool, &[b"one", b"two", b"three"]);
    frame.timestamp_ns = 42;
    frame.set_original_length(100);
    frame.linearize(&mut &pool).unwrap();
    assert_eq!((frame.data(), frame.is_chain()), (&b"onetwothree"[..], false));
    assert_eq!((frame.timestamp_ns, frame.original_length()), (42, 100));
    assert_eq!(pool.stats().in_flight, 1);
    let address = frame.data().as_ptr();
    frame.linearize(&mut &pool).unwrap();
    assert_eq!(frame.data().as_ptr(), address, "what is in one piece is left alone");
}

#[test]
fn what_does_not_fit_one_buffer_cannot_be_linearized() {
    let pool = pool(4);
    let mut frame = chain(&pool, &[&[1; 4096], &[2; 1]]);
    let error = frame.linearize(&mut &pool).unwrap_err();
    assert_eq!(error, CopyError::TooLarge { needed: 4097, buffer: 4096 });
    let error = frame.pull_up(4097, &mut &pool).unwrap_err();
    assert_eq!(error, CopyError::TooLarge { needed: 4097, buffer: 4096 });
    let copy = frame.copy(&mut &pool).unwrap();
    assert!(copy.is_chain());
    assert_eq!(bytes_of(&copy), bytes_of(&frame));
    assert_eq!(pool.stats().in_flight, 4);
    // No buffer is left, so nothing can be copied, and nothing changes.
    assert!(matches!(frame.copy(&mut &pool).unwrap_err(), CopyError::Alloc(_)));
    assert_eq!(pool.stats().in_flight, 4);
}

#[test]
fn a_copy_that_runs_out_of_buffers_gives_back_those_it_had() {
    let pool = pool(3);
    let frame = chain(&pool, &[&[1; 4096], &[2; 4096]]);
    assert!(matches!(frame.copy(&mut &pool).unwrap_err(), CopyError::Alloc(_)));
    assert_eq!(pool.stats().in_flight, 2);
    assert_eq!(frame.len(), 8192);
}

#[test]
fn pull_up_makes_the_front_one_piece_and_shares_the_rest() {
    let pool = pool(8);
    let parts: [&[u8]; 3] = [b"one", b"two", b"three"];
    for (bytes, in_flight) in [(0, 3), (3, 3), (4, 3), (6, 2), (8, 2), (11, 1)] {
        let mut frame = chain(&pool, &parts);
        frame.pull_up(bytes, &mut &pool).unwrap();
        assert_eq!(bytes_of(&frame), b"onetwothree");
        assert!(frame.data().len() >= bytes as usize);
        assert_eq!(pool.stats().in_flight, in_flight, "pull_up({bytes})");
        assert!(frame.parts().all(|part| !part.is_empty()));
        let error = frame.pull_up(12, &mut &pool).unwrap_err();
        assert_eq!(error, CopyError::Skb(SkbError::TooShort { needed: 12, have: 11 }));
    }
    assert_all_home(&pool);
}

#[test]
fn a_cloned_chain_shares_its_fragments() {
    let pool = pool(4);
    let mut frame = chain(&pool, &[b"one", b"two"]);
    let clone = frame.clone_skb().unwrap();
    assert_eq!(pool.stats().in_flight, 2);
    assert!(frame.parts().zip(clone.parts()).all(|(a, b)| a.as_ptr() == b.as_ptr()));
    // The first part alone may be the only view; the frame as a whole is not.
    frame.unshare(&mut &pool).unwrap();
    assert_eq!(pool.stats().in_flight, 3);
    assert_eq!(bytes_of(&clone), b"onetwo");
    assert_eq!(frame.data(), b"onetwo");
    assert!(frame.is_writable() && clone.is_writable());
}

#[test]
fn slices_end_where_the_first_buffer_ends() {
    let pool = pool(2);
    let frame = chain(&pool, &[b"one", b"two"]);
    assert_eq!(frame.slice(1, 2).unwrap().data(), b"ne");
    assert_eq!(frame.slice(1, 3).unwrap_err(), SkbError::Nonlinear);
    let error = frame.slice(1, 6).unwrap_err();
    assert_eq!(error, SkbError::OutOfRange { start: 1, end: 7, size: 6 });
}

#[test]
fn nothing_empty_is_kept() {
    let pool = pool(4);
    let mut frame = skb_of(&pool, 0, b"head");
    frame.append_frag(pool.alloc().unwrap().into_empty_skb()).unwrap();
    assert!(!frame.is_chain());
    assert_eq!(pool.stats().in_flight, 1);
    // Its first view was pulled empty, and would pin a buffer for nothing.
    let mut other = chain(&pool, &[b"gone", b"tail"]);
    other.pull(4).unwrap();
    assert_eq!(other.pull(1).unwrap_err(), SkbError::TooShort { needed: 1, have: 0 });
    frame.append_frag(other).unwrap();
    assert_eq!(bytes_of(&frame), b"headtail");
    assert_eq!((pool.stats().in_flight, frame.truesize()), (2, 2 * 4096));
}

#[test]
fn a_frame_may_hold_one_buffer_twice() {
    let pool = pool(2);
    let mut frame = skb_of(&pool, 0, b"echo");
    let again = frame.slice(0, 4).unwrap();
    frame.append_frag(again).unwrap();
    assert_eq!((bytes_of(&frame), pool.stats().in_flight), (b"echoecho".to_vec(), 1));
    assert_eq!(frame.data_mut().unwrap_err(), SkbError::Shared);
    frame.unshare(&mut &pool).unwrap();
    assert_eq!(frame.data_mut().unwrap(), b"echoecho");
    drop(frame);
    assert_all_home(&pool);
}

#[test]
fn a_frame_has_at_most_what_a_length_can_say() {
    let pool = pool(1);
    let part = pool.alloc().unwrap().into_skb(0..4096).map_err(|(error, _)| error).unwrap();
    let mut frame = part.clone_skb().unwrap();
    // Doubling what there is: 4096 << 20 is one more than fits.
    for _ in 0..19 {
        let half = frame.clone_skb().unwrap();
        frame.append_frag(half).unwrap();
    }
    assert_eq!(frame.len(), 1 << 31);
    let half = frame.clone_skb().unwrap();
    let (error, half) = frame.append_frag(half).unwrap_err();
    assert!(matches!(error, SkbError::OutOfRange { .. }));
    assert_eq!((frame.len(), half.len()), (1 << 31, 1 << 31));
    drop((frame, half, part));
    assert_all_home(&pool);
}

/// What it says of itself as it grows and shrinks is what its parts add up to. Growing looks at what is
/// appended only: over all the fragments each time, this would be a day's work.
#[test]
fn a_chain_of_many_fragments_knows_what_it_has() {
    const PARTS: u32 = 300_000;
    let pool = pool(4);
    let part = skb_of(&pool, 0, b"part");
    let other =
        pool.alloc().unwrap().arm(3).map_err(|(error, _)| error).unwrap().skb(0, 7).unwrap();
    let mut frame = part.clone_skb().unwrap();
    for position in 1..PARTS {
        let next = if position % 2 == 0 { &part } else { &other };
        frame.append_frag(next.clone_skb().unwrap()).unwrap();
    }
    let add_up = |frame: &Skb| {
        let lens: Vec<usize> = frame.parts().map(<[u8]>::len).collect();
        let of_other = lens.iter().filter(|&&len| len == 7).count() as u32;
        let truesize =
            of_other * other.truesize() + (lens.len() as u32 - of_other) * part.truesize();
        (lens.iter().sum::<usize>() as u32, lens.len() as u32, truesize)
    };
    let told = |frame: &Skb| (frame.len(), frame.views(), frame.truesize());
    assert_eq!((told(&frame), frame.views()), (add_up(&frame), PARTS));
    let len = frame.len();
    for cut in 1..=50_000 {
        frame.trim(len - 11 * cut).unwrap();
    }
    assert_eq!((told(&frame), frame.views()), (add_up(&frame), PARTS - 100_000));
    let behind = frame.clone_skb().unwrap();
    frame.append_frag(behind).unwrap();
    assert_eq!(told(&frame), add_up(&frame));
    let views = frame.views();
    // One buffer for the first five parts, then for as many more and half of the next.
    for (front, gone) in [(26, 4), (26 + 7 + 2, 5)] {
        frame.pull_up(front, &mut &pool).unwrap();
        assert_eq!((told(&frame), frame.views()), (add_up(&frame), views - gone));
    }
    frame.trim(26 + 7 + 4 + 7 + 4).unwrap();
    assert_eq!((told(&frame), frame.views()), (add_up(&frame), 4));
    drop((frame, part, other));
    assert_all_home(&pool);
}

/// Truesizes beyond 32 bits are told as the most that fits, and no longer once they fit again.
#[test]
fn a_truesize_that_does_not_fit_is_told_as_the_most() {
    let pool = Pool::builder(1).order(10).build().unwrap();
    let part = skb_of(&pool, 0, b"x");
    let mut frame = part.clone_skb().unwrap();
    for _ in 1..2000 {
        frame.append_frag(part.clone_skb().unwrap()).unwrap();
    }
    assert_eq!(frame.truesize(), u32::MAX);
    frame.trim(1000).unwrap();
    assert_eq!(frame.truesize(), 1000 * part.truesize());
}
