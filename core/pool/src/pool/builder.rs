//! Making a pool.

use super::events::EventBoard;
use super::handle::Pool;
use super::inner::{PoolInner, SharedCounters, Slots};
use super::life::{HANDLE, LifeWord};
use super::watermark::Watermarks;
use crate::account::Accounts;
use crate::depot::stack::NIL;
use crate::depot::{CoreGroups, Depot, MAGAZINE, MAX_DEPOT_SHARDS};
use crate::header::{BufferHeader, Kind, MAX_ORDER, RawFree, RawOwner};
use crate::provenance::{Log, NOT_LOGGED, Provenance};
use crate::region::{HugePages, Region, RegionError};
use crate::sync::{AtomicU8, AtomicU32, AtomicU64, Condvar, Mutex};
use crossbeam_utils::CachePadded;
use std::ptr::NonNull;
use std::sync::Arc;

/// Most buffers of one pool: an index has 24 bits, and one value means "none".
pub const MAX_BUFFERS: u32 = NIL;

/// Where counters, tags and generations begin, so that tests see them wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartValues {
    /// Raw value of every monotonic counter; what is reported begins at 0 all the same.
    pub counter: u64,
    /// The tag of every stack.
    pub tag: u64,
    /// The generation of every buffer.
    pub generation: u32,
}

/// Small pools have small magazines, so that one cache cannot hold most of the pool back.
const LEAST_MAGAZINES: usize = if cfg!(any(loom, shuttle)) { 2 } else { 16 };

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// No buffers, or more than an index can name.
    #[error("a pool has 1 to {MAX_BUFFERS} buffers, not {count}")]
    Count {
        /// Buffers asked for.
        count: u32,
    },
    /// Buffers too large.
    #[error("the order is 0 to {MAX_ORDER} (buffers of 4096 << order bytes), not {order}")]
    Order {
        /// Order asked for.
        order: u8,
    },
    /// Watermarks that cannot both be reached, one after the other.
    #[error(
        "the low watermark is at most the high one, and that at most the pool's {count} buffers, \
         not {low} and {high}"
    )]
    Watermarks {
        /// Low watermark asked for.
        low: u32,
        /// High watermark asked for.
        high: u32,
        /// Buffers of the pool.
        count: u32,
    },
    /// No shards, or more than there may be.
    #[error("a depot has 1 to {MAX_DEPOT_SHARDS} shards, not {shards}")]
    DepotShards {
        /// Shards asked for.
        shards: u32,
    },
    /// No memory for it.
    #[error(transparent)]
    Region(#[from] RegionError),
}

/// Settings of a pool; [`PoolBuilder::build`] makes it.
#[derive(Debug)]
pub struct PoolBuilder {
    count: u32,
    order: u8,
    name: String,
    huge_pages: HugePages,
    accounts: Option<Arc<Accounts>>,
    marks: Option<Watermarks>,
    start: StartValues,
    provenance: Provenance,
    depot_shards: u32,
    core_group: Option<fn() -> u32>,
}

impl PoolBuilder {
    pub(super) fn new(count: u32) -> Self {
        Self {
            count,
            order: 0,
            name: "pool".to_owned(),
            huge_pages: HugePages::Never,
            accounts: None,
            marks: None,
            start: StartValues::default(),
            provenance: Provenance::default(),
            depot_shards: 1,
            core_group: None,
        }
    }

    /// Buffers of `4096 << order` bytes; 0 unless set.
    pub fn order(mut self, order: u8) -> Self {
        self.order = order;
        self
    }

