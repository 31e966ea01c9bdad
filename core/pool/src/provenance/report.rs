//! What was held for longer than a limit, by where it was allocated.

use super::record::Seen;
use super::site::Site;
use super::table::{duration, epoch};
use super::{Provenance, TransitionKind};
use crate::account::{HolderId, HolderKind};
use crate::pool::Pool;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Recorded buffers that are out for longer than a limit, by site and holder, first what stands
/// for most buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakReport {
    /// The pool's name.
    pub pool: String,
    /// Which allocations are recorded now.
    pub provenance: Provenance,
    /// The limit.
    pub held_longer_than: Duration,
    /// Buffers of the pool that are out, recorded or not.
    pub in_flight: u32,
    /// Where they come from.
    pub sites: Vec<LeakSite>,
}

/// Buffers of one site with one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakSite {
    /// Where they were allocated.
    pub site: Site,
    /// Who was handed views of them last; if nobody was, for whom they were allocated.
    pub holder: Option<HolderName>,
    /// Buffers that were recorded.
    pub count: u64,
    /// Buffers that these stand for: each for as many allocations as one was recorded of.
    pub estimate: u64,
    /// Bytes of the buffers that were recorded.
    pub bytes: u64,
    /// Time since the oldest was allocated; a multiple of 1.05 ms, modulo 52 days.
    pub oldest: Duration,
    /// Some of them, the oldest first.
    pub examples: Vec<LeakExample>,
}

/// Who a holder is, or was: it may be gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HolderName {
    /// The name it registered under.
    pub name: String,
    /// What it is.
    pub kind: HolderKind,
}

/// One buffer that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakExample {
    /// Its index.
    pub index: u32,
    /// Its generation.
    pub generation: u32,
    /// Time since it was allocated.
    pub age: Duration,
    /// Views it was armed for last, by this owner or an earlier one; 0: never.
    pub armed: u32,
    /// References to it now; 0 in quarantine, where nobody knows.
    pub references: u32,
    /// The last transitions, the oldest first.
    pub transitions: Vec<Transition>,
    /// Transitions before those.
    pub forgotten: u32,
}

/// What became of views of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What happened.
    pub kind: TransitionKind,
    /// Time since the allocation; at most 4.9 hours.
    pub after: Duration,
    /// Views; 63 are 63 or more.
    pub views: u32,
    /// Who got them, made them or gave them back, if somebody answers for them.
    pub holder: Option<HolderName>,
}

impl Pool {
    /// Recorded buffers that are out for at least `held_longer_than`, by site and holder, with up to
    /// `examples` of each.
    ///
    /// Runs while everything else runs, visits every header and record once (about 10 ns a buffer) and
    /// reports no buffer that came home before the call. One that comes home during it may be reported.
    pub fn leak_report(&self, held_longer_than: Duration, examples: usize) -> LeakReport {
        let log = self.log();
        let now = epoch();
        let mut groups = BTreeMap::new();
        for (at, header) in self.headers().iter().enumerate() {
            let Some(seen) = log.read(at) else { continue };
            // Whoever knows of a homecoming sees the header's generation move past the record's. One that
            // seems to be behind was read before the buffer was allocated.
            let generations = header.generation().wrapping_sub(seen.generation) as i32;
            if generations > 0 {
                log.forget(at, &seen);
            }
            let references = header.references();
            if generations != 0 || references == 0 {
                continue;
            }
            // What was allocated after the clock was read, at most a minute ago, has no age.
            let ahead = seen.epoch.wrapping_sub(now);
            let epochs = if ahead < 1 << 16 { 0 } else { now.wrapping_sub(seen.epoch) };
            if duration(epochs) < held_longer_than {
                continue;
            }
            let delivered = seen.trail.iter().rev().find(|note| {
                note.kind == TransitionKind::Delivered && note.holder != HolderId::NONE
            });
            let (holder, after) =
                delivered.map_or((seen.origin.holder, 0), |note| (note.holder, note.after));
            let since = epochs.saturating_sub(after);
            let references = if header.is_quarantined() { 0 } else { references };
            let held =
                Held { index: at as u32, epochs, since, armed: header.armed(), references, seen };
            let key = (held.seen.origin.site, holder.raw());
            groups.entry(key).or_insert_with(Vec::new).push(held);
        }
        let sites = log.sites();
        let names = Names { pool: self };
        let mut by_site: BTreeMap<(Site, Option<HolderName>), Vec<Held>> = BTreeMap::new();
        for ((site, holder), mut group) in groups {
            // A site may have several numbers, and a holder's name several holders.
            let Some(site) = sites.get(&site) else { continue };
            let longest = group.iter().map(|held| held.since).max().unwrap_or(0);
            let key = (site.clone(), names.of(HolderId::from_raw(holder), longest));
            by_site.entry(key).or_default().append(&mut group);
        }
        let each = u64::from(self.buffer_bytes());
        let mut sites: Vec<LeakSite> = by_site
            .into_iter()
            .map(|((site, holder), mut group)| {
                group.sort_by_key(|held| std::cmp::Reverse(held.epochs));
                LeakSite {
                    site,
                    holder,
                    count: group.len() as u64,
                    estimate: group.iter().map(|held| 1 << held.seen.origin.rate).sum(),
                    bytes: group.len() as u64 * each,
                    oldest: group.first().map_or(Duration::ZERO, |held| duration(held.epochs)),
                    examples: group.iter().take(examples).map(|held| held.tell(&names)).collect(),
                }
            })
            .collect();
        sites.sort_by_key(|site| std::cmp::Reverse((site.estimate, site.count)));
        LeakReport {
            pool: self.name().to_owned(),
            provenance: self.provenance(),
            held_longer_than,
            in_flight: self.stats().in_flight,
            sites,
        }
    }
}

