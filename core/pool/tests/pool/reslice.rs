//! A view that becomes another one of the same buffer.

use super::{assert_all_home, pool, skb_of};
use skbpool_pool::{HolderKind, SkbError};

#[test]
fn it_is_what_slice_makes_and_its_reference_stays() {
    let pool = pool(1);
    let mut skb = skb_of(&pool, 16, b"0123456789");
    (skb.timestamp_ns, skb.hash, skb.port, skb.link_type) = (7, 8, 9, 101);
    skb.set_original_length(1500);
    let mut slot = skb.slice(0, 10).unwrap();
    for (offset, len) in [(2, 3), (0, 10), (10, 0), (9, 1)] {
        slot.reslice(&skb, offset, len).unwrap();
        let slice = skb.slice(offset, len).unwrap();
        assert_eq!(skb.header().references(), 3);
        assert_eq!(slot.data(), slice.data());
        assert_eq!((slot.headroom(), slot.tailroom()), (0, 0));
        assert_eq!(slot.original_length(), len);
        assert_eq!((slot.timestamp_ns, slot.hash, slot.port, slot.link_type), (7, 8, 9, 101));
        assert_eq!((slot.truesize(), slot.flags), (slice.truesize(), slice.flags));
    }
    // A view that is measured is no plain one, so this is its first and last.
    skb.birth = 5;
    slot.reslice(&skb, 1, 2).unwrap();
    assert_eq!((slot.birth, skb.slice(1, 2).unwrap().birth), (5, 5));
    drop((skb, slot));
    assert_all_home(&pool);
}

#[test]
fn a_view_of_another_buffer_goes_home() {
    let pool = pool(2);
    let (skb, mut slot) = (skb_of(&pool, 0, b"frame"), skb_of(&pool, 0, b"other"));
    slot.reslice(&skb, 1, 2).unwrap();
    assert_eq!((slot.data(), pool.stats().in_flight), (&b"ra"[..], 1));
    drop((skb, slot));
    assert_all_home(&pool);
}

#[test]
fn what_is_accounted_for_is_settled_first() {
    let pool = pool(2);
    let holder = pool.accounts().holder("holder", HolderKind::Consumer).unwrap();
    let skb = skb_of(&pool, 0, b"frame");
    let mut held = skb.clone_skb().unwrap();
    held.hand_to(holder.id(), &mut pool.accounts().shard_handle());
    assert_eq!(holder.held(), (1, 4096));
    held.reslice(&skb, 0, 2).unwrap();
    assert_eq!(holder.held(), (0, 0));
    assert_eq!(skb.header().references(), 2);
    let mut chain = skb.clone_skb().unwrap();
    chain.append_frag(skb_of(&pool, 0, b"more")).unwrap();
    chain.reslice(&skb, 0, 2).unwrap();
    assert_eq!((chain.data(), chain.is_chain()), (&b"fr"[..], false));
    drop((skb, held, chain));
    assert_all_home(&pool);
}

#[test]
fn bytes_outside_are_refused_and_nothing_changes() {
    let pool = pool(2);
    let mut skb = skb_of(&pool, 0, b"0123");
    let mut slot = skb.slice(1, 2).unwrap();
    for (offset, len) in [(5, 0), (0, 5), (u32::MAX, u32::MAX), (3, u32::MAX)] {
        let refused = slot.reslice(&skb, offset, len).unwrap_err();
        assert!(matches!(refused, SkbError::OutOfRange { size: 4, .. }), "{refused}");
        assert_eq!(slot.data(), b"12");
    }
    skb.append_frag(skb_of(&pool, 0, b"45")).unwrap();
    assert_eq!(slot.reslice(&skb, 3, 2), Err(SkbError::Nonlinear));
    assert_eq!((slot.data(), skb.header().references()), (&b"12"[..], 2));
    drop((skb, slot));
    assert_all_home(&pool);
}
