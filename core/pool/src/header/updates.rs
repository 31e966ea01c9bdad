//! How often reference counts were changed, for tests that count what an operation costs.

#[cfg(any(test, debug_assertions))]
thread_local! {
    static UPDATES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts a store to a reference count, or a read-modify-write of one. Nothing in a release build.
#[inline(always)]
pub(super) fn count() {
    #[cfg(any(test, debug_assertions))]
    UPDATES.with(|updates| updates.set(updates.get() + 1));
}

/// Updates of reference counts that this thread has made so far; none where they are not counted, in
/// release builds.
pub fn of_this_thread() -> Option<u64> {
    #[cfg(any(test, debug_assertions))]
    return Some(UPDATES.with(std::cell::Cell::get));
    #[cfg(not(any(test, debug_assertions)))]
    None
}
