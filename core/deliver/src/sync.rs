//! The one place atomics, cells, locks and shared rings come from: std, or loom in a model.

pub(crate) use skbpool_pool::sync::*;

#[cfg(loom)]
pub(crate) use loom::sync::Arc;
#[cfg(not(loom))]
pub(crate) use std::sync::Arc;
