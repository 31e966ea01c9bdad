//! What one client's session was lent, and the verbs on it.

use crate::lease_error::LeaseError;
use crate::lease_items::{
    LeaseHolds, LeaseRange, LeaseView, LeaseWrite, Thing, check_description, check_range, cut,
};
use crate::lease_slots::Slots;
use skbpool_pool::{
    Accounts, AccountsError, Buffer, Holder, HolderKind, MAX_REFERENCES, Pool, Reservation, Skb,
    SkbBatch, SkbError,
};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Skbs that left a session. To be delivered before the loans end, so that their buffers are promised
/// to somebody all the time.
#[derive(Debug)]
pub struct LeaseTaken {
    /// The skbs, in the order in which they were named.
    pub skbs: SkbBatch,
    /// Shares of their buffers' loans.
    _loans: Vec<Arc<Reservation>>,
}

#[derive(Debug)]
struct Lent {
    // Goes before the loan, so that its buffer is home when that ends.
    thing: Thing,
    /// The promise of its buffer, which all views of that share.
    loan: Arc<Reservation>,
    since: Instant,
}

/// A session's table. Every verb takes all of its arguments or changes nothing.
///
/// Views that clients were lent are lent alone: no Rust code has them, so the table may take them back.
/// They are charged to the session's holder by the table; the views themselves carry none. Dropping the
/// table brings everything home.
#[derive(Debug)]
pub struct LeaseTable {
    slots: Slots<Lent>,
    limit: u32,
    bytes: u64,
    peaks: (u32, u64),
    /// Handles and bytes by pool, of those it has something of: a few.
    pools: Vec<(Pool, u32, u64)>,
    name: String,
    holder: Holder,
}

impl LeaseTable {
    /// An empty table of the session `name`, a holder in `accounts`, for up to `limit` handles.
    ///
    /// `first_generation`: a random number, so that handles that were made up or are of another session
    /// find nothing. From 2³¹ on slots are retired sooner, and with them the table.
    ///
    /// # Errors
    /// [`AccountsError`]: there are as many holders as can be told apart.
    pub fn open(
        accounts: &Arc<Accounts>,
        name: &str,
        first_generation: u32,
        limit: u32,
    ) -> Result<Self, AccountsError> {
        Ok(Self {
            // As many again for retired ones.
            slots: Slots::new(first_generation, limit.saturating_mul(2)),
            limit,
            bytes: 0,
            peaks: (0, 0),
            pools: Vec::new(),
            name: name.to_owned(),
            holder: accounts.holder(name, HolderKind::Session)?,
        })
    }

