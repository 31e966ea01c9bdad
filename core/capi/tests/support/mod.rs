//! Building C for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of `skbpool.h`.
pub fn include_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/skbpool/include")
}

/// Compiles `source` as strict C99 into `output`; `flags` say what it becomes.
pub fn compile(source: &Path, output: &Path, flags: &[&str]) {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-O1"])
        .args(flags)
        .arg("-I")
        .arg(include_folder())
        .arg(source)
        .arg("-o")
        .arg(output)
        .status()
        .unwrap_or_else(|error| panic!("cannot run {compiler} (set CC): {error}"));
    assert!(status.success(), "{} did not compile", source.display());
}
