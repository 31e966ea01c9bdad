//! S7: a buffer is freed by the function its owner names, exactly once, on any thread.
#![cfg(not(loom))]

use skbpool_pool::{BufferHeader, Free, Owner, Skb, adopt_raw};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

static FRAME: [u8; 64] = [3; 64];

fn view(free: Free) -> Skb {
    // SAFETY: static bytes that nobody writes.
    unsafe { adopt_raw(NonNull::from(&FRAME).cast(), 64, false, free, Owner::nobody()) }
        .unwrap()
        .into_skb(0..64)
        .map_err(|(error, _)| error)
        .unwrap()
}

unsafe extern "C" fn count(header: *mut BufferHeader, context: *mut c_void) {
    // SAFETY: both live until this function has returned.
    let (header, calls) = unsafe { (&*header, &*context.cast::<AtomicU32>()) };
    let calls = calls.fetch_add(1, Ordering::SeqCst) + 1;
    let who = thread::current().name().unwrap_or("?").to_owned();
    println!("S7: C function called {calls} time for {:p} on {who}", header.data());
}

#[test]
fn a_c_function_with_a_context() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let context = std::ptr::from_ref(&CALLS).cast_mut().cast();
    // SAFETY: the context is static, and the function may run anywhere.
    let skb = view(unsafe { Free::function(count, context) });
    let clone = skb.clone_skb().unwrap();
    drop(skb);
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
    thread::Builder::new().name("consumer".into()).spawn(|| drop(clone)).unwrap().join().unwrap();
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

/// Four threads let go of the last four views of a buffer at the same time, over and over.
#[test]
fn whoever_is_last_calls_it_once() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 200;
    let freed_by = Arc::new(Mutex::new(vec![0u32; THREADS]));
    let barrier = Arc::new(Barrier::new(THREADS));
    let mut shares: Vec<Vec<Skb>> = (0..THREADS).map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        let freed_by = Arc::clone(&freed_by);
        let skb = view(Free::closure(move |_| {
            let number: usize = thread::current().name().unwrap()[7..].parse().unwrap();
            freed_by.lock().unwrap()[number] += 1;
        }));
        for share in &mut shares {
            share.push(skb.clone_skb().unwrap());
        }
    }
    thread::scope(|scope| {
        for (number, share) in shares.into_iter().enumerate() {
            let barrier = Arc::clone(&barrier);
            let hold = move || {
                for view in share {
                    barrier.wait();
                    drop(view);
                }
            };
            thread::Builder::new()
                .name(format!("holder-{number}"))
                .spawn_scoped(scope, hold)
                .unwrap();
        }
    });
    let freed_by = freed_by.lock().unwrap();
    println!("S7: closure called {ROUNDS} times for {ROUNDS} buffers, by thread: {freed_by:?}");
    assert_eq!(freed_by.iter().sum::<u32>(), ROUNDS as u32);
}
