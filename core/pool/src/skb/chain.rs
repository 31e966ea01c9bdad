//! Chains: one frame in several buffers.

use super::{Skb, SkbError};
use crate::home::put_references;
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
            unsafe { put_references(view.header, 1, Some(cache)) };
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
        let holder = self.settle_shared();
        other.settle_shared();
        let following = other.fragments.take();
        let list = self.fragments.get_or_insert_default();
        // A frame whose first view was pulled empty would pin that view's buffer for nothing.
        if other.len != 0 {
            list.views.push(other);
        }
        if let Some(following) = following {
            list.views.extend(following.views);
        }
        list.recount();
        self.charge_shared(holder);
        Ok(())
    }

    /// Whether every part is the only view of writable memory.
    pub(super) fn parts_are_writable(&self) -> bool {
        let fragments = self.fragments.as_deref().map_or(&[][..], |list| &list.views);
        self.is_writable() && fragments.iter().all(Skb::is_writable)
    }

    /// `trim` for a chain; `len` is at most what there is.
    pub(super) fn trim_chain(&mut self, len: u32) -> Result<(), SkbError> {
        let holder = self.settle_shared();
        let mut left = len.saturating_sub(self.len);
        self.len = self.len.min(len);
        if let Some(list) = &mut self.fragments {
            list.views.retain_mut(|view| {
                view.len = view.len.min(left);
                left -= view.len;
                view.len != 0
            });
            list.recount();
            if list.views.is_empty() {
                self.fragments = None;
            }
        }
        self.charge_shared(holder);
        Ok(())
    }

    /// Takes `bytes` away from the front, whole fragments included; `bytes` is at most what there is
    /// and nobody is charged for this skb.
    pub(super) fn drop_front(&mut self, bytes: u32) {
        let now = bytes.min(self.len);
        self.offset += now;
        self.len -= now;
        let mut left = bytes - now;
        if let Some(list) = &mut self.fragments {
            list.views.retain_mut(|view| {
                let now = left.min(view.len);
                left -= now;
                view.offset += now;
                view.len -= now;
                view.len != 0
            });
            list.recount();
            if list.views.is_empty() {
                self.fragments = None;
            }
        }
    }
}
