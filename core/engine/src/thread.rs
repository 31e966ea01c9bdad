//! Waiting for threads of our own to end.

use std::thread::JoinHandle;

use skbpool_pool::contain::contain;

/// Waits for `thread`. One that panicked has said so; what it threw is dropped, and if dropping that throws
/// again, the caller does not unwind: it may be a destructor.
pub(crate) fn join(thread: JoinHandle<()>) {
    let _ = contain("what a thread threw", "the thread is over", || drop(thread.join()));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn what_a_thread_threw_throws_no_further() {
        join(std::thread::spawn(|| std::panic::panic_any(Bomb)));
        join(std::thread::spawn(|| ()));
    }
}
