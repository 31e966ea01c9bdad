//! The pool through its public API, one module for each part of it.
#![cfg(not(loom))]

mod admission;
mod batches;
mod brought_memory;
mod chains;
mod copies;
mod counters;
mod exhaustion;
mod free_functions;
mod holders;
mod marks;
mod nesting;
mod objects;
mod outstanding;
mod provenance;
mod provenance_holders;
mod reslice;
mod shards;
mod sparse;
mod stages;
mod verbs;
mod waiting;
mod watermarks;
mod wraps;

use skbpool_pool::{Accounts, Audit, Pool, Skb};

/// A pool with accounts of its own, so that tests do not see each other's holders.
fn pool(buffers: u32) -> Pool {
    Pool::builder(buffers).accounts(Accounts::new()).build().unwrap()
}

/// A view of `bytes` in a buffer of its own, with `headroom` before them.
fn skb_of(pool: &Pool, headroom: u32, bytes: &[u8]) -> Skb {
    let mut skb = pool.alloc().unwrap().into_empty_skb();
    skb.reserve(headroom).unwrap();
    skb.put(bytes.len() as u32).unwrap().copy_from_slice(bytes);
    skb
}

/// The bytes of a frame, whether it is a chain or not.
fn bytes_of(skb: &Skb) -> Vec<u8> {
    skb.parts().flatten().copied().collect()
}

/// Every buffer is home and nothing was released twice.
fn assert_all_home(pool: &Pool) {
    let buffers = pool.count();
    let audit = pool.audit().unwrap();
    assert_eq!(audit, Audit { free: buffers, cached: 0, in_flight: 0, quarantined: 0 });
    assert_eq!(pool.stats().violations, 0);
}
