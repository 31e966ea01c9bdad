//! Coarse ticks for ages and latencies; never wall time.

/// Nanoseconds in one tick: 4,096. A `u32` of ticks wraps after 4.9 hours.
pub const TICK_NS: u64 = 1 << TICK_SHIFT;

const TICK_SHIFT: u32 = 12;

/// The monotonic clock in ticks of [`TICK_NS`], never 0, which means "not measured".
///
/// Costs one `clock_gettime` through the vDSO (about 25 ns); call it once a burst.
#[cfg(not(loom))]
pub fn tick() -> u32 {
    (monotonic_ns() >> TICK_SHIFT) as u32 | 1
}

/// Time stands still in a model.
#[cfg(loom)]
pub fn tick() -> u32 {
    1
}

/// `CLOCK_MONOTONIC` in nanoseconds: comparable between processes of one boot.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
