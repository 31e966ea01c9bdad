//! What readers are told of holders.

use super::accounts::{Accounts, now_ns};
use super::holder::{HolderId, HolderKind};
use super::watch::OldestAge;
use crate::sync::Ordering;

/// What one holder has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderStats {
    /// Its number.
    pub id: HolderId,
    /// The name it registered under.
    pub name: String,
    /// What it is.
    pub kind: HolderKind,
    /// Views it holds now.
    pub views: u64,
    /// Truesize of those views in bytes.
    pub bytes: u64,
    /// Views it was ever given.
    pub acquired: u64,
    /// Views it ever gave back.
    pub released: u64,
    /// It was dropped, and still holds views.
    pub retired: bool,
    /// Age of the oldest view it holds, zero if it holds none. The more often the accounts are read, the
    /// closer the bounds.
    pub oldest: OldestAge,
    /// Most views it was seen to hold, whenever the accounts were read or its quota was reached.
    pub peak_views: u64,
    /// Most bytes, likewise.
    pub peak_bytes: u64,
}

impl Accounts {
    /// Every holder that is registered or still holds views.
    pub fn snapshot(&self) -> Vec<HolderStats> {
        let mut registry = self.registry();
        let mut found = Vec::new();
        for (id, entry) in registry.holders.iter_mut().enumerate().skip(1) {
            let Some(entry) = entry else { continue };
            let before_ns = now_ns();
            let [acquired, acquired_bytes, released, released_bytes] = self.sum(id);
            let oldest = entry.watch.look(acquired, released, before_ns, now_ns());
            if entry.retired && acquired == released {
                continue;
            }
            let views = acquired.saturating_sub(released);
            let bytes = acquired_bytes.saturating_sub(released_bytes);
            let [peak_views, peak_bytes] = self.raise_peaks(id, (views, bytes));
            found.push(HolderStats {
                id: HolderId::new(self.number, id as u8),
                name: entry.name.clone(),
                kind: entry.kind,
                views,
                bytes,
                acquired: acquired.wrapping_sub(entry.base),
                released: released.wrapping_sub(entry.base),
                retired: entry.retired,
                oldest: oldest.unwrap_or_default(),
                peak_views,
                peak_bytes,
            });
        }
        found
    }

    /// Takes note of what a holder was seen to have; returns the most it ever was.
    pub(super) fn raise_peaks(&self, id: usize, (views, bytes): (u64, u64)) -> [u64; 2] {
        let [most_views, most_bytes] = &self.peaks[id];
        [(most_views, views), (most_bytes, bytes)].map(|(most, now)| {
            // Relaxed: reporting only; written only when there is a new peak.
            let before = most.load(Ordering::Relaxed);
            if now > before {
                most.fetch_max(now, Ordering::Relaxed);
            }
            before.max(now)
        })
    }

    /// Begins the peaks of a new holder.
    pub(super) fn forget_peaks(&self, id: usize) {
        for most in &self.peaks[id] {
            // Relaxed: reporting only.
            most.store(0, Ordering::Relaxed);
        }
    }

    /// A pool uses these accounts from now on.
    pub(crate) fn join(&self) {
        // Relaxed: reporting only.
        self.pools.fetch_add(1, Ordering::Relaxed);
    }

    /// A pool is gone that used them.
    pub(crate) fn leave(&self) {
        // Relaxed: reporting only.
        self.pools.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether they serve more than one pool, or brought memory too.
    pub(crate) fn is_shared(&self) -> bool {
        #[cfg(not(loom))]
        if std::ptr::eq(self, std::sync::Arc::as_ptr(Self::global())) {
            return true;
        }
        // Relaxed: reporting only.
        self.pools.load(Ordering::Relaxed) > 1
    }
}
