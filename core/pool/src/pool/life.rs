//! The word that tells how a pool lives and how full it is.

use crate::sync::AtomicU64;
use std::ops::{Add, Sub};

/// Raw value of one handle; what lies below counts buffers outside the depot.
pub(super) const HANDLE: u64 = 1 << 32;

/// The raw word: see [`Life`].
pub(super) type LifeWord = AtomicU64;

/// ```text
/// 63 ────── 32 │ 31      │ 30     │ 29        │ 28  │ 27 ──────────────── 0
///  handles     │ drained │ closed │ exhausted │ low │ buffers outside the depot
/// ```
/// Buffers outside the depot are at most a pool's 2^24 and those that somebody has just put back and
/// not yet taken off. One word, so that a watermark is crossed by the very addition that crosses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life(u64);

impl Life {
    /// Fewer buffers are free than the low watermark says, and the high one was not reached since.
    pub(super) const LOW: u64 = 1 << 28;
    /// An allocation found nothing since the low watermark was crossed.
    pub(super) const EXHAUSTED: u64 = 1 << 29;
    /// The pool was closed.
    pub(super) const CLOSED: u64 = 1 << 30;
    /// Every buffer came home after that.
    pub(super) const DRAINED: u64 = 1 << 31;

    const STATE: u64 = Self::LOW | Self::EXHAUSTED | Self::CLOSED | Self::DRAINED;

    #[inline(always)]
    pub(super) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    #[inline(always)]
    pub(super) const fn raw(self) -> u64 {
        self.0
    }

    /// Buffers outside the depot.
    #[inline(always)]
    pub(super) const fn outside(self) -> u32 {
        self.0 as u32 & (Self::LOW as u32 - 1)
    }

    /// Whether any of `states` holds.
    #[inline(always)]
    pub(super) const fn is(self, states: u64) -> bool {
        self.0 & states != 0
    }

    /// The same with `states`.
    pub(super) const fn with(self, states: u64) -> Self {
        Self(self.0 | states)
    }

    /// The same without `states`.
    pub(super) const fn without(self, states: u64) -> Self {
        Self(self.0 & !states)
    }

    /// Whether neither a handle nor a buffer outside the depot is left.
    #[inline(always)]
    pub(super) const fn is_over(self) -> bool {
        self.0 & !Self::STATE == 0
    }
}

/// Adds buffers outside the depot or [`HANDLE`]s.
impl Add<u64> for Life {
    type Output = Self;

    #[inline(always)]
    fn add(self, amount: u64) -> Self {
        Self(self.0.wrapping_add(amount))
    }
}

/// Takes buffers outside the depot or [`HANDLE`]s off.
impl Sub<u64> for Life {
    type Output = Self;

    #[inline(always)]
    fn sub(self, amount: u64) -> Self {
        Self(self.0.wrapping_sub(amount))
    }
}
