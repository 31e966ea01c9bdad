//! One batch for many: views for all of them cost one change of the count a buffer.

use super::batch::run_length;
use super::{Skb, SkbBatch};
use crate::account::HolderId;
use crate::header::BufferHeader;
use crate::pool::LocalCache;
use crate::provenance::{LOGGED_FULL, NOT_LOGGED, TransitionKind, note};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;

/// What one of many gets of a batch.
#[derive(Debug, Default)]
pub struct Share {
    /// Which skbs of the batch it wants.
    pub wanted: Range<usize>,
    /// Its views of them, appended in order.
    pub views: SkbBatch,
    /// Skbs it wanted and did not get, since their buffer's reference count is at its limit, and their
    /// bytes.
    pub limited: (u64, u64),
}

impl Share {
    /// How many skbs of `span` it wants.
    #[inline(always)]
    fn overlap(&self, span: &Range<usize>) -> Range<usize> {
        self.wanted.start.max(span.start)..self.wanted.end.min(span.end)
    }

    #[cold]
    fn limit(&mut self, skbs: &[ManuallyDrop<Skb>]) {
        self.limited.0 += skbs.len() as u64;
        self.limited.1 += skbs.iter().map(|skb| u64::from(skb.len())).sum::<u64>();
    }
}

impl SkbBatch {
    /// Gives each of `shares` views of the skbs it wants, and releases those that nobody wants; the
    /// batch is empty afterwards. Views are nobody's, but for those of one share that wants everything:
    /// it gets the skbs themselves.
    ///
    /// For each run of views of one buffer, the references of all views of all shares are taken, or
    /// those of the views that nobody wants given back, by one atomic operation; by a plain store if
    /// the run holds all there are; by nothing if there are as many as before. Then 64 bytes a view are
    /// copied. Fragments of chains cost one operation each for each share.
    ///
    /// Where a count is at its limit, one share gets its views and the others are told how many they
    /// did not get (I3).
    pub fn fan_out(&mut self, shares: &mut [Share], cache: &mut LocalCache) {
        let count = self.skbs.len();
        for share in shares.iter_mut() {
            share.wanted.end = share.wanted.end.min(count);
            share.limited = (0, 0);
        }
        let whole = shares.iter().rposition(|share| share.wanted == (0..count));
        if shares.len() > 1 || whole.is_none() {
            let skbs = self.skbs.as_mut_ptr().cast::<ManuallyDrop<Skb>>();
            // SAFETY: 0 is within capacity. From here on this function owns the skbs, which lie in memory
            // that the vector still has; if something unwinds, what is left leaks.
            let skbs = unsafe {
                self.skbs.set_len(0);
                std::slice::from_raw_parts_mut(skbs, count)
            };
            let kept = deal(skbs, shares, whole, cache);
            // SAFETY: the first `kept` are skbs that own their references.
            unsafe { self.skbs.set_len(kept) };
        }
        match whole {
            Some(whole) if shares[whole].views.is_empty() => {
                std::mem::swap(self, &mut shares[whole].views);
            }
            Some(whole) => shares[whole].views.append(self),
            None => self.release(cache),
        }
    }
}

