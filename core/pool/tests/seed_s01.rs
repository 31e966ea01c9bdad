//! S1: `init_zero_copy_buffer(header, freefunc, order)`: a header with the reference count and the
//! free function is initialised inside memory that the caller owns, before any view is made.
#![cfg(not(loom))]

use skbpool_pool::{Free, HEADER_BYTES, Owner, init_zero_copy_buffer};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

#[test]
fn a_header_inside_the_drivers_own_memory() {
    const ORDER: u8 = 2;
    let layout = Layout::from_size_align(4096 << ORDER, 4096).unwrap();
    // SAFETY: the size is not 0.
    let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let (told, freed) = mpsc::channel();
    let free = Free::closure(move |gone| {
        let who = thread::current().name().unwrap_or("?").to_owned();
        told.send((gone.data.addr().get() - HEADER_BYTES, gone.size, gone.order, who)).unwrap();
        // SAFETY: the driver's own allocation, whose last view is gone.
        unsafe { dealloc(gone.data.as_ptr().sub(HEADER_BYTES), layout) };
    });
    println!("S1: driver's memory at {memory:p}, {} bytes, order {ORDER}", layout.size());
    // SAFETY: the memory is the driver's, and the buffer's until the free function is called.
    let mut buffer =
        unsafe { init_zero_copy_buffer(memory, layout.size(), ORDER, free, Owner::nobody()) }
            .unwrap();
    let header = std::ptr::from_ref(buffer.header());
    println!(
        "S1: header at {header:p}, references {}, order {}, data at {:p}, {} bytes",
        buffer.header().references(),
        buffer.header().order(),
        buffer.as_slice().as_ptr(),
        buffer.len()
    );
    assert_eq!(header.addr(), memory.addr().get());
    assert_eq!(buffer.as_slice().as_ptr().addr(), memory.addr().get() + HEADER_BYTES);
    assert_eq!((buffer.header().references(), buffer.header().order()), (1, ORDER));

    buffer.as_mut_slice().unwrap()[..6].copy_from_slice(b"frames");
    let mut armed = buffer.arm(2).map_err(|(error, _)| error).unwrap();
    let views = [armed.skb(0, 3).unwrap(), armed.skb(3, 3).unwrap()];
    println!("S1: armed for 2 views, references {}", views[0].header().references());
    assert_eq!(views[0].header().references(), 2);
    let [first, second] = views;
    drop(first);
    assert!(freed.try_recv().is_err(), "one view is left");
    let consumer = thread::Builder::new().name("consumer".into());
    consumer.spawn(move || assert_eq!(second.data(), b"mes")).unwrap().join().unwrap();
    let (address, size, order, who) = freed.recv().unwrap();
    println!("S1: freed {address:#x} ({size} bytes after the header, order {order}) by {who}");
    assert_eq!((address, order, who.as_str()), (memory.addr().get(), ORDER, "consumer"));
    assert!(freed.recv().is_err(), "freed once");
}
