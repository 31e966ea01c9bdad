//! Sparse buffers: large memory that few views still pin.

use super::handle::Pool;
use crate::header::BufferHeader;

/// What counts as sparse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseLimits {
    /// Of the views that a buffer was armed for, at most one in so many is left; at least 2.
    pub one_in: u32,
    /// Ticks ([`crate::clock::TICK_NS`]) that it has been out at least, as far as scans saw.
    pub older_than: u32,
    /// Most buffers that a scan lists; those beyond are counted.
    pub listed: usize,
}

/// One quarter of the views or fewer are left after a second; the 16 oldest are listed.
impl Default for SparseLimits {
    fn default() -> Self {
        Self { one_in: 4, older_than: 250_000, listed: 16 }
    }
}

/// A buffer of which little is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseBuffer {
    /// Its index in the pool.
    pub index: u32,
    /// References that are left.
    pub references: u32,
    /// Views it was armed for.
    pub armed: u32,
    /// Bytes of the buffer, none of which can be used again before the last view goes.
    pub pinned: u32,
    /// Ticks since the first scan that found it out in this use: its age is that much at least. At most
    /// 2^32 - 2, 4.9 hours.
    pub age: u32,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseReport {
    /// The oldest sparse buffers, the oldest first.
    pub listed: Vec<SparseBuffer>,
    /// How many there are, listed or not.
    pub buffers: u32,
    /// Bytes that they pin.
    pub pinned: u64,
    /// Buffers that were armed and are out, sparse ones included.
    pub armed: u32,
}

/// Finds sparse buffers of one pool, scan by scan: to be called when figures are scraped, or after
/// [`crate::PoolEvent::LowWatermark`].
///
/// Headers tell how many references are left, how many views a buffer was armed for and how often it came
/// home, and no time; so a scan remembers since when it has seen each buffer out. It takes 8 bytes a
/// buffer and a look at each header, and disturbs nobody: it only reads. Under load it may list a buffer
/// that has just gone home. What it cannot see: a small slice of the only view of a buffer, which is
/// charged to its holder in full, and memory that callers brought.
///
/// ```
/// use skbpool_pool::{Pool, SparseLimits, SparseScan};
/// let pool = Pool::builder(4).order(9).build()?; // 2 MiB each
/// let mut scan = SparseScan::new(&pool);
/// let mut armed = pool.alloc()?.arm(64).map_err(|(error, _)| error)?;
/// let view = armed.skb(0, 32)?;
/// drop(armed); // of 64 references one is left
/// let report = scan.scan(1, SparseLimits { older_than: 0, ..SparseLimits::default() });
/// assert_eq!((report.buffers, report.pinned), (1, 2 << 20));
/// # drop(view);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SparseScan {
    pool: Pool,
    /// When the last scan was.
    at: u32,
    /// For each buffer the generation in which it was seen out, and one more than the ticks since that was
    /// first; 0 if it was not. Ticks are added up, since their number wraps.
    seen: Box<[(u32, u32)]>,
}

impl SparseScan {
    /// A scan of `pool`, of which it is a handle. Ages begin with the first call of `scan`.
    pub fn new(pool: &Pool) -> Self {
        let seen = vec![(0, 0); pool.count() as usize].into_boxed_slice();
        Self { pool: pool.clone(), at: 0, seen }
    }

    /// The pool that is scanned.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Looks at every buffer; it is `now` ([`crate::clock::tick`]). Of more than 4.9 hours between two scans
    /// the rest counts.
    pub fn scan(&mut self, now: u32, limits: SparseLimits) -> SparseReport {
        let mut report = SparseReport::default();
        let mut found = Vec::new();
        let elapsed = now.wrapping_sub(std::mem::replace(&mut self.at, now));
        for (seen, header) in self.seen.iter_mut().zip(&self.pool.inner().headers) {
            let Some((references, armed)) = use_of(header) else { continue };
            report.armed += 1;
            // The generation tells this use of the buffer from the last one.
            let generation = header.generation();
            *seen = match *seen {
                (of, age) if age != 0 && of == generation => (of, age.saturating_add(elapsed)),
                _ => (generation, 1),
            };
            let age = seen.1 - 1;
            let few = u64::from(references) * u64::from(limits.one_in.max(2)) <= u64::from(armed);
            if few && age >= limits.older_than {
                report.buffers += 1;
                report.pinned += u64::from(header.size());
                let pinned = header.size();
                found.push(SparseBuffer { index: header.index, references, armed, pinned, age });
            }
        }
        found.sort_by_key(|buffer| std::cmp::Reverse(buffer.age));
        found.truncate(limits.listed);
        report.listed = found;
        report
    }
}

/// References and views of a buffer that was armed in its present use and is out; nothing of one that is
/// free, being filled, in quarantine, or that nobody armed.
fn use_of(header: &BufferHeader) -> Option<(u32, u32)> {
    let (references, armed) = (header.references(), header.armed());
    let is_out = references != 0 && armed != 0 && !header.is_quarantined();
    is_out.then_some((references, armed))
}
