//! The targets driven by libFuzzer; `SKBPOOL_FUZZ_TARGET` names the one to run.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use skbpool_fuzz::{TARGETS, Target, target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn choose() -> Target {
    let name = std::env::var("SKBPOOL_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("SKBPOOL_FUZZ_TARGET={name:?} is no target; known are {}", known.join(", "));
        std::process::exit(2);
    })
}

fuzz_target!(|data: &[u8]| {
    (CHOSEN.get_or_init(choose).run)(data);
});
