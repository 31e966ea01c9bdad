//! Many skbs handled as one thing.

use super::settle::{Settlement, settle_run_shared};
use super::{Skb, SkbError};
use crate::home::put_references;
use crate::pool::LocalCache;
use crate::provenance::note_released_run;
use std::mem::ManuallyDrop;

/// Skbs in order: the unit of every hot path.
///
/// Keeps its memory when emptied, so a loop that reuses a batch does not allocate. Dropping it
/// releases what is in it, by [`SkbBatch::release_uncached`].
#[derive(Debug, Default)]
pub struct SkbBatch {
    pub(super) skbs: Vec<Skb>,
}

impl SkbBatch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self { skbs: Vec::new() }
    }

    /// An empty batch with room for `skbs`.
    pub fn with_capacity(skbs: usize) -> Self {
        Self { skbs: Vec::with_capacity(skbs) }
    }

    /// Skbs in it; a chain counts as one.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.skbs.len()
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.skbs.is_empty()
    }

    /// Bytes of data of all of them.
    pub fn bytes(&self) -> u64 {
        self.skbs.iter().map(|skb| u64::from(skb.len())).sum()
    }

    /// Bytes of data of all of them, and whether there are chains among them: one pass.
    #[inline]
    pub fn measure(&self) -> (u64, bool) {
        let (mut bytes, mut chained) = (0, false);
        for skb in &self.skbs {
            bytes += u64::from(skb.len);
            chained |= skb.fragments.is_some();
        }
        if chained { (self.bytes(), true) } else { (bytes, false) }
    }

    /// Appends an skb.
    #[inline(always)]
    pub fn push(&mut self, skb: Skb) {
        // Nothing to drop if growing unwinds: then the compiler builds the skb where it will lie,
        // instead of on the stack and copied from there before its stores have settled.
        let skb = ManuallyDrop::new(skb);
        let len = self.skbs.len();
        if len == self.skbs.capacity() {
            self.grow();
        }
        // SAFETY: `len` is below the capacity, and the skb is moved there.
        unsafe {
            self.skbs.as_mut_ptr().add(len).write(ManuallyDrop::into_inner(skb));
            self.skbs.set_len(len + 1);
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.skbs.reserve(1);
    }

    /// Takes the last skb.
    pub fn pop(&mut self) -> Option<Skb> {
        self.skbs.pop()
    }

    /// Moves all of `other` to the end.
    pub fn append(&mut self, other: &mut SkbBatch) {
        self.skbs.append(&mut other.skbs);
    }

    /// Moves the skbs from `at` on into a batch of their own; `at` is clamped to the length.
    pub fn split_off(&mut self, at: usize) -> SkbBatch {
        SkbBatch { skbs: self.skbs.split_off(at.min(self.skbs.len())) }
    }

    /// Takes all skbs out in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Skb> {
        self.skbs.drain(..)
    }

    /// The skbs in order.
    #[inline(always)]
    pub fn as_slice(&self) -> &[Skb] {
        &self.skbs
    }

    /// The skbs in order, to be changed.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [Skb] {
        &mut self.skbs
    }

    /// The vector underneath, for code that moves skbs in bulk.
    #[inline(always)]
    pub fn as_mut_vec(&mut self) -> &mut Vec<Skb> {
        &mut self.skbs
    }

    /// Appends to `into` a view of each of the first `count` skbs, with one atomic addition for each run
    /// of views of one buffer.
    ///
    /// # Errors
    /// [`SkbError::TooManyReferences`] with the number of skbs that were cloned; those behind are not.
    pub fn clone_front_into(
        &self,
        count: usize,
        into: &mut SkbBatch,
    ) -> Result<(), (SkbError, usize)> {
        let skbs = &self.skbs[..count.min(self.skbs.len())];
        into.skbs.reserve(skbs.len());
        let mut done = 0;
        while done < skbs.len() {
            let first = &skbs[done];
            let run = run_length(&skbs[done..]);
            if !first.header().get(run as u32) {
                return Err((SkbError::TooManyReferences, done));
            }
            for (position, skb) in skbs[done..done + run].iter().enumerate() {
                // SAFETY: one of the references just taken becomes the clone's.
                match unsafe { skb.clone_onto_reference() } {
                    Ok(clone) => into.push(clone),
                    Err(error) => {
                        let unused = (run - position) as u32;
                        // SAFETY: these references were taken above and became nobody's.
                        unsafe { put_references(skb.header, unused) };
                        return Err((error, done + position));
                    }
                }
            }
            first.note_cloned(run as u32);
            done += run;
        }
        Ok(())
    }

    /// Appends an skb for each of `things`, of which there are at most `most`, as `write` writes it.
    ///
    /// # Safety
    /// - `write` writes an skb.
    #[inline(always)]
    pub(crate) unsafe fn extend_by<T>(
        &mut self,
        most: usize,
        things: impl ExactSizeIterator<Item = T>,
        write: impl Fn(*mut Skb, T),
    ) {
        assert!(things.len() <= most);
        self.skbs.reserve(most);
        let mut len = self.skbs.len();
        for thing in things {
            // SAFETY: room for them was reserved.
            write(unsafe { self.skbs.as_mut_ptr().add(len) }, thing);
            len += 1;
        }
        // SAFETY: everything before was written.
        unsafe { self.skbs.set_len(len) };
    }

    /// Appends an skb for each of `things` as `write` writes it, up to the first for which it answers
    /// that it did not; returns how many.
    ///
    /// # Safety
    /// - `write` writes an skb, or answers false.
    #[inline(always)]
    pub(crate) unsafe fn extend_while<T>(
        &mut self,
        things: &[T],
        mut write: impl FnMut(*mut Skb, &T) -> bool,
    ) -> usize {
        self.skbs.reserve(things.len());
        let before = self.skbs.len();
        let mut made = 0;
        for thing in things {
            // SAFETY: room for as many as there are things was reserved.
            if !write(unsafe { self.skbs.as_mut_ptr().add(before + made) }, thing) {
                break;
            }
            made += 1;
        }
        // SAFETY: everything before was written.
        unsafe { self.skbs.set_len(before + made) };
        made
    }

    /// Releases everything, to `cache` where it is of the buffers' pool.
    ///
    /// One atomic operation for each run of views of one buffer, none if the run holds all its
    /// references; one count for each run of one holder; the clock is read once if any
    /// arrival was measured.
    pub fn release(&mut self, cache: &mut LocalCache) {
        cache.note_released(&self.skbs);
        let count = self.skbs.len();
        let skbs = self.skbs.as_mut_ptr();
        // SAFETY: 0 is within capacity. From here on this function owns the skbs, one by one; if
        // something unwinds, what is left leaks instead of being released twice.
        unsafe { self.skbs.set_len(0) };
        let mut settlement = Settlement::default();
        let mut done = 0;
        while done < count {
            // SAFETY: `done..count` are skbs that were in the vector, initialised and not yet
            // released, in memory that the vector still has.
            let rest = unsafe { std::slice::from_raw_parts_mut(skbs.add(done), count - done) };
            // SAFETY: those that are taken are not touched again.
            let taken = unsafe { cache.put_plain(rest) };
            done += taken;
            let Some(first) = rest.get(taken) else { break };
            let (header, rest) = (first.header, &mut rest[taken..]);
            let mut run = 0;
            while rest.get(run).is_some_and(|skb| skb.header == header) {
                let alike = settlement.add_alike(&rest[run..], cache.shard());
                if let Some(mut fragments) = rest[run].fragments.take() {
                    // As below: they may be the last views of another pool.
                    settlement.close(cache.shard());
                    fragments.release(cache);
                }
                run += alike;
            }
            if !cache.is_own(header) {
                // The last view of another pool, or of brought memory, may take the accounts along that
                // it is charged to.
                settlement.close(cache.shard());
            }
            // SAFETY: each of these skbs owned one reference; they are not touched again.
            unsafe { cache.put(header, run as u32) };
            done += run;
        }
        settlement.close(cache.shard());
        cache.after_release();
    }

    /// Releases everything without a cache: pool buffers go straight to the depot, and holders are
    /// settled through the shared shard.
    ///
    /// One atomic operation for each run of views of one buffer, none if the run holds all its
    /// references; one count for each run of one holder within it.
    pub fn release_uncached(&mut self) {
        let count = self.skbs.len();
        let skbs = self.skbs.as_mut_ptr();
        // SAFETY: as in `release`.
        unsafe { self.skbs.set_len(0) };
        let mut done = 0;
        while done < count {
            // SAFETY: as in `release`.
            let rest = unsafe { std::slice::from_raw_parts_mut(skbs.add(done), count - done) };
            let header = rest[0].header;
            let run = run_length(rest);
            note_released_run(&rest[..run]);
            settle_run_shared(&rest[..run]);
            for skb in &mut rest[..run] {
                drop(skb.fragments.take());
            }
            // SAFETY: each of these skbs owned one reference; they are not touched again.
            unsafe { put_references(header, run as u32) };
            done += run;
        }
    }
}

