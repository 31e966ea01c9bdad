//! Running a scenario of many threads under random schedules, for the tests of every crate that has
//! some.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Preemptions that the schedules of PCT are made to find bugs of, less one.
const DEPTH: usize = 4;

/// Runs `scenario` under as many random schedules as `SKBPOOL_SCHEDULES` says, 200 unless set, and under
/// as many of probabilistic concurrency testing (Burckhardt et al., 2010); prints how many that were.
pub fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    let name = std::thread::current().name().unwrap_or("scenario").to_owned();
    let schedules = match std::env::var("SKBPOOL_SCHEDULES") {
        Ok(number) => number.parse().expect("SKBPOOL_SCHEDULES is a number of schedules"),
        Err(_) => 200,
    };
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    let random = RandomScheduler::new(schedules);
    let random = Runner::new(random, config.clone()).run(scenario.clone());
    let pct = Runner::new(PctScheduler::new(DEPTH, schedules), config).run(scenario);
    println!("{name}: {random} random and {pct} PCT schedules");
}
