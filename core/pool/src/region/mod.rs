//! One mapping of memory, cut into equal buffers.

#[cfg(not(loom))]
mod mapping;
#[cfg(loom)]
mod model;

#[cfg(not(loom))]
pub(crate) use mapping::Region;
#[cfg(all(test, loom))]
pub(crate) use model::Pages;
#[cfg(loom)]
pub(crate) use model::Region;

/// Whether a region lies on huge pages of 2 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Ordinary pages.
    #[default]
    Never,
    /// Huge pages if the kernel has enough of them reserved, ordinary pages otherwise.
    Try,
    /// Huge pages or an error.
    Require,
}

/// Why memory for a region could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// More than the machine can give.
    #[error(
        "the pool needs {needed} bytes of memory and {available} are available; \
         make it smaller (fewer buffers, lower order) or free memory"
    )]
    OutOfMemory {
        /// Bytes asked for.
        needed: u64,
        /// Bytes that could be had without swapping or killing somebody.
        available: u64,
    },
    /// A system call failed.
    #[error("the pool's memory could not be set up: {call} answered \"{source}\"")]
    Os {
        /// Which call.
        call: &'static str,
        /// What it answered.
        source: rustix::io::Errno,
    },
}
