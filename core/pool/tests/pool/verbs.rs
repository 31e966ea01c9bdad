//! The verbs of sk_buff: what they move, what they refuse, and what they never touch (S8).

use super::{assert_all_home, pool, skb_of};
use skbpool_pool::{Buffer, Pool, SkbError, adopt};

const CANARY: u8 = 0xA5;

fn canary_buffer(pool: &Pool) -> Buffer {
    let mut buffer = pool.alloc().unwrap();
    buffer.as_mut_slice().unwrap().fill(CANARY);
    buffer
}

#[test]
fn smoke() {
    let pool = pool(1);
    let mut skb = pool.alloc().unwrap().into_empty_skb();
    assert_eq!((skb.headroom(), skb.tailroom(), skb.len()), (0, 4096, 0));
    skb.reserve(64).unwrap();
    skb.put(5).unwrap().copy_from_slice(b"world");
    skb.push(6).unwrap().copy_from_slice(b"hello ");
    assert_eq!(skb.data(), b"hello world");
    assert_eq!((skb.headroom(), skb.tailroom(), skb.len()), (58, 4096 - 69, 11));
    skb.pull(6).unwrap();
    assert_eq!(skb.data(), b"world");
    skb.trim(3).unwrap();
    assert_eq!(skb.data(), b"wor");
    assert_eq!((skb.headroom(), skb.tailroom()), (64, 4096 - 67));
    skb.data_mut().unwrap()[0] = b'W';
    assert_eq!(skb.data(), b"Wor");
}

#[test]
fn push_and_put_end_at_the_window_and_leave_neighbours_alone() {
    let pool = pool(1);
    let mut armed = canary_buffer(&pool).arm(3).map_err(|(error, _)| error).unwrap();
    let before = armed.skb(0, 100).unwrap();
    let mut skb = armed.skb_in(100..200, 116..180).unwrap();
    let behind = armed.skb(200, 100).unwrap();
    for (needed, have) in [(17, 16), (u32::MAX, 16)] {
        assert_eq!(skb.push(needed).unwrap_err(), SkbError::NoHeadroom { needed, have });
    }
    for (needed, have) in [(21, 20), (u32::MAX, 20)] {
        assert_eq!(skb.put(needed).unwrap_err(), SkbError::NoTailroom { needed, have });
    }
    // Room there is, but others have views of the buffer.
    assert_eq!(skb.push(16).unwrap_err(), SkbError::Shared);
    assert_eq!(skb.put(20).unwrap_err(), SkbError::Shared);
    assert_eq!(skb.data_mut().unwrap_err(), SkbError::Shared);
    assert_eq!((skb.headroom(), skb.len(), skb.tailroom()), (16, 64, 20));
    let neighbours = [before.data().as_ptr(), behind.data().as_ptr()];
    drop((before, behind));
    skb.push(16).unwrap().fill(1);
    skb.put(20).unwrap().fill(2);
    assert_eq!(skb.push(1).unwrap_err(), SkbError::NoHeadroom { needed: 1, have: 0 });
    for neighbour in neighbours {
        // SAFETY: both lie in the buffer that `skb` keeps, outside its window, and nobody writes.
        let neighbour = unsafe { std::slice::from_raw_parts(neighbour, 100) };
        assert!(neighbour.iter().all(|&byte| byte == CANARY));
    }
    assert_eq!((skb.data()[15], skb.data()[16], skb.data()[80]), (1, CANARY, 2));
}

#[test]
fn refused_verbs_change_nothing() {
    let pool = pool(2);
    let mut skb = skb_of(&pool, 8, b"0123456789");
    let refusals = |skb: &mut skbpool_pool::Skb| {
        [
            skb.pull(11).unwrap_err(),
            skb.pull(u32::MAX).unwrap_err(),
            skb.trim(11).unwrap_err(),
            skb.trim(u32::MAX).unwrap_err(),
            skb.reserve(0).unwrap_err(),
            skb.slice(5, 6).map(drop).unwrap_err(),
            skb.slice(u32::MAX, u32::MAX).map(drop).unwrap_err(),
        ]
    };
    assert_eq!(
        refusals(&mut skb),
        [
            SkbError::TooShort { needed: 11, have: 10 },
            SkbError::TooShort { needed: u32::MAX, have: 10 },
            SkbError::TooShort { needed: 11, have: 10 },
            SkbError::TooShort { needed: u32::MAX, have: 10 },
            SkbError::NotEmpty,
            SkbError::OutOfRange { start: 5, end: 11, size: 10 },
            SkbError::OutOfRange { start: u32::MAX, end: u32::MAX, size: 10 },
        ]
    );
    assert_eq!((skb.headroom(), skb.data()), (8, &b"0123456789"[..]));
    assert!(!skb.is_shared());
    let mut empty = pool.alloc().unwrap().into_empty_skb();
    let error = empty.reserve(4097).unwrap_err();
    assert_eq!(error, SkbError::NoTailroom { needed: 4097, have: 4096 });
    empty.reserve(4096).unwrap();
    assert_eq!(empty.put(1).unwrap_err(), SkbError::NoTailroom { needed: 1, have: 0 });
    drop((skb, empty));
    assert_all_home(&pool);
}

