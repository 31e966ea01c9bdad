//! The records of one pool.

use super::TransitionKind;
use super::mode::Mode;
use super::record::{Origin, Record, Seen};
#[cfg(not(loom))]
use super::site::Names;
use super::site::{Site, SiteId, Sites};
use crate::account::HolderId;
use crate::clock;
use crate::sync::{AtomicU32, Ordering, fence};
use std::collections::HashMap;
use std::panic::Location;
#[cfg(not(loom))]
use std::sync::MutexGuard;
use std::sync::OnceLock;

/// A buffer's header says that its allocation is not recorded.
pub(crate) const NOT_LOGGED: u8 = 0;

/// It is recorded.
pub(crate) const LOGGED: u8 = 1;

/// It is recorded, and so are releases of its views.
pub(crate) const LOGGED_FULL: u8 = 2;

/// Nanoseconds of an epoch, the unit of a record's times: 1.05 ms. 32 bits of them are 52 days.
const EPOCH_SHIFT: u32 = 20;

/// Epochs of the monotonic clock, modulo 2^32.
pub(super) fn epoch() -> u32 {
    #[cfg(not(loom))]
    return (clock::monotonic_ns() >> EPOCH_SHIFT) as u32;
    // Time stands still in a model.
    #[cfg(loom)]
    return clock::tick();
}

/// How long `epochs` are.
pub(super) fn duration(epochs: u32) -> std::time::Duration {
    std::time::Duration::from_nanos(u64::from(epochs) << EPOCH_SHIFT)
}

/// Which allocations are recorded, and the records: 64 bytes a buffer and up to 100 KiB of sites, from
/// the first time that provenance is switched on until the pool goes.
pub(crate) struct Log {
    mode: AtomicU32,
    /// Samplers there were, so that each begins elsewhere.
    samplers: AtomicU32,
    table: OnceLock<Table>,
}

struct Table {
    /// Same index as the headers.
    records: Box<[Record]>,
    sites: Sites,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            mode: AtomicU32::new(Mode::OFF.word()),
            samplers: AtomicU32::new(0),
            table: OnceLock::new(),
        }
    }

    /// Which allocations are recorded from now on. A cache learns of it at its next slow path.
    #[inline(always)]
    pub(crate) fn mode(&self) -> Mode {
        // Relaxed: a hint; the records are there before the first mode that uses them, and whoever
        // looks for them finds them through a lock of their own.
        Mode::from_word(self.mode.load(Ordering::Relaxed))
    }

    /// As [`Log::mode`], for whoever just looked at the pool's signals.
    pub(crate) fn mode_signalled(&self) -> Mode {
        // SYNC: Acquire fence pairs with the Release fence of `Pool::set_provenance`.
        fence(Ordering::Acquire);
        self.mode()
    }

    /// Switches, making room for the records of `buffers` buffers if there is none yet. Called under a
    /// lock that a fork takes, so that no child finds the room half made.
    pub(crate) fn switch(&self, mode: Mode, buffers: usize) {
        if !mode.is_off() {
            self.table.get_or_init(|| Table {
                records: (0..buffers).map(|_| Record::empty()).collect(),
                sites: Sites::new(),
            });
        }
        // Relaxed: as in `mode`.
        self.mode.store(mode.word(), Ordering::Relaxed);
    }

    /// The number of the next sampler.
    pub(crate) fn number_sampler(&self) -> u64 {
        // Relaxed: only gives out numbers.
        u64::from(self.samplers.fetch_add(1, Ordering::Relaxed))
    }

    /// Begins the record of an allocation, by whoever just made it. Returns what the header is to say.
    pub(crate) fn begin(
        &self,
        mode: Mode,
        index: u32,
        generation: u32,
        location: &'static Location<'static>,
        holder: HolderId,
    ) -> u8 {
        let Some(table) = self.table.get() else { return NOT_LOGGED };
        let origin = Origin::new(table.sites.of_location(location), holder, mode);
        table.records[index as usize].begin(generation, epoch(), origin);
        if mode.is_full() { LOGGED_FULL } else { LOGGED }
    }

    /// Whether the allocation is recorded, as far as its owner knows.
    pub(crate) fn has(&self, index: u32, generation: u32) -> bool {
        self.table.get().is_some_and(|table| table.records[index as usize].is_of(generation))
    }

    /// Names the site of a recorded allocation and whom it is for, by the buffer's only owner; false if it is
    /// not recorded.
    pub(crate) fn name_origin(
        &self,
        index: u32,
        generation: u32,
        holder: HolderId,
        site: Site,
    ) -> bool {
        let Some(table) = self.table.get() else { return false };
        let site = table.sites.of_named(site);
        table.records[index as usize].name_origin(generation, holder, site)
    }

    /// Notes a transition, by an owner of a view; false if the allocation is not recorded.
    pub(crate) fn note(
        &self,
        index: u32,
        generation: u32,
        kind: TransitionKind,
        holder: HolderId,
        views: u32,
    ) -> bool {
        let Some(table) = self.table.get() else { return false };
        table.records[index as usize].note(generation, epoch(), kind, holder, views)
    }

    /// What the record of a buffer says; none if it has none.
    pub(super) fn read(&self, index: usize) -> Option<Seen> {
        self.table.get()?.records[index].read()
    }

    /// Forgets a record that is no longer true.
    pub(super) fn forget(&self, index: usize, seen: &Seen) {
        if let Some(table) = self.table.get() {
            table.records[index].forget(seen);
        }
    }

    /// Locks the names of sites, while the process forks; none if there is no room for records yet.
    #[cfg(not(loom))]
    pub(crate) fn hold_names(&self) -> Option<MutexGuard<'_, Names>> {
        self.table.get().map(|table| table.sites.named())
    }

    /// The sites by their numbers.
    pub(super) fn sites(&self) -> HashMap<SiteId, Site> {
        self.table.get().map(|table| table.sites.all()).unwrap_or_default()
    }
}
