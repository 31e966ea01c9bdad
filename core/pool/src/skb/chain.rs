//! Chains: one frame in several buffers.

use super::{Skb, SkbError};
use crate::pool::LocalCache;

/// What follows the first view of a chain. It is the one thing about an skb that is allocated, once
/// for each frame that is larger than a buffer.
#[derive(Debug, Default)]
pub struct FragList {
    /// Views without fragments of their own, none of them empty.
    views: Vec<Skb>,
    bytes: u32,
    truesize: u32,
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
        self.truesize
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

    fn recount(&mut self) {
        self.bytes = self.views.iter().map(|view| view.len).sum();
        self.truesize =
            self.views.iter().fold(0, |sum: u32, view| sum.saturating_add(view.truesize));
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
    /// This frame's holder answers for all of it from now on.
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
            list.views.extend(first);
            if let Some(following) = following {
                list.views.extend(following.views);
            }
            list.recount();
        });
        Ok(())
    }

    /// Whether every part is the only view of writable memory.
    pub(super) fn parts_are_writable(&self) -> bool {
        let fragments = self.fragments.as_deref().map_or(&[][..], |list| &list.views);
        self.is_writable() && fragments.iter().all(Skb::is_writable)
    }

    /// `trim` for a chain; `len` is at most what there is.
    pub(super) fn trim_chain(&mut self, len: u32) -> Result<(), SkbError> {
        // Dropped last: a free function may do anything, and this frame is complete by then.
        let mut gone = Vec::new();
        self.recharge(|skb| {
            let mut left = len.saturating_sub(skb.len);
            skb.len = skb.len.min(len);
            let Some(list) = &mut skb.fragments else { return };
            let kept = list.views.iter().take_while(|view| {
                let starts_inside = left != 0;
                left -= view.len.min(left);
                starts_inside
            });
            let kept = kept.count();
            gone = list.views.split_off(kept);
            list.recount();
            let surplus = (skb.len + list.bytes).saturating_sub(len);
            if let Some(last) = list.views.last_mut() {
                last.len -= surplus;
            }
            list.recount();
            if list.views.is_empty() {
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
            for view in &mut list.views {
                let now = left.min(view.len);
                left -= now;
                view.offset += now;
                view.len -= now;
            }
            let whole = list.views.iter().take_while(|view| view.len == 0).count();
            let rest = list.views.split_off(whole);
            _gone = std::mem::replace(&mut list.views, rest);
            list.recount();
            if list.views.is_empty() {
                self.fragments = None;
            }
        }
    }
}
