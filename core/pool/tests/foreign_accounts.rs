//! The last views of pools with accounts of their own, released to the cache of another pool. A program
//! of its own, since it counts on numbers of accounts that are the process's.
#![cfg(not(loom))]

use skbpool_pool::{Accounts, HolderKind, MAX_ACCOUNTS, Pool, SkbBatch};
use std::sync::Arc;

/// What is charged is given back before the accounts go, or their number could never be used again.
#[test]
fn accounts_that_go_with_their_last_view_are_settled() {
    let home = Pool::builder(64).build().unwrap();
    let mut cache = home.local_cache();
    for round in 0..2 * MAX_ACCOUNTS {
        let chained = round % 2 == 1;
        let accounts = Accounts::new();
        let pool = Pool::builder(1).accounts(Arc::clone(&accounts)).build().unwrap();
        let holder = accounts.holder("reader", HolderKind::Consumer).unwrap();
        let mut skb = pool.alloc().unwrap().into_empty_skb();
        skb.hand_to(holder.id(), &mut accounts.shard_handle());
        // In a buffer of its own, or as what follows the first view of a chain.
        let mut batch = SkbBatch::from_iter([skb]);
        if chained {
            let mut front = home.alloc().unwrap().into_empty_skb();
            front.put(1).unwrap();
            let mut tail = batch.pop().unwrap();
            tail.put(1).unwrap();
            front.append_frag(tail).unwrap();
            front.hand_to(holder.id(), &mut accounts.shard_handle());
            batch.push(front);
        }
        drop((holder, accounts, pool));
        batch.release(&mut cache);
    }
}
