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
            let sum = self.sum(id);
            let [acquired, acquired_bytes, released, released_bytes] = sum;
            let oldest = entry.watch.look(acquired, released, before_ns, now_ns());
            if entry.retired && acquired == released {
                continue;
            }
            let views = acquired.saturating_sub(released);
            let bytes = acquired_bytes.saturating_sub(released_bytes);
            let [peak_views, peak_bytes] = self.raise_peaks(id, sum);
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

    /// Takes note of a sum over a holder's counters; returns the most it was ever seen to have.
    ///
    /// What was released between the readings of a sum counts as held in it. So where it would be a new
    /// peak, what was released by now is taken off: that much the holder had when the acquisitions were
    /// read.
    pub(crate) fn raise_peaks(&self, id: usize, sum: [u64; 4]) -> [u64; 2] {
        let peaks = &self.peaks[id];
        // Relaxed: reporting only, as below.
        let [views, bytes] = peaks.each_ref().map(|most| most.load(Ordering::Relaxed));
        let [acquired, acquired_bytes, released, released_bytes] = sum;
        let is_new = acquired.saturating_sub(released) > views
            || acquired_bytes.saturating_sub(released_bytes) > bytes;
        if !is_new {
            return [views, bytes];
        }
        let [.., released, released_bytes] = self.sum(id);
        let had =
            [acquired.saturating_sub(released), acquired_bytes.saturating_sub(released_bytes)];
        [0, 1].map(|which| peaks[which].fetch_max(had[which], Ordering::Relaxed).max(had[which]))
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
