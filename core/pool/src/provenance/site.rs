//! Where in a program buffers are allocated.

use crate::sync::{AtomicPtr, Ordering};
use std::collections::HashMap;
use std::panic::Location;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rust call sites that a pool tells apart.
const LOCATIONS: usize = if cfg!(loom) { 2 } else { 1024 };

/// Named sites that a pool tells apart.
const NAMED: usize = if cfg!(loom) { 2 } else { 1000 };

/// A site's number; 0 is none, so that an empty word stands for no record.
pub(crate) type SiteId = u16;

/// Numbers have this many bits.
pub(super) const SITE_BITS: u32 = 11;

/// Every site for which there was no number left.
const OTHERS: SiteId = 1;
const FIRST_LOCATION: SiteId = 2;
const FIRST_NAMED: SiteId = FIRST_LOCATION + LOCATIONS as SiteId;
const _: () = assert!(FIRST_NAMED as usize + NAMED <= 1 << SITE_BITS);

/// Where in a program something was allocated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// The file; empty for sites that did not fit the table.
    pub file: String,
    /// The line, from 1 on.
    pub line: u32,
    /// The function, where it is known; Rust does not tell.
    pub function: String,
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.file.is_empty() {
            return f.write_str("(other sites)");
        }
        write!(f, "{}:{}", self.file, self.line)?;
        if self.function.is_empty() { Ok(()) } else { write!(f, " {}", self.function) }
    }
}

/// Sites that somebody named.
pub(crate) type Names = HashMap<Site, SiteId>;

/// The sites of one pool. Bounded: those that come too late count as one.
pub(crate) struct Sites {
    /// Open addressing; an entry is written once.
    locations: Box<[AtomicPtr<Location<'static>>]>,
    named: Mutex<Names>,
}

impl Sites {
    pub(crate) fn new() -> Self {
        Self {
            locations: (0..LOCATIONS).map(|_| AtomicPtr::new(ptr::null_mut())).collect(),
            named: Mutex::default(),
        }
    }

    /// The number of a Rust call site. Never blocks; about ten nanoseconds.
    pub(crate) fn of_location(&self, location: &'static Location<'static>) -> SiteId {
        let hash = location.line().wrapping_mul(31).wrapping_add(location.column());
        let first = hash as usize % LOCATIONS;
        for step in 0..LOCATIONS.min(32) {
            let at = (first + step) % LOCATIONS;
            let mut there = self.read(at);
            if there.is_none() {
                let new = ptr::from_ref(location).cast_mut();
                // Relaxed: what it points to is part of the program.
                let swapped = self.locations[at].compare_exchange(
                    ptr::null_mut(),
                    new,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                there = if swapped.is_ok() { Some(location) } else { self.read(at) };
            }
            // By value: a site may lie in the program more than once.
            if there == Some(location) {
                return FIRST_LOCATION + at as SiteId;
            }
        }
        OTHERS
    }

    fn read(&self, at: usize) -> Option<&'static Location<'static>> {
        // Relaxed: what it points to is part of the program.
        let location = self.locations[at].load(Ordering::Relaxed);
        // SAFETY: null, or a `&'static Location` that `of_location` put there.
        unsafe { location.as_ref() }
    }

    /// The number of a site that somebody names. Takes a lock.
    pub(super) fn of_named(&self, site: Site) -> SiteId {
        let mut named = self.named();
        let next = named.len();
        match named.get(&site) {
            Some(&id) => id,
            None if next == NAMED => OTHERS,
            None => {
                let id = FIRST_NAMED + next as SiteId;
                named.insert(site, id);
                id
            }
        }
    }

    /// The sites by their numbers.
    pub(super) fn all(&self) -> HashMap<SiteId, Site> {
        let location = |at| {
            let location = self.read(at)?;
            let (file, line) = (location.file().to_owned(), location.line());
            Some((FIRST_LOCATION + at as SiteId, Site { file, line, function: String::new() }))
        };
        let mut all: HashMap<_, _> = (0..LOCATIONS).filter_map(location).collect();
        all.extend(self.named().iter().map(|(site, &id)| (id, site.clone())));
        all.insert(OTHERS, Site { file: String::new(), line: 0, function: String::new() });
        all
    }

    pub(super) fn named(&self) -> MutexGuard<'_, Names> {
        // Every change is one insertion.
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn named(line: u32) -> Site {
        Site { file: "app.py".to_owned(), line, function: "run".to_owned() }
    }

    #[test]
    fn a_site_keeps_its_number_and_the_table_its_bound() {
        let sites = Sites::new();
        let ids: Vec<SiteId> = (0..NAMED as u32).map(|line| sites.of_named(named(line))).collect();
        assert_eq!(sites.of_named(named(3)), ids[3]);
        assert_eq!(sites.of_named(named(1_000_000)), OTHERS);
        let all = sites.all();
        assert_eq!(all[&ids[7]], named(7));
        assert_eq!(all[&OTHERS].to_string(), "(other sites)");
        assert_eq!(all[&ids[7]].to_string(), "app.py:7 run");
    }

    #[test]
    fn locations_are_told_apart_by_line_and_column() {
        let sites = Sites::new();
        let (one, two) = (Location::caller(), Location::caller());
        assert_ne!(sites.of_location(one), sites.of_location(two));
        assert_eq!(sites.of_location(one), sites.of_location(one));
        assert_eq!(sites.all()[&sites.of_location(two)].line, two.line());
    }
}
