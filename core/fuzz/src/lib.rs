//! A target for everything that takes bytes from outside: a function of any bytes that asserts what
//! must hold for them.
//!
//! `make fuzz` drives the targets with libFuzzer; the test `replay` runs them over `corpus/`. Which
//! function has which target, and what was run for how long, stands in `DESIGN.md`.

mod capi;
mod capture;
mod capture_reference;
mod compose;
mod flow;
mod ingest;
mod lease;
mod numbers;
mod output;
mod rate;
mod rig;
mod stamp;
mod view;
mod wire;

/// The messages as prost types with a naive check behind them, as the tests of the wire have them.
#[allow(missing_docs, dead_code, reason = "shared with the tests of the wire")]
#[path = "../../wire/tests/wire/messages.rs"]
mod messages;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also its folder in `corpus/`.
    pub name: &'static str,
    /// Runs it: panics if a property does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "frame_batch", run: wire::frame_batch },
    Target { name: "ingest_request", run: wire::ingest_request },
    Target { name: "subscribe_response", run: wire::subscribe_response },
    Target { name: "compose", run: compose::compose },
    Target { name: "ingest", run: ingest::ingest },
    Target { name: "lease", run: lease::lease },
    Target { name: "view_frames", run: view::view_frames_of },
    Target { name: "capture_output", run: output::capture_output },
    Target { name: "capture", run: capture::capture },
    Target { name: "capture_pipe", run: capture::capture_pipe },
    Target { name: "capture_replay", run: capture::capture_replay },
    Target { name: "stamp", run: stamp::stamp },
    Target { name: "flow", run: flow::flow },
    Target { name: "rate", run: rate::rate },
    Target { name: "capi", run: capi::capi },
];

/// The target called `name`.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
