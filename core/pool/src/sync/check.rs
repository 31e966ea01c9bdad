//! Running a model, for the tests of every crate that has some.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Runs `scenario` in every way there is, with at most two preemptions unless `LOOM_MAX_PREEMPTIONS`
/// says otherwise, and prints how many that were. Ends before all were tried when `LOOM_MAX_DURATION`
/// seconds are over, if that is set, and says so.
pub fn check(scenario: impl Fn() + Send + Sync + 'static) {
    let name = std::thread::current().name().unwrap_or("model").to_owned();
    let executions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.max_branches = 10_000;
    let (limit, begun) = (builder.max_duration, Instant::now());
    builder.check(move || {
        // Relaxed: no part of the model.
        counted.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    // Relaxed: no part of the model.
    let executions = executions.load(Ordering::Relaxed);
    match limit.filter(|&limit| begun.elapsed() >= limit) {
        Some(limit) => println!("{name}: {executions} executions in {limit:?}, not all there are"),
        None => println!("{name}: {executions} executions"),
    }
}
