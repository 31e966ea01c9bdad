//! The table of holders and the shards that count for them.

use super::holder::{Holder, HolderId, HolderKind};
#[cfg(not(loom))]
use super::sets::{self, MAX_ACCOUNTS};
use super::shard::{LatencyHistogram, Shard, ShardHandle};
use super::watch::Watch;
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};
use crossbeam_utils::CachePadded;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Most holders at a time, the unnamed one included.
pub const MAX_HOLDERS: usize = if cfg!(loom) {
    2
} else if cfg!(shuttle) {
    16
} else {
    256
};

/// Most writers with a shard of their own, the shared shard included.
pub const MAX_SHARDS: usize = if cfg!(loom) {
    3
} else if cfg!(shuttle) {
    8
} else {
    128
};

/// Why a holder could not be registered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AccountsError {
    /// Every number is taken.
    #[error(
        "{MAX_HOLDERS} holders are registered already; detach drivers, consumers or sessions that \
         are no longer needed before adding \"{name}\""
    )]
    TooManyHolders {
        /// Who asked.
        name: String,
    },
    /// There were too many accounts when these were made.
    #[cfg(not(loom))]
    #[error(
        "these accounts were made while {MAX_ACCOUNTS} others existed and register nobody, not \
         \"{name}\" either; share accounts between pools, or drop those that are no longer needed first"
    )]
    TooManyAccounts {
        /// Who asked.
        name: String,
    },
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: HolderKind,
    pub(super) retired: bool,
    /// When it registered, on the monotonic clock.
    pub(super) since_ns: u64,
    /// What the number's earlier holders acquired, and gave back, altogether.
    pub(super) base: u64,
    pub(super) watch: Watch,
}

#[derive(Debug)]
pub(super) struct Registry {
    /// `holders[id]`; `None` is free. Number 0 is always taken.
    pub(super) holders: Vec<Option<Entry>>,
    /// `shards[index]`: somebody writes it. Number 0 is always taken.
    shards: Vec<bool>,
}

/// Who holds how many views and bytes, by name.
///
/// Registering and reading take a lock; counting is a plain store into the writer's own shard.
#[derive(Debug)]
pub struct Accounts {
    shards: Box<[CachePadded<Shard>]>,
    /// Shards below this number have been claimed at least once; the others need not be read.
    used: AtomicU32,
    registry: Mutex<Registry>,
    /// `[views, bytes]` of each holder, the most that was seen.
    pub(super) peaks: Box<[[AtomicU64; 2]]>,
    /// Pools that use these accounts.
    pub(super) pools: AtomicU32,
    start: u64,
    /// Number among all accounts.
    pub(super) number: u8,
}

impl Accounts {
    /// Empty accounts.
    pub fn new() -> Arc<Self> {
        Self::start_at(0)
    }

    /// Accounts whose raw counters begin at `start` and may wrap; what is reported begins at 0.
    pub fn start_at(start: u64) -> Arc<Self> {
        let holder_zero = Entry {
            name: String::new(),
            kind: HolderKind::Process,
            retired: false,
            since_ns: 0,
            base: 0,
            watch: Watch::default(),
        };
        let mut holders: Vec<Option<Entry>> = (0..MAX_HOLDERS).map(|_| None).collect();
        holders[0] = Some(holder_zero);
        let mut shards = vec![false; MAX_SHARDS];
        shards[0] = true;
        Self::numbered(|number| Self {
            shards: (0..MAX_SHARDS).map(|_| CachePadded::new(Shard::start_at(start))).collect(),
            used: AtomicU32::new(1),
            registry: Mutex::new(Registry { holders, shards }),
            peaks: (0..MAX_HOLDERS).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect(),
            pools: AtomicU32::new(0),
            start,
            number,
        })
    }

    #[cfg(not(loom))]
    fn numbered(make: impl FnOnce(u8) -> Self) -> Arc<Self> {
        sets::register(make)
    }

    #[cfg(loom)]
    fn numbered(make: impl FnOnce(u8) -> Self) -> Arc<Self> {
        Arc::new(make(0))
    }

