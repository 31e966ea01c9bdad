//! Models of what threads do to each other here. Loom runs each of them through every interleaving of
//! its threads, and every value that a load may return, with at most two preemptions.
//!
//! What each model catches is in `DESIGN.md`.

mod loom_claimed;
mod loom_close;
mod loom_doorbell;
mod loom_link;
mod loom_quota;
mod loom_ring;

use skbpool_pool::sync::check;
