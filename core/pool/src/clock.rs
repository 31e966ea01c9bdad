//! Coarse ticks for ages and latencies; never wall time.

/// Nanoseconds in one tick: 4,096. A `u32` of ticks wraps after 4.9 hours.
pub const TICK_NS: u64 = 1 << TICK_SHIFT;

const TICK_SHIFT: u32 = 12;

/// The monotonic clock in ticks of [`TICK_NS`], never 0, which means "not measured".
///
/// Costs one `clock_gettime` through the vDSO (about 25 ns); loops that own a [`Ticker`] ask that.
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

/// A clock for one loop, which asks the kernel's only when the processor's counter says that time has
/// passed.
///
/// What it says is [`tick`], at most [`Ticker::SLACK`] counts of the time stamp counter ago: less than
/// half a tick from 2 GHz on. A counter that jumps, as from one core to another, is time passed. Where
/// there is no counter that runs at one rate whatever the processor does, each call asks the clock.
#[derive(Clone, Copy, Debug)]
pub struct Ticker {
    /// The counter when the clock was asked last.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no counter here"))]
    asked_at: u64,
    /// 0: to be asked for.
    tick: u32,
    has_counter: bool,
}

impl Default for Ticker {
    fn default() -> Self {
        Self { asked_at: 0, tick: 0, has_counter: has_counter() }
    }
}

impl Ticker {
    /// Counts of the time stamp counter for which a tick is good.
    pub const SLACK: u64 = 4096;

    /// The tick now. Reads the counter (about 6 ns), and every 4,096 counts the clock as well.
    #[inline]
    pub fn now(&mut self) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if self.has_counter {
            // SAFETY: `has_counter` says that the counter is there; Linux lets everybody read it, unless a
            // process forbids that to itself.
            let counter = unsafe { std::arch::x86_64::_rdtsc() };
            if self.tick == 0 || counter.wrapping_sub(self.asked_at) >= Self::SLACK {
                (self.asked_at, self.tick) = (counter, tick());
            }
            return self.tick;
        }
        tick()
    }
}

/// Whether there is a time stamp counter that runs at one rate, in sleep as well (CPUID
/// 8000_0007h, EDX bit 8, "invariant TSC").
#[cfg(all(target_arch = "x86_64", not(loom)))]
fn has_counter() -> bool {
    use std::arch::x86_64::__cpuid;
    static INVARIANT: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    const LEAF: u32 = 0x8000_0007;
    *INVARIANT.get_or_init(|| {
        let known = __cpuid(0x8000_0000).eax >= LEAF;
        known && __cpuid(LEAF).edx & (1 << 8) != 0
    })
}

/// Time stands still in a model, and elsewhere no such counter is known.
#[cfg(not(all(target_arch = "x86_64", not(loom))))]
fn has_counter() -> bool {
    false
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Ticker, tick};

    #[test]
    fn a_ticker_keeps_up_with_the_clock_and_never_runs_ahead() {
        let mut ticker = Ticker::default();
        let begin = tick();
        // Three ticks pass, which a ticker that never asked again would not see.
        while tick().wrapping_sub(begin) < 6 {
            let (before, now, after) = (tick(), ticker.now(), tick());
            assert!(now.wrapping_sub(after) as i32 <= 0, "{now} is later than {after}");
            // Half a tick old at most, and ticks are odd.
            assert!(before.wrapping_sub(now) as i32 <= 2, "{now} is much older than {before}");
        }
    }
}