/// Cuts the views of all `shares` but `whole`, and moves what is to be kept, for `whole` or since nobody
/// wants it, to the front of `skbs`; returns how many.
fn deal(
    skbs: &mut [ManuallyDrop<Skb>],
    shares: &mut [Share],
    whole: Option<usize>,
    cache: &mut LocalCache,
) -> usize {
    for share in shares.iter_mut() {
        share.views.skbs.reserve(share.wanted.len());
    }
    let may_be_recorded = cache.may_be_recorded();
    let (mut done, mut kept) = (0, 0);
    while done < skbs.len() {
        // SAFETY: `ManuallyDrop` has the layout of what is in it.
        let rest = unsafe { &*(std::ptr::from_ref(&skbs[done..]) as *const [Skb]) };
        let span = done..done + run_length(rest);
        done = span.end;
        let wanted: usize = shares.iter().map(|share| share.overlap(&span).len()).sum();
        if wanted == 0 {
            // Released by the caller, with others that nobody wants.
            skbs.copy_within_moved(&span, kept);
            kept += span.len();
            continue;
        }
        let run = &mut skbs[span.clone()];
        let header = run[0].header;
        let owned = run.len();
        let mut only = None;
        if wanted > owned {
            let within = u32::try_from(wanted).unwrap_or(u32::MAX);
            if !run[0].header().grow(owned as u32, within) {
                only = whole.or_else(|| shares.iter().rposition(|s| !s.overlap(&span).is_empty()));
            }
        }
        let mut cut = 0;
        for (at, share) in shares.iter_mut().enumerate() {
            let part = share.overlap(&span);
            if part.is_empty() {
                continue;
            }
            let part = part.start - span.start..part.end - span.start;
            if only.is_some_and(|only| only != at) {
                share.limit(&run[part]);
                continue;
            }
            cut += part.len();
            if Some(at) == whole {
                continue;
            }
            for skb in &run[part] {
                // SAFETY: a reference for it is among those of the run.
                match unsafe { skb.clone_onto_reference() } {
                    Ok(view) => share.views.push(view),
                    Err(_) => {
                        share.limit(std::slice::from_ref(skb));
                        cut -= 1;
                    }
                }
            }
        }
        // SAFETY: the run's references keep the header valid.
        if may_be_recorded && unsafe { header.as_ref() }.logged() != NOT_LOGGED {
            let got = |(at, share): (usize, &Share)| {
                if only.is_none_or(|only| only == at) { share.overlap(&span) } else { 0..0 }
            };
            let goes_on = |at: &usize| shares.iter().enumerate().any(|it| got(it).contains(at));
            let going_on = span.clone().filter(goes_on).count();
            // SAFETY: as above.
            unsafe { note_dealt(header, owned, going_on, cut) };
        }
        // What the run owns now, and what of that became a view's.
        let owned = if only.is_none() { owned.max(wanted) } else { owned };
        if whole.is_some() {
            skbs.copy_within_moved(&span, kept);
            kept += span.len();
        } else {
            settle_originals(run, &span, shares, cache);
        }
        if cut < owned {
            // SAFETY: these references are the run's, and nobody's view.
            unsafe { cache.put(header, (owned - cut) as u32) };
        }
    }
    kept
}

/// Notes what became of a run of `owned` views of a recorded buffer, of which `going_on` go on as `cut`
/// views.
///
/// # Safety
/// - `header` is valid, and the caller owns a reference to it.
#[cold]
unsafe fn note_dealt(header: NonNull<BufferHeader>, owned: usize, going_on: usize, cut: usize) {
    let note = |kind, views: usize| {
        if views != 0 {
            // SAFETY: as the caller promises.
            unsafe { note(header, kind, HolderId::NONE, views as u32) };
        }
    };
    note(TransitionKind::Cloned, cut.saturating_sub(going_on));
    // SAFETY: as the caller promises.
    if unsafe { header.as_ref() }.logged() == LOGGED_FULL {
        note(TransitionKind::Released, owned - going_on);
    }
}

/// Settles what skbs carry beside their reference, which their views go on with: who answered for them,
/// and for those that nobody wants, the time since they arrived.
fn settle_originals(
    run: &mut [ManuallyDrop<Skb>],
    span: &Range<usize>,
    shares: &[Share],
    cache: &mut LocalCache,
) {
    for (position, skb) in run.iter_mut().enumerate() {
        if skb.is_plain_at_rest() {
            continue;
        }
        let at = span.start + position;
        if shares.iter().any(|share| share.wanted.contains(&at)) {
            skb.birth = 0;
        }
        skb.settle_into(cache);
    }
}

/// Moving skbs inside a slice of them.
trait MoveWithin {
    fn copy_within_moved(&mut self, from: &Range<usize>, to: usize);
}