impl Drop for SkbBatch {
    fn drop(&mut self) {
        self.release_uncached();
    }
}

/// How many skbs at the front of `skbs`, which is not empty, are views of the same buffer.
#[inline(always)]
pub(super) fn run_length(skbs: &[Skb]) -> usize {
    let header = skbs[0].header;
    1 + skbs[1..].iter().take_while(|skb| skb.header == header).count()
}

impl Extend<Skb> for SkbBatch {
    fn extend<I: IntoIterator<Item = Skb>>(&mut self, skbs: I) {
        self.skbs.extend(skbs);
    }
}

impl FromIterator<Skb> for SkbBatch {
    fn from_iter<I: IntoIterator<Item = Skb>>(skbs: I) -> Self {
        Self { skbs: skbs.into_iter().collect() }
    }
}

impl IntoIterator for SkbBatch {
    type Item = Skb;
    type IntoIter = std::vec::IntoIter<Skb>;

    fn into_iter(mut self) -> Self::IntoIter {
        std::mem::take(&mut self.skbs).into_iter()
    }
}

impl<'a> IntoIterator for &'a SkbBatch {
    type Item = &'a Skb;
    type IntoIter = std::slice::Iter<'a, Skb>;

    fn into_iter(self) -> Self::IntoIter {
        self.skbs.iter()
    }
}