    /// Takes `count` buffers out of `pool`; returns their handles. With `zeroed` nothing is left in them
    /// of who had them before. What is promised to others is not lent.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn allocate(
        &mut self,
        pool: &Pool,
        count: u32,
        zeroed: bool,
    ) -> Result<Vec<u64>, LeaseError> {
        self.check_room(u64::from(count), 0)?;
        let what = || format!("the leases of session \"{}\"", self.name);
        let mut promised = pool.reserve(count, &what())?;
        let mut buffers = (0..count).map(|_| pool.alloc()).collect::<Result<Vec<Buffer>, _>>()?;
        if zeroed {
            for buffer in &mut buffers {
                buffer.as_mut_slice().expect("memory of a pool is writable").fill(0);
            }
        }
        let since = Instant::now();
        let loans = std::iter::from_fn(|| promised.split(1).map(Arc::new));
        let lent = buffers.into_iter().zip(loans);
        Ok(self.add(lent.map(|(buffer, loan)| Lent { thing: Thing::Buffer(buffer), loan, since })))
    }

    /// Writes into buffers, in this order.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn write(&mut self, writes: &[LeaseWrite<'_>]) -> Result<(), LeaseError> {
        for write in writes {
            let size = self.buffer(write.buffer)?.len() as u32;
            check_range(write.buffer, write.offset, write.data.len() as u64, size)?;
        }
        for write in writes {
            let Some(Lent { thing: Thing::Buffer(buffer), .. }) = self.slots.get_mut(write.buffer)
            else {
                return Err(LeaseError::Unknown { handle: write.buffer });
            };
            let bytes = buffer
                .as_mut_slice()
                .map_err(|error| LeaseError::Skb { handle: write.buffer, error })?;
            bytes[write.offset as usize..][..write.data.len()].copy_from_slice(write.data);
        }
        Ok(())
    }

    /// How many bytes each of `ranges` has.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn measure(&self, ranges: &[LeaseRange]) -> Result<Vec<u32>, LeaseError> {
        ranges.iter().map(|range| Ok(self.bytes(range)?.len() as u32)).collect()
    }

    /// Copies `ranges` out, each into its part of `into`.
    ///
    /// # Errors
    /// [`LeaseError::OutOfRange`] also if a part has another length than its range has by now.
    pub fn read(
        &self,
        ranges: &[LeaseRange],
        into: &mut [&mut [MaybeUninit<u8>]],
    ) -> Result<(), LeaseError> {
        for (range, part) in ranges.iter().zip(into) {
            let bytes = self.bytes(range)?;
            if bytes.len() != part.len() {
                let (handle, offset) = (range.handle, range.offset);
                let (length, size) = (part.len() as u64, bytes.len() as u32);
                return Err(LeaseError::OutOfRange { handle, offset, length, size });
            }
            for (place, &byte) in part.iter_mut().zip(bytes) {
                place.write(byte);
            }
        }
        Ok(())
    }

    /// Cuts views of buffers, for each buffer all that there are to be, and uses up the buffers'
    /// handles; returns the views' in the order of `views`.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn make_skb(&mut self, views: &[LeaseView]) -> Result<Vec<u64>, LeaseError> {
        for view in views {
            let size = self.buffer(view.buffer)?.len() as u32;
            check_range(view.buffer, view.offset, view.length.into(), size)?;
            check_description(view)?;
        }
        // Views are cut from the front to the back of a buffer.
        let mut order: Vec<usize> = (0..views.len()).collect();
        let place = |&at: &usize| (views[at].buffer, views[at].offset, views[at].length);
        order.sort_by_key(place);
        let runs = || order.chunk_by(|&one, &two| views[one].buffer == views[two].buffer);
        for run in runs() {
            let handle = views[run[0]].buffer;
            if run.len() > MAX_REFERENCES as usize {
                return Err(LeaseError::Skb { handle, error: SkbError::TooManyReferences });
            }
            for pair in run.windows(2) {
                let (one, two) = (&views[pair[0]], &views[pair[1]]);
                // Inside the buffer, so the sum does not wrap.
                if two.offset < one.offset + one.length {
                    return Err(LeaseError::Overlap { handle, offset: two.offset });
                }
            }
        }
        self.check_room(views.len() as u64, runs().count() as u32)?;
        let since = Instant::now();
        let mut made: Vec<Option<Lent>> = views.iter().map(|_| None).collect();
        for run in runs() {
            let handle = views[run[0]].buffer;
            let Some(Lent { thing: Thing::Buffer(buffer), loan, .. }) = self.remove(handle) else {
                return Err(LeaseError::Unknown { handle });
            };
            let refused = |error| LeaseError::Skb { handle, error };
            let mut armed = buffer.arm(run.len() as u32).map_err(|(error, _)| refused(error))?;
            for &at in run {
                let thing = Thing::Skb(cut(&mut armed, &views[at]).map_err(refused)?);
                made[at] = Some(Lent { thing, loan: Arc::clone(&loan), since });
            }
        }
        Ok(self.add(made.into_iter().flatten()))
    }

    /// Makes another view of the same bytes of each of `skbs`; returns their handles in this order.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn clone_skbs(&mut self, skbs: &[u64]) -> Result<Vec<u64>, LeaseError> {
        self.share(skbs.iter().map(|&handle| (handle, None)))
    }

    /// Makes views of parts of skbs, given as (handle, offset, length); returns their handles in this
    /// order.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn slice_skbs(&mut self, slices: &[(u64, u32, u32)]) -> Result<Vec<u64>, LeaseError> {
        self.share(slices.iter().map(|&(handle, offset, length)| (handle, Some((offset, length)))))
    }

    /// Takes skbs out of the session, for delivery, and uses up their handles.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn take(&mut self, skbs: &[u64]) -> Result<LeaseTaken, LeaseError> {
        self.check_distinct(skbs)?;
        for &handle in skbs {
            self.skb(handle)?;
        }
        let mut batch = SkbBatch::with_capacity(skbs.len());
        let mut loans = Vec::with_capacity(skbs.len());
        for &handle in skbs {
            if let Some(Lent { thing: Thing::Skb(skb), loan, .. }) = self.remove(handle) {
                batch.push(skb);
                loans.push(loan);
            }
        }
        Ok(LeaseTaken { skbs: batch, _loans: loans })
    }

    /// Lets go of buffers and skbs and uses up their handles.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn release(&mut self, handles: &[u64]) -> Result<(), LeaseError> {
        self.check_distinct(handles)?;
        handles.iter().try_for_each(|&handle| self.lent(handle).map(drop))?;
        handles.iter().for_each(|&handle| drop(self.remove(handle)));
        Ok(())
    }

    /// What it holds now.
    pub fn holds(&self) -> LeaseHolds {
        LeaseHolds {
            count: self.slots.count(),
            bytes: self.bytes,
            oldest: self.slots.oldest().map_or(Duration::ZERO, |lent| lent.since.elapsed()),
            peak_count: self.peaks.0,
            peak_bytes: self.peaks.1,
        }
    }

    /// Handles it has of `pool`, and their bytes.
    pub fn holds_of(&self, pool: &Pool) -> (u32, u64) {
        let found = self.pools.iter().find(|(of, ..)| of.is_same(pool));
        found.map_or((0, 0), |&(_, count, bytes)| (count, bytes))
    }

    /// Ends the session and brings everything home; returns what it held.
    pub fn close(self) -> LeaseHolds {
        self.holds()
    }

    fn lent(&self, handle: u64) -> Result<&Lent, LeaseError> {
        self.slots.get(handle).ok_or(LeaseError::Unknown { handle })
    }

    fn buffer(&self, handle: u64) -> Result<&Buffer, LeaseError> {
        match &self.lent(handle)?.thing {
            Thing::Buffer(buffer) => Ok(buffer),
            Thing::Skb(_) => Err(LeaseError::NeedsBuffer { handle }),
        }
    }

    fn skb(&self, handle: u64) -> Result<&Skb, LeaseError> {
        match &self.lent(handle)?.thing {
            Thing::Buffer(_) => Err(LeaseError::NeedsSkb { handle }),
            Thing::Skb(skb) => Ok(skb),
        }
    }

    fn bytes(&self, range: &LeaseRange) -> Result<&[u8], LeaseError> {
        let LeaseRange { handle, offset, length } = *range;
        let thing = &self.lent(handle)?.thing;
        let size = thing.size();
        let length = length.unwrap_or(size.saturating_sub(offset));
        check_range(handle, offset, length.into(), size)?;
        Ok(&thing.data()[offset as usize..][..length as usize])
    }

    /// Makes views of what is there: of all of an skb's bytes, or of a part.
    fn share(
        &mut self,
        views: impl ExactSizeIterator<Item = (u64, Option<(u32, u32)>)>,
    ) -> Result<Vec<u64>, LeaseError> {
        self.check_room(views.len() as u64, 0)?;
        let since = Instant::now();
        let made = views.map(|(handle, part)| {
            let skb = self.skb(handle)?;
            if let Some((offset, length)) = part {
                check_range(handle, offset, length.into(), skb.len())?;
            }
            let view = match part {
                None => skb.clone_skb(),
                Some((offset, length)) => skb.slice(offset, length),
            };
            let thing = Thing::Skb(view.map_err(|error| LeaseError::Skb { handle, error })?);
            Ok(Lent { thing, loan: Arc::clone(&self.lent(handle)?.loan), since })
        });
        let made: Vec<Lent> = made.collect::<Result<_, LeaseError>>()?;
        Ok(self.add(made))
    }

    /// Whether `more` handles fit once `fewer` are used up.
    fn check_room(&self, more: u64, fewer: u32) -> Result<(), LeaseError> {
        let held = self.slots.count();
        let free = u64::from(self.limit - held + fewer);
        if more > free {
            let more = more - u64::from(fewer);
            return Err(LeaseError::TooManyHandles { held, more, limit: self.limit });
        }
        // Slots whose handle is used up in the same call may be retired with it.
        if more > u64::from(self.slots.room()) { Err(LeaseError::UsedUp) } else { Ok(()) }
    }

    fn check_distinct(&self, handles: &[u64]) -> Result<(), LeaseError> {
        let mut sorted = handles.to_vec();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(LeaseError::Twice { handle: pair[0] }),
            None => Ok(()),
        }
    }

    /// Adds what there is room for; returns the handles.
    fn add(&mut self, things: impl IntoIterator<Item = Lent>) -> Vec<u64> {
        let (before, bytes) = (self.slots.count(), self.bytes);
        let mut handles = Vec::new();
        for lent in things {
            let charge = lent.thing.charge();
            match self.pools.iter_mut().find(|(of, ..)| of.is_same(lent.loan.pool())) {
                Some((_, count, bytes)) => (*count, *bytes) = (*count + 1, *bytes + charge),
                None => self.pools.push((lent.loan.pool().clone(), 1, charge)),
            }
            self.bytes += charge;
            handles.push(self.slots.insert(lent).expect("the verb has checked for room"));
        }
        self.holder.acquire(u64::from(self.slots.count() - before), self.bytes - bytes);
        // Has the accounts take note of a peak.
        self.holder.held();
        self.peaks.0 = self.peaks.0.max(self.slots.count());
        self.peaks.1 = self.peaks.1.max(self.bytes);
        handles
    }

    fn remove(&mut self, handle: u64) -> Option<Lent> {
        let lent = self.slots.remove(handle)?;
        let charge = lent.thing.charge();
        self.bytes -= charge;
        self.holder.release(1, charge);
        let at = self.pools.iter().position(|(of, ..)| of.is_same(lent.loan.pool()))?;
        let (_, count, bytes) = &mut self.pools[at];
        (*count, *bytes) = (*count - 1, *bytes - charge);
        if *count == 0 {
            self.pools.swap_remove(at);
        }
        Some(lent)
    }
}

impl Drop for LeaseTable {
    fn drop(&mut self) {
        self.holder.release(self.slots.count().into(), self.bytes);
    }
}
