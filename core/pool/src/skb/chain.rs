//! Chains: one frame in several buffers.

use super::{Skb, SkbError};
use crate::pool::LocalCache;

/// What follows the first view of a chain. It is the one thing about an skb that is allocated, once
/// for each frame that is larger than a buffer.
#[derive(Debug, Default)]
pub struct FragList {
    /// Views without fragments of their own, none of them empty.
    views: Vec<Skb>,
    /// Sums over the views, kept up by whatever changes them.
    bytes: u32,
    /// Fits: there are less than 2^32 views of at least a byte, each charged for less than 2^32.
    truesize: u64,
}

impl FragList {
    #[inline(always)]
    pub(super) fn bytes(&self) -> u32 {
        self.bytes
    }

    #[inline(always)]
    pub(super) fn count(&self) -> u32 {
        self.views.len() as u32
    }

    #[inline(always)]
    pub(super) fn truesize(&self) -> u32 {
        self.truesize.min(u64::from(u32::MAX)) as u32
    }

    pub(super) fn clone_list(&self) -> Result<Box<FragList>, SkbError> {
        let views = self.views.iter().map(Skb::clone_skb).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(FragList { views, bytes: self.bytes, truesize: self.truesize }))
    }

    /// Releases all views to `cache`; the accounts are already settled, by the frame's first view.
    pub(super) fn release(&mut self, cache: &mut LocalCache) {
        for view in self.views.drain(..) {
            let view = std::mem::ManuallyDrop::new(view);
            // SAFETY: the view owned one reference, and neither drops nor is used again; views in a
            // list have no fragments of their own.
            unsafe { cache.put(view.header, 1) };
        }
    }

    fn count_in(&mut self, bytes: u32, truesize: u64) {
        self.bytes += bytes;
        self.truesize += truesize;
    }

    /// Takes those behind the first `kept` out.
    fn split_off(&mut self, kept: usize) -> Vec<Skb> {
        let gone = self.views.split_off(kept);
        for view in &gone {
            self.bytes -= view.len;
            self.truesize -= u64::from(view.truesize);
        }
        gone
    }
}

impl Skb {
    /// Whether the data lies in more than one buffer.
    #[inline(always)]
    pub fn is_chain(&self) -> bool {
        self.fragments.is_some()
    }

    /// The data in order, one slice for each buffer it lies in.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let fragments = self.fragments.as_deref().map_or(&[][..], |list| &list.views);
        std::iter::once(self.data()).chain(fragments.iter().map(Skb::data))
    }

    /// Appends the data of `other` to this frame, without copying; the fragments of `other` follow.
    /// This frame's holder answers for all of it from now on. Costs a move of 64 bytes for each view of
    /// `other`, however many this frame has.
    ///
    /// # Errors
    /// [`SkbError::OutOfRange`] if the frame would exceed 2^32 − 1 bytes, with `other`.
    pub fn append_frag(&mut self, mut other: Skb) -> Result<(), (SkbError, Skb)> {
        if self.len().checked_add(other.len()).is_none() {
            let error = SkbError::OutOfRange { start: self.len(), end: u32::MAX, size: u32::MAX };
            return Err((error, other));
        }
        if other.is_empty() {
            return Ok(());
        }
        other.give_up_holder();
        // The frame's latency is its first view's to tell.
        other.birth = 0;
        let following = other.fragments.take();
        // A frame whose first view was pulled empty would pin that view's buffer for nothing. It goes
        // at the very end: a free function may do anything, and this frame is complete by then.
        let (first, _empty) =
            if other.len != 0 { (Some(other), None) } else { (None, Some(other)) };
        self.recharge(|skb| {
            let list = skb.fragments.get_or_insert_default();
            if let Some(first) = first {
                list.count_in(first.len, first.truesize.into());
                list.views.push(first);
            }
            if let Some(following) = following {
                list.count_in(following.bytes, following.truesize);
                list.views.extend(following.views);
            }
        });
        Ok(())
    }

    /// Whether all its buffers are pools'. Then letting it go calls no free function, which could do anything.
    #[inline(always)]
    pub fn is_of_pools(&self) -> bool {
        self.header().index().is_some()
            && self.fragments.as_deref().is_none_or(|list| list.views.iter().all(Skb::is_of_pools))
    }

    /// Whether every part is the only view of writable memory.
    pub(super) fn parts_are_writable(&self) -> bool {
        let fragments = self.fragments.as_deref().map_or(&[][..], |list| &list.views);
        self.is_writable() && fragments.iter().all(Skb::is_writable)
    }

    /// `trim` for a chain; `len` is at most what there is.
    #[inline(never)]
    pub(super) fn trim_chain(&mut self, len: u32) -> Result<(), SkbError> {
        // Dropped last: a free function may do anything, and this frame is complete by then.
        let mut gone = Vec::new();
        let mut surplus = self.len() - len;
        self.recharge(|skb| {
            let Some(list) = &mut skb.fragments else { return };
            let behind = list.views.iter().rev().take_while(|view| {
                let all_of_it = view.len <= surplus;
                surplus -= if all_of_it { view.len } else { 0 };
                all_of_it
            });
            let kept = list.views.len() - behind.count();
            gone = list.split_off(kept);
            if let Some(last) = list.views.last_mut() {
                last.len -= surplus;
                list.bytes -= surplus;
            } else {
                skb.len -= surplus;
                skb.fragments = None;
            }
        });
        Ok(())
    }

    /// Takes `bytes` away from the front, whole fragments included; `bytes` is at most what there is
    /// and nobody is charged for this skb.
    pub(super) fn drop_front(&mut self, bytes: u32) {
        let now = bytes.min(self.len);
        self.offset += now;
        self.len -= now;
        let mut left = bytes - now;
        // Dropped last: a free function may do anything, and this frame is complete by then.
        let mut _gone = Vec::new();
        if let Some(list) = &mut self.fragments {
            list.bytes -= left;
            for view in &mut list.views {
                let now = left.min(view.len);
                left -= now;
                view.offset += now;
                view.len -= now;
            }
            let whole = list.views.iter().take_while(|view| view.len == 0).count();
            let rest = list.views.split_off(whole);
            _gone = std::mem::replace(&mut list.views, rest);
            list.truesize -= _gone.iter().map(|view| u64::from(view.truesize)).sum::<u64>();
            if list.views.is_empty() {
                self.fragments = None;
            }
        }
    }
}
