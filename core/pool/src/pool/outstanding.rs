//! Who has what is out of a pool.

use super::handle::Pool;
use crate::account::HolderStats;
use crate::header::BufferHeader;
use std::fmt;

/// What is out of a pool, open or closed, by holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Buffers that are out.
    pub buffers: u32,
    /// Bytes of these buffers.
    pub bytes: u64,
    /// References to them: views, and what drivers hold back. One for each buffer that is being filled,
    /// which a [`crate::Fill`] takes references to in advance, or in quarantine.
    pub references: u64,
    /// Holders in the pool's accounts that have views now.
    pub holders: Vec<HolderStats>,
    /// References that none of these holders answers for.
    pub nobody_named: u64,
    /// The accounts serve other pools or brought memory too, so that holders may have views of those:
    /// then `nobody_named` is the least that it can be.
    pub shared_accounts: bool,
}

/// References to a buffer as far as its count tells them: of one that is being filled or in quarantine it
/// does not.
fn references(header: &BufferHeader) -> u64 {
    match header.references() {
        0 => 0,
        _ if header.is_filling() || header.is_quarantined() => 1,
        references => u64::from(references),
    }
}

impl Pool {
    /// What is out, by holder: why a closed pool still has its memory. Visits every header and takes the
    /// lock of the accounts; exact when quiet.
    pub fn outstanding(&self) -> Outstanding {
        let held = self.headers().iter().map(references).filter(|&references| references != 0);
        let held: Vec<u64> = held.collect();
        let mut holders = self.accounts().snapshot();
        holders.retain(|holder| holder.views != 0);
        let named: u64 = holders.iter().map(|holder| holder.views).sum();
        let references: u64 = held.iter().sum();
        Outstanding {
            buffers: held.len() as u32,
            bytes: held.len() as u64 * u64::from(self.buffer_bytes()),
            references,
            holders,
            nobody_named: references.saturating_sub(named),
            shared_accounts: self.accounts().is_shared(),
        }
    }
}

impl fmt::Display for Outstanding {
    /// A table: a line for each holder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { buffers, bytes, references, nobody_named, shared_accounts, .. } = self;
        writeln!(f, "{buffers} buffers out, {bytes} bytes, {references} references")?;
        writeln!(f, "{:>9} {:>12} {:>9}  holder", "views", "bytes", "oldest")?;
        for holder in &self.holders {
            let HolderStats { name, kind, views, bytes, .. } = holder;
            let oldest = format!("{:.1?}", holder.oldest.at_least);
            let gone = if holder.retired { ", gone" } else { "" };
            writeln!(f, "{views:>9} {bytes:>12} {oldest:>9}  {} {name}{gone}", kind.name())?;
        }
        if *nobody_named != 0 {
            let least = if *shared_accounts { " at least" } else { "" };
            writeln!(f, "{nobody_named:>9} {:>12} {:>9}  nobody named{least}", "", "")?;
        }
        Ok(())
    }
}
