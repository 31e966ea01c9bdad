//! All accounts there are, by number, so that a holder's number tells where it is registered.
//!
//! A view's holder need not be registered with the pool that its memory is of: adopted memory has no
//! pool, and frames of one pool may be delivered by the hub of another.

use super::accounts::{Accounts, Registry};
use crate::sync::MutexGuard;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};

/// Number of accounts that found every other number taken. They register no holders, whose views
/// nobody could settle.
const NOBODYS: u8 = u8::MAX;

/// Most accounts at a time that register holders.
pub const MAX_ACCOUNTS: usize = NOBODYS as usize;

/// What a number stands for.
enum Slot {
    Free,
    Taken(Weak<Accounts>),
    /// They are gone, but views were out that they were charged for: whoever had the number next
    /// would be told of their release.
    Retired,
}

static SLOTS: RwLock<[Slot; MAX_ACCOUNTS]> = RwLock::new([const { Slot::Free }; MAX_ACCOUNTS]);

/// Makes accounts and gives them a number.
pub(super) fn register(make: impl FnOnce(u8) -> Accounts) -> Arc<Accounts> {
    // Every change is one assignment.
    let mut slots = SLOTS.write().unwrap_or_else(PoisonError::into_inner);
    let free = slots.iter_mut().zip(0..).find(|(slot, _)| matches!(slot, Slot::Free));
    let Some((slot, number)) = free else { return Arc::new(make(NOBODYS)) };
    let accounts = Arc::new(make(number));
    *slot = Slot::Taken(Arc::downgrade(&accounts));
    accounts
}

/// Whether accounts of that number can register holders.
pub(super) fn is_own(number: u8) -> bool {
    number != NOBODYS
}

/// The accounts with that number; none if they are gone.
pub(super) fn find(number: u8) -> Option<Arc<Accounts>> {
    let slots = SLOTS.read().unwrap_or_else(PoisonError::into_inner);
    match slots.get(usize::from(number)) {
        Some(Slot::Taken(accounts)) => accounts.upgrade(),
        _ => None,
    }
}

/// Forgets accounts that are gone; `settled` says that no view was out that they were charged for.
pub(super) fn forget(number: u8, settled: bool) {
    let mut slots = SLOTS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = slots.get_mut(usize::from(number)) {
        *slot = if settled { Slot::Free } else { Slot::Retired };
    }
}

/// All accounts, locked while the process forks.
pub(crate) struct Held {
    registries: Vec<MutexGuard<'static, Registry>>,
    slots: RwLockWriteGuard<'static, [Slot; MAX_ACCOUNTS]>,
    accounts: Vec<Arc<Accounts>>,
}

impl Held {
    pub(crate) fn new() -> Self {
        let slots = SLOTS.write().unwrap_or_else(PoisonError::into_inner);
        let accounts: Vec<_> = slots
            .iter()
            .filter_map(
                |slot| if let Slot::Taken(accounts) = slot { accounts.upgrade() } else { None },
            )
            .collect();
        let registries = accounts.iter().map(|accounts| {
            // SAFETY: `accounts` keeps them until after the guards are gone; see `unlock`.
            unsafe { &*Arc::as_ptr(accounts) }.registry()
        });
        Self { registries: registries.collect(), slots, accounts }
    }

    /// Unlocks them. Dropping what is returned may take the locks again.
    pub(crate) fn unlock(self) -> Vec<Arc<Accounts>> {
        let Self { registries, slots, accounts } = self;
        drop((registries, slots));
        accounts
    }
}
