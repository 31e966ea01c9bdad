//! Compiles the Cython modules of the package into `OUT_DIR`, from where maturin puts them into
//! the wheel beside the PyO3 module.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Suffixes of the files that a Cython module is made from.
const SOURCES: [&str; 3] = ["pyx", "pxd", "h"];

fn main() {
    // Cargo sees a changed file, but not that a file was added. Who keeps the target folder
    // between builds names the sources here, so that a longer list builds again.
    for variable in ["PYO3_PYTHON", "SKBPOOL_CYTHON_SOURCES", "SKBPOOL_LINT_ONLY"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if env::var_os("SKBPOOL_LINT_ONLY").is_some() {
        return;
    }
    for file in ["build.rs", "build_cython.py"] {
        println!("cargo::rerun-if-changed={file}");
    }
    for folder in ["skbpool", "skbpool/include"] {
        watch(Path::new(folder));
    }

    let python = env::var("PYO3_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let out_dir = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let status = Command::new(&python)
        .args(["build_cython.py", &out_dir])
        .status()
        .unwrap_or_else(|error| panic!("cannot run {python} (set PYO3_PYTHON): {error}"));
    assert!(
        status.success(),
        "the Cython modules did not build with {python}, which needs Cython and setuptools: {status}"
    );
}

/// Builds again when one of the Cython sources in `folder` changes.
fn watch(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        if suffix.is_some_and(|suffix| SOURCES.contains(&suffix)) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}