    /// The name in figures and errors; "pool" unless set.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Whether to use huge pages; never unless set.
    pub fn huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.huge_pages = huge_pages;
        self
    }

    /// The accounts its views are held in; those of the process unless set. What a view is charged and
    /// how long it lived is counted where its holder is registered; of a view that nobody holds, the
    /// latency is counted in the accounts of the cache that it is released to, or else of its pool.
    pub fn accounts(mut self, accounts: Arc<Accounts>) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// With fewer than `low` buffers in the depot the pool is low, with `high` it has recovered
    /// ([`Pool::is_low`], [`Pool::events`]); [`Watermarks::of`] unless set.
    pub fn watermarks(mut self, low: u32, high: u32) -> Self {
        self.marks = Some(Watermarks { low, high });
        self
    }

    /// Where counters, tags and generations begin; 0 unless set.
    pub fn start_at(mut self, start: StartValues) -> Self {
        self.start = start;
        self
    }

    /// Which allocations are recorded; [`Provenance::DEFAULT`] unless set. [`Pool::set_provenance`] changes
    /// it later.
    pub fn provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = provenance;
        self
    }

    /// Splits the depot into so many shards, one for each group of processors that share a cache; 1
    /// unless set. Worth it where many groups refill at the same time: each then swaps words of its
    /// own. A cache belongs to the shard of the group that its maker ran in, takes from the other
    /// shards when that is empty, and gives back to its own. Groups are processors whose numbers
    /// follow each other, as many groups as shards; [`PoolBuilder::core_group`] says otherwise.
    ///
    /// Costs three cache lines and 16 magazines a shard, and for each call without a cache a look at
    /// the processor it runs on.
    pub fn depot_shards(mut self, shards: u32) -> Self {
        self.depot_shards = shards;
        self
    }

    /// Tells which core group the calling thread runs in, for machines whose groups are not
    /// neighbours by number, and for tests that pretend some. Taken modulo the number of shards; not
    /// called with one shard. A panic in it is caught and reported on stderr: the thread then counts as one
    /// of group 0.
    pub fn core_group(mut self, group: fn() -> u32) -> Self {
        self.core_group = Some(group);
        self
    }

    /// Makes the pool: maps and faults in all its memory.
    ///
    /// # Errors
    /// [`PoolError`]; nothing is kept.
    pub fn build(self) -> Result<Pool, PoolError> {
        if self.count == 0 || self.count > MAX_BUFFERS {
            return Err(PoolError::Count { count: self.count });
        }
        if self.order > MAX_ORDER {
            return Err(PoolError::Order { order: self.order });
        }
        let marks = self.marks.unwrap_or_else(|| Watermarks::of(self.count));
        if marks.low > marks.high || marks.high > self.count {
            let Watermarks { low, high } = marks;
            return Err(PoolError::Watermarks { low, high, count: self.count });
        }
        let groups = CoreGroups::new(self.depot_shards, self.core_group)
            .ok_or(PoolError::DepotShards { shards: self.depot_shards })?;
        let buffer_bytes = 4096u32 << self.order;
        // 2^24 buffers of 2^22 bytes fit 64 bits.
        let bytes = self.count as usize * buffer_bytes as usize;
        let region = Region::new(bytes, self.huge_pages)?;
        let base = region.base();
        let headers = (0..self.count)
            .map(|index| BufferHeader {
                refs: AtomicU32::new(0),
                generation: AtomicU32::new(self.start.generation),
                // SAFETY: `index < count`, so the offset lies inside the region.
                data: unsafe { base.add(index as usize * buffer_bytes as usize) },
                size: buffer_bytes,
                index,
                free: RawFree::NOTHING,
                owner: RawOwner::NOBODY,
                armed: AtomicU32::new(0),
                order: self.order,
                kind: Kind::Pool,
                writable: true,
                logged: AtomicU8::new(NOT_LOGGED),
            })
            .collect();
        let counter = || AtomicU64::new(self.start.counter);
        let magazine = (self.count as usize / LEAST_MAGAZINES).clamp(1, MAGAZINE);
        #[cfg(not(loom))]
        let accounts = self.accounts.unwrap_or_else(|| Arc::clone(Accounts::global()));
        #[cfg(loom)]
        let accounts = self.accounts.unwrap_or_else(Accounts::new);
        accounts.join();
        let inner = Box::new(PoolInner {
            headers,
            depot: Depot::new(self.count, magazine, self.start.tag, groups),
            region,
            accounts,
            name: self.name,
            order: self.order,
            buffer_bytes,
            start: self.start,
            signals: CachePadded::new(AtomicU64::new(u64::from(self.start.generation) << 32)),
            reserved: AtomicU32::new(0),
            life: CachePadded::new(LifeWord::new(HANDLE)),
            marks,
            board: EventBoard::start_at(self.start.counter),
            shared: CachePadded::new(SharedCounters {
                alloc: counter(),
                alloc_empty: counter(),
                release: counter(),
                violations: counter(),
            }),
            slots: Mutex::new(Slots::default()),
            parking: Mutex::new(()),
            wake: Condvar::new(),
            log: Log::new(),
        });
        let inner = NonNull::from(Box::leak(inner));
        // SAFETY: nobody else knows the pool yet; raw places, so that no reference to the whole is
        // made while a part is written.
        unsafe {
            let headers: &mut [BufferHeader] = &mut (*inner.as_ptr()).headers;
            for header in headers {
                header.owner.owner = inner.as_ptr().cast();
            }
            #[cfg(not(loom))]
            crate::fork::add_pool(inner);
            // SAFETY: `life` began with one handle, which this is.
            let pool = Pool::from_inner(inner);
            pool.set_provenance(self.provenance);
            Ok(pool)
        }
    }
}
