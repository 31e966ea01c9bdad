//! The pool: region, headers, free lists and counters together.

mod audit;
mod builder;
mod bulk;
mod cache;
#[cfg(not(loom))]
mod dead;
mod error;
mod events;
mod handle;
mod inner;
mod life;
mod marks;
mod objects;
mod outstanding;
mod provenance;
mod reserve;
mod source;
mod sparse;
mod stats;
#[cfg(not(loom))]
mod wait;
mod watermark;

pub use crate::depot::MAX_DEPOT_SHARDS;
pub use audit::{Audit, AuditError};
pub use builder::{MAX_BUFFERS, PoolBuilder, PoolError, StartValues};
pub use cache::LocalCache;
#[cfg(not(loom))]
pub(crate) use dead::HeldPool;
pub use error::AllocError;
#[cfg(all(test, loom))]
pub(crate) use events::{EventBoard, Told};
pub use events::{PoolEvent, PoolEvents};
pub use handle::Pool;
pub(crate) use inner::PoolInner;
pub use marks::{BufferMarks, MarkedBuffers, MarkedOut};
pub use objects::{FreeBuffers, GetBulkError};
pub use outstanding::Outstanding;
pub use reserve::{PoolTooSmall, Reservation, ReserveError};
pub use sparse::{SparseBuffer, SparseLimits, SparseReport, SparseScan};
pub use stats::{PoolState, PoolStats};
pub use watermark::{WatermarkStats, Watermarks};
