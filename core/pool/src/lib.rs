//! Packet buffers with one shared reference count, views of them (skbs), and the lock-free pool they
//! come home to.
//!
//! A [`Buffer`] is taken from a [`Pool`] (or made of memory that a caller brings, with
//! [`init_zero_copy_buffer`] or [`adopt`]), written once, and cut into [`Skb`]s without copying.
//! When the last view goes, the buffer comes home: to the releaser's [`LocalCache`], to the pool's
//! depot, or to the free function that its owner named.
//!
//! What was released cannot be used or released again:
//!
//! ```compile_fail,E0382
//! let pool = skbpool_pool::Pool::builder(4).build().unwrap();
//! let skb = pool.alloc().unwrap().into_empty_skb();
//! drop(skb);
//! skb.len();
//! ```
//!
//! ```compile_fail,E0382
//! let pool = skbpool_pool::Pool::builder(4).build().unwrap();
//! let (mut cache, skb) = (pool.local_cache(), pool.alloc().unwrap().into_empty_skb());
//! cache.release(skb);
//! cache.release(skb);
//! ```
//!
//! Nothing here knows of Python, gRPC, files or wall time, and no call blocks unless its name says
//! so. The argument for each lock-free structure is in `DESIGN.md` beside this crate.

mod account;
mod buffer;
pub mod clock;
#[doc(hidden)]
pub mod contain;
mod depot;
pub mod fork;
mod header;
mod home;
#[cfg(all(test, loom))]
mod models;
mod nesting;
mod pool;
mod provenance;
mod region;
#[cfg(all(test, shuttle))]
mod schedules;
mod skb;
#[doc(hidden)]
pub mod sync;
mod words;

#[cfg(not(loom))]
pub use account::MAX_ACCOUNTS;
pub use account::{
    Accounts, AccountsError, CopyCount, CopyStage, DropCount, DropCounters, DropReason, Holder,
    HolderId, HolderKind, HolderStats, LATENCY_BUCKETS, LatencyHistogram, MAX_HOLDERS, MAX_SHARDS,
    OldestAge, ShardHandle,
};
pub use buffer::{Armed, Buffer, Fill, RxFrame};
#[doc(hidden)]
pub use header::updates;
pub use header::{
    BringError, BufferHeader, Free, FreeFn, FreedMemory, HEADER_BYTES, MAX_BUFFER_BYTES, MAX_ORDER,
    MAX_REFERENCES, Owner, OwnerPutFn, adopt, adopt_raw, init_zero_copy_buffer,
};
pub use pool::{
    AllocError, Audit, AuditError, BufferMarks, FreeBuffers, GetBulkError, LocalCache, MAX_BUFFERS,
    MAX_DEPOT_SHARDS, MarkedBuffers, MarkedOut, Outstanding, Pool, PoolBuilder, PoolError,
    PoolEvent, PoolEvents, PoolState, PoolStats, PoolTooSmall, Reservation, ReserveError,
    SparseBuffer, SparseLimits, SparseReport, SparseScan, StartValues, WatermarkStats, Watermarks,
};
pub use provenance::{
    HolderName, LeakExample, LeakReport, LeakSite, Provenance, Site, Transition, TransitionKind,
};
pub use region::{HugePages, RegionError};
pub use skb::{
    BufferSource, Charge, CopyError, FragList, Share, Skb, SkbBatch, SkbError, SkbFlags,
    make_zero_copy_skb,
};
