//! Who has to be told of a fork.

use super::handlers;
use crate::pool::PoolInner;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, Weak};

/// Locks that are held until it is dropped.
pub trait Hold {}

impl<T> Hold for T {}

/// Something with locks, or with threads that look at it, that has to be whole in a forked child.
pub trait AtFork: Send + Sync {
    /// Locks whatever threads lock in it, in the order that they do. Dropped on both sides of the
    /// fork, which must only unlock.
    fn hold(&self) -> Box<dyn Hold + '_>;

    /// Called in the child, before anything is unlocked: may only store into its own memory.
    fn forked(&self);
}

#[derive(Default)]
pub(super) struct Registry {
    pub(super) pools: Vec<Live>,
    pub(super) others: Vec<Weak<dyn AtFork>>,
}

/// A pool that exists: it leaves the registry before it is freed.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Live(pub(super) NonNull<PoolInner>);

// SAFETY: pools are Sync, and used only while the registry, which they leave first, is locked.
unsafe impl Send for Live {}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { pools: Vec::new(), others: Vec::new() });

pub(super) fn registry() -> MutexGuard<'static, Registry> {
    // Every change is one push or removal.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a pool that is about to be used. Takes a lock, which a fork holds until its child is ready.
pub(crate) fn add_pool(pool: NonNull<PoolInner>) {
    static HANDLERS: Once = Once::new();
    HANDLERS.call_once(handlers::install);
    registry().pools.push(Live(pool));
}

/// Removes a pool that is about to be freed. Takes the same lock.
pub(crate) fn forget_pool(pool: NonNull<PoolInner>) {
    registry().pools.retain(|live| *live != Live(pool));
}

/// Adds somebody to be held while the process forks, and told in the child.
pub fn register(who: Weak<dyn AtFork>) {
    let mut registry = registry();
    registry.others.retain(|other| other.strong_count() != 0);
    registry.others.push(who);
}
