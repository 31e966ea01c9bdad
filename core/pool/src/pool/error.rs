//! Why there was no buffer.

/// Why a buffer could not be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocError {
    /// The caller's cache and the depot are empty. The figures are of the moment after.
    #[error(
        "no free buffer: of {buffers} buffers {in_flight} are in flight and {cached} are parked in \
         caches; release views, or make the pool larger"
    )]
    Exhausted {
        /// Buffers of the pool.
        buffers: u32,
        /// Referenced by somebody.
        in_flight: u32,
        /// Free, in caches: of other threads, or too few in the caller's own for what it asked. 0 if
        /// that could not be counted without waiting for somebody.
        cached: u32,
    },
    /// The pool was closed.
    #[error("the pool is closed; views of its buffers stay valid, new buffers there are none")]
    Closed,
    /// The pool is another process's, of which this one is a fork (I12).
    #[error(
        "the pool belongs to the process that forked this one; inherited views stay readable, new \
         buffers come only from a pool made here"
    )]
    ForkedPool,
}
