//! Running a model, for the tests of every crate that has some.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `scenario` in every way there is, with at most two preemptions unless `LOOM_MAX_PREEMPTIONS`
/// says otherwise, and prints how many that were.
pub fn check(scenario: impl Fn() + Send + Sync + 'static) {
    let name = std::thread::current().name().unwrap_or("model").to_owned();
    let executions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.max_branches = 10_000;
    builder.check(move || {
        // Relaxed: no part of the model.
        counted.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    // Relaxed: no part of the model.
    println!("{name}: {} executions", executions.load(Ordering::Relaxed));
}