/// A buffer that is out, and its record.
struct Held {
    index: u32,
    /// Since it was allocated.
    epochs: u32,
    /// Since it was its holder's.
    since: u32,
    armed: u32,
    references: u32,
    seen: Seen,
}

impl Held {
    fn tell(&self, names: &Names<'_>) -> LeakExample {
        let transitions = self.seen.trail.iter().map(|note| Transition {
            kind: note.kind,
            after: duration(note.after),
            views: note.views,
            holder: names.of(note.holder, self.epochs.saturating_sub(note.after)),
        });
        LeakExample {
            index: self.index,
            generation: self.seen.generation,
            age: duration(self.epochs),
            armed: self.armed,
            references: self.references,
            transitions: transitions.collect(),
            forgotten: self.seen.forgotten,
        }
    }
}

/// The names of holders.
struct Names<'a> {
    pool: &'a Pool,
}

impl Names<'_> {
    /// The name that `holder` had `epochs` ago; a number may be another's by now. One whose number was
    /// given on in the epoch before that is told by its new name.
    fn of(&self, holder: HolderId, epochs: u32) -> Option<HolderName> {
        if holder == HolderId::NONE {
            return None;
        }
        // So many epochs are a difference of times that were rounded down: it may be nearly one less.
        let at_least = duration(epochs.saturating_sub(1));
        let mut found = None;
        self.pool
            .accounts()
            .count_for(holder, |accounts| found = accounts.name_of(holder, at_least));
        let (name, kind) = found.unwrap_or(("(gone)".to_owned(), HolderKind::Process));
        Some(HolderName { name, kind })
    }
}

impl fmt::Display for HolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// A holder for people.
fn who(holder: Option<&HolderName>) -> String {
    holder.map_or_else(|| "nobody named".to_owned(), HolderName::to_string)
}

impl fmt::Display for LeakReport {
    /// A table: a line for each site and holder, with its examples below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.held_longer_than;
        let mode = match self.provenance {
            Provenance::Off => "off".to_owned(),
            Provenance::Full => "full".to_owned(),
            Provenance::Sampled { every } => format!("one in {every}"),
        };
        writeln!(f, "pool {}: held for {limit:.1?} or longer (provenance: {mode})", self.pool)?;
        if self.sites.is_empty() {
            writeln!(f, "  nothing that was recorded")?;
            return match self.in_flight {
                0 => Ok(()),
                out => {
                    writeln!(f, "  {out} buffers are out: see who holds them with `outstanding`")
                }
            };
        }
        writeln!(
            f,
            "{:>9} {:>9} {:>12} {:>9}  site, holder",
            "recorded", "about", "bytes", "oldest"
        )?;
        for site in &self.sites {
            let oldest = format!("{:.1?}", site.oldest);
            let (count, estimate, bytes) = (site.count, site.estimate, site.bytes);
            write!(f, "{count:>9} {estimate:>9} {bytes:>12} {oldest:>9}  ")?;
            writeln!(f, "{}, {}", site.site, who(site.holder.as_ref()))?;
            for example in &site.examples {
                writeln!(f, "{:>14}{example}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for LeakExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, generation) = (self.index, self.generation);
        write!(f, "buffer {index} generation {generation}, {:.1?}", self.age)?;
        write!(f, ", armed for {}", self.armed)?;
        match self.references {
            0 => write!(f, ", in quarantine")?,
            references => write!(f, ", references {references}")?,
        }
        if self.forgotten != 0 {
            write!(f, "; {} earlier", self.forgotten)?;
        }
        for transition in &self.transitions {
            let Transition { kind, after, views, holder } = transition;
            let who = who(holder.as_ref());
            write!(f, "; {} {views} after {after:.1?}: {who}", kind.name())?;
        }
        Ok(())
    }
}
