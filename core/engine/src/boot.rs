//! Which running kernel this is.

/// The kernel's boot identity, `None` where it does not tell (a hidden `/proc/sys`, for example).
///
/// Two processes that are told the same identity run on the same host since the same boot, so their
/// monotonic clocks can be compared.
pub fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}
