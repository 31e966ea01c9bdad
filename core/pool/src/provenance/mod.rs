//! Where buffers that are out were allocated, by whom, when, and what became of them since.
//!
//! One log of a buffer's transitions, kept beside its header: which of its allocations are recorded
//! is decided when they happen ([`Provenance`]), and everything later follows the record.

mod mode;
mod record;
mod report;
mod sampler;
mod site;
mod table;

pub(crate) use mode::Mode;
pub use mode::Provenance;
#[cfg(all(test, loom))]
pub(crate) use record::{Origin, Record};
pub use report::{HolderName, LeakExample, LeakReport, LeakSite, Transition};
pub(crate) use sampler::{Sampler, is_sampled};
#[cfg(not(loom))]
pub(crate) use site::Names;
pub use site::Site;
#[cfg(all(test, loom))]
pub(crate) use site::Sites;
pub(crate) use table::{LOGGED_FULL, Log, NOT_LOGGED};

use crate::account::HolderId;
use crate::header::BufferHeader;
use crate::pool::Pool;
use crate::skb::Skb;
use std::ptr::NonNull;

/// What happened to a view of a recorded buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TransitionKind {
    /// Views were handed to a holder.
    Delivered = 0,
    /// Views were made of views.
    Cloned = 1,
    /// Views were given back; logged of buffers that were allocated in full mode.
    Released = 2,
}

impl TransitionKind {
    /// The name used in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Cloned => "cloned",
            Self::Released => "released",
        }
    }
}

/// Notes what happened to `views` views of a buffer, if its allocation was recorded.
///
/// # Safety
/// - `header` is valid, and the caller owns a reference to it.
#[cold]
pub(crate) unsafe fn note(
    header: NonNull<BufferHeader>,
    kind: TransitionKind,
    holder: HolderId,
    views: u32,
) {
    // SAFETY: the caller's reference keeps it valid.
    let buffer = unsafe { header.as_ref() };
    let Some(index) = buffer.index() else { return };
    // SAFETY: a header with an index lies in a pool, which lives while a reference is out.
    let pool = unsafe { Pool::of_header(header).as_ref() };
    if !pool.log().note(index, buffer.generation(), kind, holder, views) {
        // Of an earlier allocation.
        buffer.set_logged(NOT_LOGGED);
    }
}

/// Notes a transition for each run of views of one buffer whose header says so; of their own holders if
/// no other is given.
#[cold]
pub(crate) fn note_runs(
    mut skbs: &[Skb],
    wanted: impl Fn(u8) -> bool,
    kind: TransitionKind,
    holder: Option<HolderId>,
) {
    // Most batches have none, and this loop is short.
    if !skbs.iter().any(|skb| wanted(skb.header().logged())) {
        return;
    }
    while let Some(first) = skbs.first() {
        let header = first.header_ptr();
        let alike = |skb: &&Skb| {
            skb.header_ptr() == header && (holder.is_some() || skb.holder() == first.holder())
        };
        let run = skbs.iter().take_while(alike).count();
        if wanted(first.header().logged()) {
            // SAFETY: the skbs' references keep the header valid.
            unsafe { note(header, kind, holder.unwrap_or(first.holder()), run as u32) };
        }
        skbs = &skbs[run..];
    }
}

/// Notes that views of one buffer are about to be released, if that was to be recorded.
#[inline]
pub(crate) fn note_released_run(run: &[Skb]) {
    if run[0].header().logged() == LOGGED_FULL {
        note_runs(run, |_| true, TransitionKind::Released, None);
    }
}
