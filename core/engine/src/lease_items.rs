//! What lease verbs are told and tell, and the checks on it.

use crate::lease_error::LeaseError;
use skbpool_pool::{Armed, Buffer, Skb, SkbError};
use std::time::Duration;

/// Bytes for one buffer.
#[derive(Clone, Copy, Debug)]
pub struct LeaseWrite<'a> {
    /// Handle of the buffer.
    pub buffer: u64,
    /// Where in it they begin.
    pub offset: u32,
    /// The bytes.
    pub data: &'a [u8],
}

/// Bytes of one buffer or skb.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRange {
    /// Handle of the buffer or skb.
    pub handle: u64,
    /// Where in it they begin.
    pub offset: u32,
    /// How many; `None`: all to its end.
    pub length: Option<u32>,
}

/// A view to cut from a buffer.
#[derive(Clone, Copy, Debug)]
pub struct LeaseView {
    /// Handle of the buffer.
    pub buffer: u64,
    /// Where in it the view begins.
    pub offset: u32,
    /// Bytes of the view.
    pub length: u32,
    /// Bytes the frame had before it was cut short; 0: it was not.
    pub original_length: u32,
    /// When the frame arrived, in nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    /// LINKTYPE_ number.
    pub link_type: u32,
    /// Interface the frame came in by.
    pub interface: u32,
}

/// What a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseHolds {
    /// Handles of buffers and skbs.
    pub count: u32,
    /// What they are charged for: a buffer its size, an skb its truesize.
    pub bytes: u64,
    /// For how long the oldest of them has been there; zero without any.
    pub oldest: Duration,
    /// Most handles it ever had.
    pub peak_count: u32,
    /// Most bytes, likewise.
    pub peak_bytes: u64,
}

/// What a handle is of.
#[derive(Debug)]
pub(crate) enum Thing {
    Buffer(Buffer),
    Skb(Skb),
}

impl Thing {
    pub(crate) fn size(&self) -> u32 {
        match self {
            Self::Buffer(buffer) => buffer.len() as u32,
            Self::Skb(skb) => skb.len(),
        }
    }

    /// What it is charged for.
    pub(crate) fn charge(&self) -> u64 {
        match self {
            Self::Buffer(buffer) => buffer.len() as u64,
            Self::Skb(skb) => u64::from(skb.truesize()),
        }
    }

    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer.as_slice(),
            Self::Skb(skb) => skb.data(),
        }
    }
}

/// `length` bytes at `offset` of the `size` bytes of `handle`.
pub(crate) fn check_range(
    handle: u64,
    offset: u32,
    length: u64,
    size: u32,
) -> Result<(), LeaseError> {
    if u64::from(offset) + length > u64::from(size) {
        return Err(LeaseError::OutOfRange { handle, offset, length, size });
    }
    Ok(())
}

/// What a view says about its frame.
pub(crate) fn check_description(view: &LeaseView) -> Result<(), LeaseError> {
    let LeaseView { buffer: handle, original_length, length, .. } = *view;
    if original_length != 0 && original_length < length {
        return Err(LeaseError::OriginalLength { handle, original_length, length });
    }
    for (field, value) in [("link_type", view.link_type), ("interface", view.interface)] {
        if value > u32::from(u16::MAX) {
            return Err(LeaseError::TooLarge { field, value });
        }
    }
    Ok(())
}

/// Cuts a view that was checked.
pub(crate) fn cut(armed: &mut Armed, view: &LeaseView) -> Result<Skb, SkbError> {
    let mut skb = armed.skb(view.offset, view.length)?;
    skb.timestamp_ns = view.timestamp_ns;
    if view.original_length > view.length {
        skb.set_original_length(view.original_length);
    }
    skb.link_type = view.link_type as u16;
    skb.port = view.interface as u16;
    Ok(skb)
}
