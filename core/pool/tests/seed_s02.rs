//! S2: `make_zero_copy_skb(size, gfp_mask, data, header)`: a view of data already received, no copy;
//! on failure the caller still owns the buffer.
#![cfg(not(loom))]

use skbpool_pool::{Buffer, Pool, make_zero_copy_skb};

#[test]
fn a_view_of_received_data() {
    let pool = Pool::builder(4).build().unwrap();
    let mut received = pool.alloc().unwrap();
    received.as_mut_slice().unwrap()[128..192].fill(0x5A);
    let written_at = received.as_slice()[128..].as_ptr();
    let header = received.into_raw();

    // SAFETY: the reference is ours, and nobody writes any more.
    let refused = unsafe { make_zero_copy_skb(4096, written_at, header) }.unwrap_err();
    // SAFETY: our reference keeps the header valid.
    let references = unsafe { header.as_ref() }.references();
    println!("S2: 4096 bytes from offset 128 on refused: {refused}; references {references}");
    assert_eq!((references, pool.stats().in_flight), (1, 1));

    // SAFETY: as above.
    let view = unsafe { make_zero_copy_skb(64, written_at, header) }.unwrap();
    println!(
        "S2: 64 bytes written at {written_at:p}, seen at {:p}, references {}",
        view.data().as_ptr(),
        view.header().references()
    );
    assert_eq!((view.data().as_ptr(), view.data()), (written_at, &[0x5A; 64][..]));
    assert_eq!(view.header().references(), 2, "the view's and the driver's");

    // SAFETY: taken back once.
    drop(unsafe { Buffer::from_raw(header) });
    println!("S2: driver let go: in flight {}", pool.stats().in_flight);
    assert_eq!(pool.stats().in_flight, 1);
    drop(view);
    println!("S2: view let go: in flight {}", pool.stats().in_flight);
    assert_eq!(pool.audit().unwrap().free, 4);
}
