//! Scenarios of more threads than a model can take: shuttle runs each under random schedules. Its
//! atomics are sequentially consistent, so these look for interleavings; orderings are for the models.

mod cache;
mod depot;
mod refs;
mod stack;
mod watermark;

use shuttle::thread;
use std::sync::atomic::{AtomicBool, Ordering};

/// What lies in the buffers: whoever has one uses it alone.
struct Payload {
    busy: Vec<AtomicBool>,
}

impl Payload {
    fn new(buffers: u32) -> Self {
        Self { busy: (0..buffers).map(|_| AtomicBool::new(false)).collect() }
    }

    /// Uses a buffer for a while, during which others run.
    fn own(&self, buffer: u32) {
        let busy = &self.busy[buffer as usize];
        // Relaxed: no part of the scenario, which runs on one thread of the system.
        assert!(!busy.swap(true, Ordering::Relaxed), "buffer {buffer} has two owners");
        thread::yield_now();
        busy.store(false, Ordering::Relaxed);
    }
}

/// Runs the parts, each on a thread of its own.
fn together(parts: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = parts.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
