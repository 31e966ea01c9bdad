//! Models of what threads do to each other here. Loom runs each of them through every interleaving of
//! its threads, with at most two preemptions.
//!
//! What each model catches is in `DESIGN.md`.

mod loom_uplink;

use skbpool_pool::sync::check;