    /// The accounts of this process, which pools and brought memory use unless told otherwise.
    #[cfg(not(loom))]
    pub fn global() -> &'static Arc<Self> {
        static GLOBAL: std::sync::OnceLock<Arc<Accounts>> = std::sync::OnceLock::new();
        GLOBAL.get_or_init(Self::new)
    }

    /// Registers a holder. Names need not be unique; an empty one is allowed.
    ///
    /// # Errors
    /// [`AccountsError::TooManyHolders`] when [`MAX_HOLDERS`] are registered or still hold views;
    /// `TooManyAccounts` if these were made while there were `MAX_ACCOUNTS` others.
    pub fn holder(self: &Arc<Self>, name: &str, kind: HolderKind) -> Result<Holder, AccountsError> {
        #[cfg(not(loom))]
        if !sets::is_own(self.number) {
            return Err(AccountsError::TooManyAccounts { name: name.to_owned() });
        }
        let mut registry = self.registry();
        let free = (1..MAX_HOLDERS).find(|&id| match &registry.holders[id] {
            None => true,
            // One sum: of two, the first would tell fewer acquired than the second tells released.
            Some(entry) => {
                entry.retired && {
                    let [acquired, _, released, _] = self.sum(id);
                    acquired == released
                }
            }
        });
        let Some(id) = free else {
            return Err(AccountsError::TooManyHolders { name: name.to_owned() });
        };
        let base = self.sum(id)[0];
        let (name, since_ns) = (name.to_owned(), now_ns());
        let watch = Watch::new(since_ns);
        registry.holders[id] = Some(Entry { name, kind, retired: false, since_ns, base, watch });
        self.forget_peaks(id);
        Ok(Holder::new(Arc::clone(self), HolderId::new(self.number, id as u8)))
    }

    /// Whether `holder` is registered here.
    #[inline(always)]
    pub(crate) fn has(&self, holder: HolderId) -> bool {
        holder.set() == self.number
    }

    /// Calls `count` with the accounts that `holder` is registered in: these, or with a look under a
    /// lock that readers share, others. Does nothing if those are gone.
    #[inline]
    pub(crate) fn count_for(&self, holder: HolderId, count: impl FnOnce(&Accounts)) {
        if self.has(holder) {
            return count(self);
        }
        // Models have one accounts each.
        #[cfg(not(loom))]
        if let Some(accounts) = sets::find(holder.set()) {
            count(&accounts);
        }
    }

    /// Claims a shard for a loop of its own; the shared one if none is free.
    pub fn shard_handle(self: &Arc<Self>) -> ShardHandle {
        let mut registry = self.registry();
        let index = registry.shards.iter().position(|taken| !taken).unwrap_or(0);
        registry.shards[index] = true;
        // Relaxed: written under the lock, which we hold; see `used_shards` for the readers.
        let used = self.used.load(Ordering::Relaxed).max(index as u32 + 1);
        self.used.store(used, Ordering::Relaxed);
        ShardHandle::new(Arc::clone(self), index)
    }

    /// Views and bytes that `id` holds now, and with them what was released while this was read.
    pub fn held(&self, id: HolderId) -> (u64, u64) {
        let sum = self.sum(id.index());
        self.raise_peaks(id.index(), sum);
        let [acquired, acquired_bytes, released, released_bytes] = sum;
        (acquired.saturating_sub(released), acquired_bytes.saturating_sub(released_bytes))
    }

    /// Views that `id`'s number ever gave back, its earlier holders' included: to be compared with
    /// earlier answers. One load for each shard in use.
    pub fn released(&self, id: HolderId) -> u64 {
        self.used_shards().fold(0, |sum, shard| {
            sum.wrapping_add(shard.released(id.index()).wrapping_sub(self.start))
        })
    }

    /// The name and kind of a holder that was registered `ago` already; its number may be another's now.
    pub(crate) fn name_of(&self, id: HolderId, ago: Duration) -> Option<(String, HolderKind)> {
        let registry = self.registry();
        let entry = registry.holders[id.index()].as_ref()?;
        let age = Duration::from_nanos(now_ns().saturating_sub(entry.since_ns));
        (age >= ago).then(|| (entry.name.clone(), entry.kind))
    }

    /// Latencies of everything that was released so far.
    pub fn latency(&self) -> LatencyHistogram {
        let mut total = LatencyHistogram::default();
        for shard in self.used_shards() {
            shard.read_latency(self.start, &mut total);
        }
        total
    }

    #[inline(always)]
    pub(super) fn shard(&self, index: usize) -> &Shard {
        &self.shards[index]
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn used_shards(&self) -> impl Iterator<Item = &Shard> {
        // Relaxed: what a shard counted, a reader knows of only through something that came after the
        // claim, the Acquire of `Shard::read` included; it then cannot see an older number than that.
        let used = self.used.load(Ordering::Relaxed) as usize;
        self.shards[..used].iter().map(|shard| &**shard)
    }

    /// `[acquired, acquired bytes, released, released bytes]` over all shards. Sinks of all shards
    /// are read before the sources of any, since a view may be released through another shard.
    pub(crate) fn sum(&self, holder: usize) -> [u64; 4] {
        let mut total = [0u64; 4];
        for part in [[2, 3], [0, 1]] {
            for shard in self.used_shards() {
                let read = shard.read(holder);
                for field in part {
                    total[field] = total[field].wrapping_add(read[field].wrapping_sub(self.start));
                }
            }
        }
        total
    }

    pub(super) fn retire(&self, id: HolderId) {
        let mut registry = self.registry();
        let sum = self.sum(id.index());
        if sum[0] == sum[2] {
            registry.holders[id.index()] = None;
        } else if let Some(entry) = &mut registry.holders[id.index()] {
            entry.retired = true;
        }
    }

    pub(super) fn give_back_shard(&self, index: usize) {
        if index != 0 {
            self.registry().shards[index] = false;
        }
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        // A panic while the lock is held leaves a table that is still consistent: every change is
        // one assignment.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The monotonic clock; it stands still in a model.
pub(super) fn now_ns() -> u64 {
    if cfg!(loom) { 0 } else { crate::clock::monotonic_ns() }
}

#[cfg(not(loom))]
impl Drop for Accounts {
    fn drop(&mut self) {
        let settled = (1..MAX_HOLDERS).all(|id| {
            let [acquired, _, released, _] = self.sum(id);
            acquired == released
        });
        sets::forget(self.number, settled);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::account::LATENCY_BUCKETS;

    #[test]
    fn held_is_acquired_minus_released_over_all_shards_and_across_a_wrap() {
        for start in [0, u64::MAX - 3] {
            let accounts = Accounts::start_at(start);
            let holder = accounts.holder("tap", HolderKind::Consumer).unwrap();
            let mut one = accounts.shard_handle();
            let mut two = accounts.shard_handle();
            one.acquire(holder.id(), 10, 1000);
            two.release(holder.id(), 4, 400);
            accounts.release_shared(holder.id(), 1, 100);
            assert_eq!(holder.held(), (5, 500));
            let stats = &accounts.snapshot()[0];
            assert_eq!((stats.acquired, stats.released, stats.bytes), (10, 5, 500));
        }
    }

    #[test]
    fn a_retired_holder_stays_visible_until_it_holds_nothing() {
        let accounts = Accounts::new();
        let holder = accounts.holder("gone", HolderKind::Session).unwrap();
        let id = holder.id();
        let mut shard = accounts.shard_handle();
        shard.acquire(id, 2, 128);
        drop(holder);
        let next = accounts.holder("next", HolderKind::Session).unwrap();
        assert_ne!(next.id(), id, "a number is not reused while views are charged to it");
        assert!(accounts.snapshot().iter().any(|stats| stats.retired && stats.views == 2));
        shard.release(id, 2, 128);
        assert!(accounts.snapshot().iter().all(|stats| !stats.retired));
        assert_eq!(accounts.holder("reuse", HolderKind::Session).unwrap().id(), id);
    }

    #[test]
    fn capacity() {
        let accounts = Accounts::new();
        let all: Vec<_> =
            (1..MAX_HOLDERS).map(|_| accounts.holder("h", HolderKind::Process).unwrap()).collect();
        let error = accounts.holder("late", HolderKind::Process).unwrap_err();
        assert!(error.to_string().contains("\"late\""));
        drop(all);
        accounts.holder("late", HolderKind::Process).unwrap();
    }

    #[test]
    fn late_writers_share_a_shard_and_lose_no_count() {
        let accounts = Accounts::new();
        let holder = accounts.holder("h", HolderKind::Process).unwrap();
        let mut handles: Vec<_> = (0..MAX_SHARDS + 2).map(|_| accounts.shard_handle()).collect();
        std::thread::scope(|scope| {
            for handle in handles.iter_mut().rev().take(3) {
                scope.spawn(|| (0..10_000).for_each(|_| handle.acquire(holder.id(), 1, 1)));
            }
        });
        assert_eq!(holder.held(), (30_000, 30_000));
    }

    #[test]
    fn latency_buckets_are_powers_of_two() {
        let accounts = Accounts::new();
        let mut shard = accounts.shard_handle();
        for ticks in [0, 1, 2, 3, 4, u32::MAX] {
            shard.observe_latency(HolderId::NONE, ticks, 1);
        }
        let latency = accounts.latency();
        assert_eq!(latency.buckets[..4], [1, 1, 2, 1]);
        assert_eq!(latency.buckets[LATENCY_BUCKETS - 1], 1);
        assert_eq!(latency.sum_ticks, 10 + u64::from(u32::MAX));
    }
}
