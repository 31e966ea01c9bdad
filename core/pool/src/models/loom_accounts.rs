//! The accounts: a reader never sees more given back than taken.

use super::check;
use crate::account::{Accounts, HolderKind};
use loom::thread;
use std::sync::Arc;

fn assert_nothing_negative(accounts: &Accounts, holder: crate::account::HolderId) {
    let [acquired, acquired_bytes, released, released_bytes] = accounts.sum(holder.index());
    assert!(acquired >= released, "{acquired} views taken, {released} given back");
    assert!(acquired_bytes >= released_bytes, "{acquired_bytes} bytes, {released_bytes} back");
}

/// A view is taken through one shard and given back through another, by another thread.
#[test]
fn a_view_that_changes_threads() {
    check(|| {
        let accounts = Accounts::new();
        let holder = accounts.holder("h", HolderKind::Process).unwrap();
        let id = holder.id();
        let (mut one, mut two) = (accounts.shard_handle(), accounts.shard_handle());
        let taker = thread::spawn(move || {
            one.acquire(id, 1, 64);
            let giver = thread::spawn(move || two.release(id, 1, 64));
            giver.join().unwrap();
        });
        assert_nothing_negative(&accounts, id);
        taker.join().unwrap();
        assert_eq!(accounts.sum(id.index()), [1, 64, 1, 64]);
    });
}

/// The shard is claimed only after the reader began.
#[test]
fn a_shard_that_is_claimed_meanwhile() {
    check(|| {
        let accounts = Accounts::new();
        let holder = accounts.holder("h", HolderKind::Process).unwrap();
        let id = holder.id();
        let theirs = Arc::clone(&accounts);
        let thread = thread::spawn(move || {
            theirs.shard_handle().acquire(id, 1, 64);
            theirs.release_shared(id, 1, 64);
        });
        assert_nothing_negative(&accounts, id);
        thread.join().unwrap();
        assert_eq!(holder.held(), (0, 0));
        assert_eq!(accounts.sum(id.index()), [1, 64, 1, 64]);
    });
}

/// Two threads without a shard of their own count into the shared one.
#[test]
fn the_shared_shard_loses_nothing() {
    check(|| {
        let accounts = Accounts::new();
        let holder = accounts.holder("h", HolderKind::Process).unwrap();
        let id = holder.id();
        let theirs = Arc::clone(&accounts);
        let thread = thread::spawn(move || {
            theirs.acquire_shared(id, 2, 128);
            theirs.release_shared(id, 1, 64);
        });
        accounts.acquire_shared(id, 1, 64);
        assert_nothing_negative(&accounts, id);
        thread.join().unwrap();
        assert_eq!(holder.held(), (2, 128));
    });
}

/// A holder that is gone still holds a view, which changes meanwhile: it is taken anew, and then given back.
#[test]
fn a_number_is_not_given_on_while_something_is_held() {
    check(|| {
        let accounts = Accounts::new();
        let gone = accounts.holder("gone", HolderKind::Process).unwrap();
        let id = gone.id();
        accounts.acquire_shared(id, 1, 64);
        drop(gone);
        let theirs = Arc::clone(&accounts);
        let thread = thread::spawn(move || {
            theirs.acquire_shared(id, 1, 128);
            theirs.release_shared(id, 1, 64);
        });
        // There is one number in a model.
        assert!(accounts.holder("next", HolderKind::Process).is_err());
        thread.join().unwrap();
    });
}