impl MoveWithin for [ManuallyDrop<Skb>] {
    /// Moves those at `from` to `to` and behind, which is not after `from`.
    fn copy_within_moved(&mut self, from: &Range<usize>, to: usize) {
        if from.start != to {
            assert!(to < from.start && from.end <= self.len());
            let all = self.as_mut_ptr();
            // SAFETY: both lie inside the slice; what is moved is not used where it was.
            unsafe { all.add(to).copy_from(all.add(from.start), from.len()) };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::account::{Accounts, HolderKind};
    use crate::header::MAX_REFERENCES;
    use crate::pool::Pool;

    /// Views of buffers, as many of each as `runs` says, eight bytes each, numbered.
    fn batch(cache: &mut LocalCache, runs: &[u32]) -> SkbBatch {
        let mut batch = SkbBatch::new();
        for &views in runs {
            let mut buffer = cache.alloc().unwrap();
            let first = batch.len() as u64;
            for (at, slot) in buffer.as_mut_slice().unwrap().chunks_exact_mut(8).enumerate() {
                slot.copy_from_slice(&(first + at as u64).to_le_bytes());
            }
            let mut armed = buffer.arm(views).unwrap();
            batch.extend((0..views).map(|at| armed.skb(at * 8, 8).unwrap()));
        }
        batch
    }

    fn numbers(batch: &SkbBatch) -> Vec<usize> {
        let number = |skb: &Skb| u64::from_le_bytes(skb.data().try_into().unwrap()) as usize;
        batch.as_slice().iter().map(number).collect()
    }

    fn shares(wanted: &[Range<usize>]) -> Vec<Share> {
        wanted.iter().map(|wanted| Share { wanted: wanted.clone(), ..Share::default() }).collect()
    }

    fn pool() -> Pool {
        Pool::builder(64).accounts(Accounts::new()).build().unwrap()
    }

    /// Fans `runs` out to `wanted`; returns the updates of reference counts that took.
    #[track_caller]
    fn updates(runs: &[u32], wanted: &[Range<usize>], held_elsewhere: bool) -> u64 {
        let pool = pool();
        let mut cache = pool.local_cache();
        let mut batch = batch(&mut cache, runs);
        let others: Vec<Skb> = match held_elsewhere {
            true => batch.as_slice().iter().map(|skb| skb.clone_skb().unwrap()).collect(),
            false => Vec::new(),
        };
        let len = batch.len();
        let mut shares = shares(wanted);
        let counted = || crate::header::updates::of_this_thread().unwrap();
        let before = counted();
        batch.fan_out(&mut shares, &mut cache);
        let updates = counted() - before;
        assert!(batch.is_empty());
        for (share, wanted) in shares.iter().zip(wanted) {
            assert_eq!(numbers(&share.views), (0..len).collect::<Vec<_>>()[wanted.clone()]);
            assert_eq!(share.limited, (0, 0));
        }
        drop(others);
        for mut share in shares {
            share.views.release(&mut cache);
        }
        let audit = pool.audit().unwrap();
        assert_eq!((audit.in_flight, audit.quarantined, pool.stats().violations), (0, 0, 0));
        updates
    }

    /// The promise: one a buffer, whatever there are of frames and of consumers, and whatever part of
    /// it those can take.
    #[test]
    fn one_update_a_buffer() {
        for others in [false, true] {
            let two = [32, 32];
            assert_eq!(updates(&two, &[0..64, 0..64, 0..64, 0..64, 0..64], others), 2);
            assert_eq!(updates(&two, &[0..64, 0..40, 0..0, 3..5], others), 2);
            assert_eq!(updates(&two, &[0..10, 0..40, 30..64], others), 2);
            assert_eq!(updates(&two, &[0..20, 5..20], others), 2, "one changed, one given back");
            assert_eq!(updates(&two, std::slice::from_ref(&(60..64)), others), 2);
            assert_eq!(updates(&two, &[0..0, 0..0], others), 2);
            assert_eq!(updates(&[1, 1, 1, 1], &[0..4, 0..4, 0..4], others), 4);
        }
    }

    #[test]
    fn none_where_there_are_as_many_as_before() {
        for others in [false, true] {
            assert_eq!(updates(&[32], std::slice::from_ref(&(0..32)), others), 0);
            assert_eq!(updates(&[32], &[0..20, 20..32], others), 0);
            assert_eq!(updates(&[32, 4], &[0..16, 0..16, 32..36], others), 0);
        }
    }

    #[test]
    fn views_are_nobodys_and_what_was_held_before_is_settled() {
        let pool = pool();
        let mut cache = pool.local_cache();
        let holder = pool.accounts().holder("session", HolderKind::Session).unwrap();
        for wanted in [[0..8, 0..8], [0..3, 0..5]] {
            let mut batch = batch(&mut cache, &[4, 4]);
            for skb in batch.as_mut_slice() {
                skb.hand_to(holder.id(), cache.shard());
                skb.birth = 1;
            }
            let mut shares = shares(&wanted);
            let seen = pool.accounts().latency().buckets.iter().sum::<u64>();
            batch.fan_out(&mut shares, &mut cache);
            let views = |share: &Share| share.views.as_slice().iter().map(Skb::holder).collect();
            let holders: Vec<Vec<_>> = shares.iter().map(views).collect();
            assert!(holders[0].iter().all(|&holder| holder == crate::HolderId::NONE));
            let taken = if wanted[1].end == 8 { 8 } else { 0 };
            assert_eq!(holder.held().0, taken, "those that were moved are still its");
            let unwanted = pool.accounts().latency().buckets.iter().sum::<u64>() - seen;
            assert_eq!(unwanted, if wanted[1].end == 8 { 0 } else { 3 });
            shares.iter_mut().for_each(|share| share.views.release(&mut cache));
            assert_eq!(holder.held(), (0, 0));
        }
        assert_eq!(pool.audit().unwrap().in_flight, 0);
    }

    #[test]
    fn chains_are_cloned_whole_and_let_go_whole() {
        let pool = pool();
        let mut cache = pool.local_cache();
        for wanted in [[0..3, 0..3], [0..1, 0..2], [0..0, 2..3]] {
            let mut plain = batch(&mut cache, &[1, 2]);
            let mut tail = batch(&mut cache, &[2]);
            plain.as_mut_slice()[1].append_frag(tail.pop().unwrap()).unwrap();
            plain.as_mut_slice()[2].append_frag(tail.pop().unwrap()).unwrap();
            let mut shares = shares(&wanted);
            plain.fan_out(&mut shares, &mut cache);
            for (share, wanted) in shares.iter_mut().zip(wanted) {
                let lengths: Vec<_> = share.views.as_slice().iter().map(Skb::len).collect();
                assert_eq!(lengths, [8, 16, 16][wanted]);
                share.views.release(&mut cache);
            }
            drop(tail);
            assert_eq!(pool.audit().unwrap().in_flight, 0);
        }
    }

    /// With as many references as can be counted, one gets its views and the others are told.
    #[test]
    fn a_buffer_at_its_limit_goes_to_one() {
        for (wanted, got) in
            [([0..3, 0..3], [1, 3]), ([0..3, 0..2], [3, 1]), ([0..2, 1..3], [1, 2])]
        {
            let pool = pool();
            let mut cache = pool.local_cache();
            let mut batch = batch(&mut cache, &[1]);
            let mut armed = cache.alloc().unwrap().arm(MAX_REFERENCES).unwrap();
            batch.extend([armed.skb(0, 8).unwrap(), armed.skb(8, 8).unwrap()]);
            let mut shares = shares(&wanted);
            batch.fan_out(&mut shares, &mut cache);
            let views: Vec<_> = shares.iter().map(|share| share.views.len()).collect();
            let limited: Vec<_> = shares.iter().map(|share| share.limited).collect();
            assert_eq!(views[..], got, "{wanted:?}");
            for at in [0, 1] {
                let missed = (wanted[at].len() - got[at]) as u64;
                assert_eq!(limited[at], (missed, 8 * missed));
            }
            drop((shares, armed));
            assert_eq!(pool.audit().unwrap().in_flight, 0);
        }
    }
}
