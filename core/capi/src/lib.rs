//! The C functions of skbpool: one table, described by `skbpool.h`, whose entries are only ever
//! appended.
//!
//! There is one copy of the pool in a process; whoever has this table works on that copy. The Python
//! package publishes it as a capsule, a program in Rust hands it out itself:
//!
//! ```
//! let table = skbpool_capi::table();
//! assert_eq!(table.major, skbpool_capi::MAJOR);
//! assert_eq!(table.size as usize, size_of::<skbpool_capi::Table>());
//! ```
//!
//! No function unwinds, blocks (unless its name says `wait`) or calls Python. Failure is a negative
//! code that changes nothing; [`take_failure`] has the details, once, on the thread that failed.

mod armed;
mod batch;
mod buffer;
mod cache;
mod chain;
mod code;
mod events;
mod failure;
mod flow;
mod library;
mod pool;
mod raw;
mod table;
mod verbs;
mod view;

pub use cache::Cache;
pub use code::Code;
pub use events::{CopyCount, Events, event_number};
pub use failure::{Failure, take_failure};
pub use raw::{ArmedSlot, RawSkb};
pub use table::{FreeFunction, MAJOR, OwnerPut, Table, table};
