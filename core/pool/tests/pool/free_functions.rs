//! The function that frees a buffer: called once, by whoever lets go last (S7, I11).

use skbpool_pool::{BufferHeader, Free, Owner, Skb, adopt_raw};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

static BYTES: [u8; 64] = [9; 64];

fn skb(free: Free, owner: Owner) -> Skb {
    let data = NonNull::from(&BYTES).cast();
    // SAFETY: static bytes that nobody writes.
    let buffer = unsafe { adopt_raw(data, BYTES.len(), false, free, owner) }.unwrap();
    buffer.into_skb(0..64).map_err(|(error, _)| error).unwrap()
}

#[test]
fn a_closure_is_told_what_it_frees() {
    let (sender, receiver) = mpsc::channel();
    let view = skb(
        Free::closure(move |memory| {
            sender.send((memory.data.addr().get(), memory.size, memory.order)).unwrap();
        }),
        Owner::nobody(),
    );
    let clone = view.clone_skb().unwrap();
    drop(view);
    assert!(receiver.try_recv().is_err(), "not before the last view");
    drop(clone);
    assert_eq!(receiver.recv().unwrap(), (BYTES.as_ptr().addr(), 64, 0));
    assert!(receiver.recv().is_err(), "once, and what it captured is dropped");
}

/// What a C driver has: a function, a context, and an owner that keeps the function's code.
#[derive(Default)]
struct Driver {
    calls: Mutex<Vec<&'static str>>,
}

unsafe extern "C" fn free(header: *mut BufferHeader, context: *mut c_void) {
    // SAFETY: both live until this function has returned.
    let (header, driver) = unsafe { (&*header, &*context.cast::<Driver>()) };
    assert_eq!((header.size(), header.references()), (64, 0));
    driver.calls.lock().unwrap().push("free");
}

unsafe extern "C" fn put(owner: *mut c_void) {
    // SAFETY: the owner lives until the test ends.
    let driver = unsafe { &*owner.cast::<Driver>() };
    driver.calls.lock().unwrap().push("owner");
}

#[test]
fn the_owner_goes_after_the_function_has_returned() {
    let driver = Driver::default();
    let context = std::ptr::from_ref(&driver).cast_mut().cast();
    // SAFETY: the driver outlives the view, and both functions may be called from any thread.
    let view = unsafe { skb(Free::function(free, context), Owner::raw(context, put)) };
    thread::spawn(move || drop(view)).join().unwrap();
    assert_eq!(*driver.calls.lock().unwrap(), ["free", "owner"]);
}

#[test]
fn a_shared_owner_outlives_the_closure() {
    let owner = Arc::new(());
    let seen = Arc::downgrade(&owner);
    let alive = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&alive);
    let closure = move |_| {
        counted.store(seen.strong_count() as u32, Ordering::SeqCst);
    };
    let view = skb(Free::closure(closure), Owner::share(owner));
    drop(view);
    assert_eq!(alive.load(Ordering::SeqCst), 1, "the owner was alive when the closure ran");
}

#[test]
fn a_panic_in_somebody_elses_code_stays_there() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose: an owner's destructor");
        }
    }
    let owner = Arc::new(Bomb);
    let free = Free::closure(|_| panic!("on purpose: a free function"));
    drop(skb(free, Owner::share(owner)));
    struct Bytes(Bomb);
    impl AsRef<[u8]> for Bytes {
        fn as_ref(&self) -> &[u8] {
            let Self(_) = self;
            b"bytes"
        }
    }
    drop(skbpool_pool::adopt(Bytes(Bomb)).map_err(|(error, _)| error).unwrap());
}

/// What is thrown may itself throw when it is dropped.
#[test]
fn a_panic_whose_payload_panics_stays_there_too() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            // Its own payload panics as well, as often as it is dropped.
            std::panic::panic_any(Payload);
        }
    }
    struct Bytes;
    impl AsRef<[u8]> for Bytes {
        fn as_ref(&self) -> &[u8] {
            b"bytes"
        }
    }
    impl Drop for Bytes {
        fn drop(&mut self) {
            std::panic::panic_any(Payload);
        }
    }
    let free = Free::closure(|_| std::panic::panic_any(Payload));
    drop(skb(free, Owner::share(Arc::new(Bytes))));
    drop(skbpool_pool::adopt(Bytes).map_err(|(error, _)| error).unwrap());
    let never_called = Bytes;
    drop(Free::closure(move |_| drop(never_called)));
}

/// Several threads let go at once; over and over, one of them frees, once.
#[test]
fn whoever_is_last_frees_once() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2_000;
    let freed = Arc::new(AtomicU32::new(0));
    let barrier = Arc::new(Barrier::new(THREADS));
    let (mut senders, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..THREADS {
        let (sender, receiver) = mpsc::channel::<Skb>();
        let barrier = Arc::clone(&barrier);
        senders.push(sender);
        threads.push(thread::spawn(move || {
            for view in receiver {
                barrier.wait();
                drop(view);
            }
        }));
    }
    for _ in 0..ROUNDS {
        let freed = Arc::clone(&freed);
        let closure = move |_| {
            freed.fetch_add(1, Ordering::SeqCst);
        };
        let view = skb(Free::closure(closure), Owner::nobody());
        for sender in &senders {
            sender.send(view.clone_skb().unwrap()).unwrap();
        }
    }
    drop(senders);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(freed.load(Ordering::SeqCst), ROUNDS as u32);
}

/// A free function may use pools itself: what it releases lands where it belongs.
#[test]
fn a_free_function_may_release_other_views() {
    let pool = super::pool(2);
    let inner = super::skb_of(&pool, 0, b"inner");
    let mut cache = pool.local_cache();
    let view = skb(Free::closure(move |_| drop(inner)), Owner::nobody());
    assert_eq!(pool.stats().in_flight, 1);
    cache.release(view);
    assert_eq!((pool.stats().in_flight, cache.cached()), (0, 0));
}
