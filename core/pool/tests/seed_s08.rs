//! S8: headroom is a parameter. Without it `push(16)` is a typed error, and neither the header nor a
//! neighbour is touched.
#![cfg(not(loom))]

use skbpool_pool::{Free, HEADER_BYTES, Owner, SkbError, init_zero_copy_buffer};
use std::ptr::NonNull;

#[repr(align(64))]
struct Memory([u8; 512]);

/// A checksum that tells whether any byte of the memory changed.
fn digest(memory: *const u8, bytes: usize) -> u64 {
    // SAFETY: the caller's memory is valid, and nobody writes to it meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts(memory, bytes) };
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[test]
fn sixteen_bytes_that_are_not_there() {
    let memory = Box::leak(Box::new(Memory([0xA5; 512])));
    let start = NonNull::from(&mut memory.0).cast::<u8>();
    let free = Free::closure(|gone| {
        // SAFETY: leaked from this very box, and freed once.
        drop(unsafe { Box::from_raw(gone.data.as_ptr().sub(HEADER_BYTES).cast::<Memory>()) });
    });
    // SAFETY: the memory is ours, and the buffer's until it is freed.
    let buffer = unsafe { init_zero_copy_buffer(start, 512, 0, free, Owner::nobody()) }.unwrap();
    let mut armed = buffer.arm(3).map_err(|(error, _)| error).unwrap();
    let mut first = armed.skb(0, 64).unwrap();
    let mut second = armed.skb(64, 64).unwrap();
    let mut third = armed.skb_in(128..448, 160..224).unwrap();

    let before = digest(start.as_ptr(), 512);
    for (name, skb) in [("beside the header", &mut first), ("beside a neighbour", &mut second)] {
        let error = skb.push(16).unwrap_err();
        println!("S8: push(16) {name}, headroom {}: {error}", skb.headroom());
        assert_eq!(error, SkbError::NoHeadroom { needed: 16, have: 0 });
        assert_eq!((skb.len(), skb.headroom()), (64, 0));
    }
    let after = digest(start.as_ptr(), 512);
    println!("S8: digest of header and buffer before {before:#018x}, after {after:#018x}");
    assert_eq!(before, after);

    let error = third.push(16).unwrap_err();
    println!("S8: push(16) with headroom {}, others hold views: {error}", third.headroom());
    assert_eq!(error, SkbError::Shared);
    drop((first, second));
    third.push(16).unwrap().fill(1);
    println!(
        "S8: push(16) as the only view: headroom {}, len {}, tailroom {}",
        third.headroom(),
        third.len(),
        third.tailroom()
    );
    assert_eq!((third.headroom(), third.len(), third.tailroom()), (16, 80, 224));
    let neighbour = digest(start.as_ptr().wrapping_add(HEADER_BYTES), 128 + 16);
    third.push(16).unwrap().fill(2);
    assert_eq!(third.push(1).unwrap_err(), SkbError::NoHeadroom { needed: 1, have: 0 });
    // The window began at 128: the sixteen bytes just written, and nothing before them.
    // SAFETY: `third` keeps the memory, and nobody writes.
    let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr().add(HEADER_BYTES), 144) };
    assert!(bytes[..128].iter().all(|&byte| byte == 0xA5) && bytes[128..] == [2; 16]);
    assert_ne!(neighbour, digest(start.as_ptr().wrapping_add(HEADER_BYTES), 144));
    println!(
        "S8: the window's 32 bytes of headroom are used up; the 128 before them are untouched"
    );
}
