//! Runs every target over its corpus; fails if a property does not hold, or a corpus is missing.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use skbpool_fuzz::{TARGETS, Target};

fn main() -> ExitCode {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut failures = strays(&corpus);
    for target in TARGETS {
        failures.extend(replay(target, &corpus.join(target.name)));
    }
    for failure in &failures {
        eprintln!("{failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Folders of no target: nothing would ever run what is in them.
fn strays(corpus: &Path) -> Vec<String> {
    let known: BTreeSet<_> = TARGETS.iter().map(|target| corpus.join(target.name)).collect();
    let found = inputs(corpus);
    found
        .into_iter()
        .filter(|folder| !known.contains(folder))
        .map(|folder| format!("{}: no target has this name", folder.display()))
        .collect()
}

/// Runs a target over each input; what went wrong, by input.
fn replay(target: &Target, folder: &Path) -> Vec<String> {
    let inputs = inputs(folder);
    if inputs.is_empty() {
        return vec![format!("{}: no inputs", folder.display())];
    }
    let (mut bytes, mut failures) = (0, Vec::new());
    let begun = Instant::now();
    for input in &inputs {
        let data = fs::read(input).expect("a file of the corpus");
        bytes += data.len();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&data))).is_err() {
            failures.push(format!("{}: {} does not hold", input.display(), target.name));
        }
    }
    println!(
        "fuzz target {:<18} {:>5} inputs replayed, {bytes:>7} bytes, {:>5} ms",
        target.name,
        inputs.len(),
        begun.elapsed().as_millis()
    );
    failures
}

/// What a folder holds, in the order of names; nothing if there is no such folder.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("an entry of the corpus").path()).collect();
    paths.sort();
    paths
}
