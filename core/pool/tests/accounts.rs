//! More accounts than there are numbers for them. A program of its own, since the numbers are the
//! process's.
#![cfg(not(loom))]

use skbpool_pool::{Accounts, AccountsError, HolderKind, MAX_ACCOUNTS};

#[test]
fn accounts_without_a_number_register_nobody() {
    let all: Vec<_> = (0..MAX_ACCOUNTS + 2).map(|_| Accounts::new()).collect();
    let error = all[MAX_ACCOUNTS + 1].holder("tap", HolderKind::Consumer).unwrap_err();
    assert!(matches!(error, AccountsError::TooManyAccounts { .. }), "{error:?}");
    drop(all);
    Accounts::new().holder("tap", HolderKind::Consumer).unwrap();
}