#[test]
fn a_clone_makes_both_read_only_until_one_is_left() {
    let pool = pool(2);
    let mut skb = skb_of(&pool, 16, b"payload");
    let mut clone = skb.clone_skb().unwrap();
    assert!(skb.is_shared() && clone.is_shared() && !skb.is_writable());
    assert_eq!(skb.data().as_ptr(), clone.data().as_ptr());
    for view in [&mut skb, &mut clone] {
        assert_eq!(view.push(1).unwrap_err(), SkbError::Shared);
        assert_eq!(view.put(1).unwrap_err(), SkbError::Shared);
    }
    // Moving one's own borders writes nothing, so it stays allowed.
    clone.pull(3).unwrap();
    clone.trim(2).unwrap();
    assert_eq!((skb.data(), clone.data()), (&b"payload"[..], &b"lo"[..]));
    clone.unshare(&mut &pool).unwrap();
    assert_eq!((clone.data(), clone.headroom()), (&b"lo"[..], 19));
    assert!(skb.is_writable() && clone.is_writable());
    clone.data_mut().unwrap().copy_from_slice(b"LO");
    skb.push(1).unwrap()[0] = b'!';
    assert_eq!((skb.data(), clone.data()), (&b"!payload"[..], &b"LO"[..]));
}

#[test]
fn a_slice_sees_only_its_bytes() {
    let pool = pool(1);
    let mut skb = skb_of(&pool, 16, b"0123456789");
    skb.timestamp_ns = 7;
    skb.set_original_length(1500);
    let mut slice = skb.slice(2, 3).unwrap();
    assert_eq!(slice.data(), b"234");
    assert_eq!((slice.headroom(), slice.tailroom()), (0, 0));
    assert_eq!((slice.timestamp_ns, slice.original_length()), (7, 3));
    drop(skb);
    assert_eq!(slice.push(1).unwrap_err(), SkbError::NoHeadroom { needed: 1, have: 0 });
    assert_eq!(slice.put(1).unwrap_err(), SkbError::NoTailroom { needed: 1, have: 0 });
    assert_eq!(slice.slice(3, 0).unwrap().data(), b"");
    assert_eq!(slice.data_mut().unwrap(), b"234");
}

#[test]
fn adopted_bytes_are_read_only_and_unshare_makes_them_ones_own() {
    let pool = pool(1);
    let mut buffer = adopt(b"frozen".to_vec()).unwrap();
    assert_eq!(buffer.as_mut_slice().unwrap_err(), SkbError::ReadOnly);
    let (error, buffer) = buffer.fill().unwrap_err();
    assert_eq!(error, SkbError::ReadOnly);
    let mut skb = buffer.into_skb(1..5).map_err(|(error, _)| error).unwrap();
    assert!(!skb.is_writable());
    assert_eq!(skb.push(1).unwrap_err(), SkbError::ReadOnly);
    assert_eq!(skb.put(1).unwrap_err(), SkbError::ReadOnly);
    assert_eq!(skb.data_mut().unwrap_err(), SkbError::ReadOnly);
    skb.unshare(&mut &pool).unwrap();
    assert_eq!((skb.data(), skb.headroom()), (&b"roze"[..], 1));
    skb.data_mut().unwrap()[0] = b'R';
    assert_eq!(skb.data(), b"Roze");
}

#[test]
fn raw_skbs_carry_their_reference() {
    let pool = pool(1);
    let raw = skb_of(&pool, 0, b"raw").into_raw();
    assert_eq!(pool.stats().in_flight, 1);
    // SAFETY: `raw` came from `into_raw`, and is taken back once.
    let skb = unsafe { skbpool_pool::Skb::from_raw(raw) };
    assert_eq!(skb.data(), b"raw");
    drop(skb);
    assert_all_home(&pool);
}
