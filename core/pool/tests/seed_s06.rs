//! S6: a driver may go while its buffers are still out. Views stay valid, memory goes with the last
//! of them, and what the free function needs is kept until it has returned.
#![cfg(not(loom))]

use skbpool_pool::{Free, Owner, Pool, PoolState, adopt_raw};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::thread;

fn is_mapped(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/memfd:skbpool")).any(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let end = rest.split_once(' ').unwrap().0;
        let parse = |hex| usize::from_str_radix(hex, 16).unwrap();
        (parse(start)..parse(end)).contains(&address)
    })
}

#[test]
fn a_pool_is_dropped_under_its_views() {
    let pool = Pool::builder(8).build().unwrap();
    let mut buffer = pool.alloc().unwrap();
    buffer.as_mut_slice().unwrap()[..4].copy_from_slice(b"last");
    let view = buffer.into_skb(0..4).map_err(|(error, _)| error).unwrap();
    let address = view.data().as_ptr().addr();
    let outstanding = pool.close();
    println!("S6: pool closed with {outstanding} buffer out, state {}", pool.stats().state.name());
    assert_eq!((outstanding, pool.stats().state), (1, PoolState::Orphaned));
    drop(pool);
    println!("S6: pool dropped; {address:#x} mapped: {}", is_mapped(address));
    assert!(is_mapped(address));
    let reader = thread::Builder::new().name("reader".into()).spawn(move || {
        println!(
            "S6: {} still reads {:?}",
            thread::current().name().unwrap_or("?"),
            std::str::from_utf8(view.data()).unwrap()
        );
        assert_eq!(view.data(), b"last");
    });
    reader.unwrap().join().unwrap();
    println!("S6: last view gone; {address:#x} mapped: {}", is_mapped(address));
    assert!(!is_mapped(address));
}

/// A driver's code and memory, as a library would hold them; it says when it is unloaded.
struct Library {
    memory: [u8; 64],
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Library {
    fn drop(&mut self) {
        self.log.lock().unwrap().push("library unloaded".into());
    }
}

#[test]
fn a_driver_is_detached_under_its_views() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let library = Arc::new(Library { memory: [7; 64], log: Arc::clone(&log) });
    let free = {
        let log = Arc::clone(&log);
        Free::closure(move |_| {
            let who = thread::current().name().unwrap_or("?").to_owned();
            log.lock().unwrap().push(format!("free function ran on {who}"));
        })
    };
    let data = NonNull::from(&library.memory).cast();
    // SAFETY: the memory lives in the library, which the owner keeps.
    let buffer =
        unsafe { adopt_raw(data, 64, false, free, Owner::share(Arc::clone(&library))) }.unwrap();
    let view = buffer.into_skb(0..64).map_err(|(error, _)| error).unwrap();
    drop(library);
    log.lock().unwrap().push("driver detached".into());
    let consumer = thread::Builder::new().name("consumer".into());
    consumer.spawn(move || assert_eq!(view.data(), [7; 64])).unwrap().join().unwrap();
    for line in log.lock().unwrap().iter() {
        println!("S6: {line}");
    }
    assert_eq!(
        *log.lock().unwrap(),
        ["driver detached", "free function ran on consumer", "library unloaded"]
    );
}
