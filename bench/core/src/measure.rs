//! Clocks, and how long to look.

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use skbpool_pool::{Accounts, HugePages, Pool, PoolBuilder};
use std::error::Error;

/// Whatever keeps an operation from being measured.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How to measure, from the command line.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Seconds each operation is measured for.
    pub seconds: f64,
    /// Huge pages or none; an error if there are not enough.
    pub huge: bool,
    /// The core of whatever needs one thread, and of the consumer of a hand-over.
    pub cores: [usize; 2],
}

impl Settings {
    /// A pool with accounts of its own on the pages asked for.
    pub fn pool(&self, buffers: u32, order: u8) -> Result<Pool, Failure> {
        Ok(self.builder(buffers, order).build()?)
    }

    /// As above, to be told more.
    pub fn builder(&self, buffers: u32, order: u8) -> PoolBuilder {
        let pages = if self.huge {
            HugePages::Require
        } else {
            HugePages::Never
        };
        let builder = Pool::builder(buffers)
            .order(order)
            .accounts(Accounts::new());
        builder.huge_pages(pages)
    }
}

/// Keeps this thread on one core.
pub fn pin(core: usize) -> Result<(), Failure> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Processor time of this thread in nanoseconds: what other programs take is not counted.
pub fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of processor time one operation costs, where each call of `run` does `operations` of
/// them and says whether it could. A tenth of the time goes before, to warm up.
pub fn nanoseconds(
    settings: &Settings,
    operations: u64,
    mut run: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let mut rate = 0.0;
    // In one place, so that what is measured is compiled into the loop as a user's would be.
    for seconds in [settings.seconds / 10.0, settings.seconds] {
        rate = rate_of((seconds * 1e9) as u64, operations, &mut run)?;
    }
    Ok(rate)
}

/// Operations between two looks at the clock, which is a call of the kernel.
const BETWEEN_LOOKS: u64 = 1 << 18;

#[inline(always)]
fn rate_of(
    length_ns: u64,
    operations: u64,
    run: &mut impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let calls = (BETWEEN_LOOKS / operations).max(1);
    let (start, mut done) = (thread_ns(), 0);
    loop {
        for _ in 0..calls {
            run()?;
        }
        done += calls * operations;
        let took = thread_ns() - start;
        if took >= length_ns {
            return Ok(took as f64 / done as f64);
        }
    }
}
