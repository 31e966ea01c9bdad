"""Measures the core beside DPDK. `make bench-core`.

    python bench/core.py [--rounds N] [--ops OP,...] [--seconds S] [--no-write]

A round starts both sides afresh, since much depends on where memory comes to lie, and alternates
between them, operation by operation; medians of the ratios judge, and the spread is their range.
Both sides run on the same core and on pages of the same size, and are timed by the processor time
of the thread that does the work, so that what other programs take is nobody's. A hand-over takes
two cores and is timed by the clock on the wall. Without DPDK there are no ratios.

Writes bench/results/core.json and, with every sample, bench/results/core-raw.json.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import arguments
import machine
import peer_dpdk
from ratios import Goal, Row, note, show, write

ROOT = Path(__file__).resolve().parent.parent
CORES = (1, 0)
"""Where whatever needs one core runs, and the second core of a hand-over."""
OURS_MIB = 160
LINE_RATE_MPPS = 148.8
"""64-byte frames on 100 GbE: 10^11 / ((64 + 20) * 8)."""

GOALS = [
    Goal("alloc_free_1", "ns", 0.35),
    Goal("alloc_free_bulk32", "ns", 0.35),
    Goal("views_of_one_buffer_32", "ns", 0.25, note="a view"),
    Goal("clone_free_1", "ns", 0.2),
    Goal("object_get_put_bulk32", "ns", 1.0),
    Goal("ring_spsc_bulk32", "ns", 1.0),
    Goal("ring_skb_bulk32", "ns", note="64 bytes by value"),
    Goal("rx_64_written", "Mpps", 1.5, "higher", bound=LINE_RATE_MPPS),
    Goal("rx_1518_written", "Mpps", 1.5, "higher"),
    Goal("rx_64", "Mpps", 2.2, "higher", note="descriptors only, nothing written"),
    Goal("handover_64", "Mpps", 0.8, "higher", note="two cores; peer: a bare ring"),
]
BESIDE = [
    Goal("alloc_free_held_1024", "ns"),
    Goal("alloc_free_held_16384", "ns"),
    Goal("views_released_singly_32", "ns", note="a view"),
    Goal("views_interleaved_32", "ns", note="a view"),
    Goal("buffer_1", "ns", note="a bare object, one at a time"),
    Goal("alloc_free_uncached_1", "ns"),
    Goal("pool_1Ki", "ns", note="half of it held"),
    Goal("pool_16Ki", "ns", note="half of it held"),
    Goal("pool_128Ki", "ns", note="half of it held; small pages"),
    Goal("pool_1Mi", "ns", note="half of it held; small pages"),
    Goal("threads_1", "Mops", better="higher", note="a core"),
    Goal("threads_2", "Mops", better="higher", note="a core"),
    Goal("threads_4", "Mops", better="higher", note="a core"),
    Goal("threads_8", "Mops", better="higher", note="a core"),
    Goal("threads_16", "Mops", 0.85, "higher", note="a core; peer: threads_2"),
    Goal("accounted_64", "ns", 1.05, note="20 pairs; peer: unaccounted_64"),
    Goal("alloc_free_bulk32_4_shards", "ns", note="peer: one shard"),
    Goal("alloc_free_held_1024_4_shards", "ns", note="peer: one shard"),
    Goal("alloc_free_uncached_1_4_shards", "ns", note="peer: one shard"),
]
TESTPMD = {"rx_64_written": (64, True), "rx_1518_written": (1518, True), "rx_64": (64, False)}
DPDK = {goal.op for goal in GOALS if goal.unit == "ns"} | {
    goal.op for goal in BESIDE[:6]
}  # those of peers/dpdk.c
OURSELVES = {
    "handover_64": "bare_ring_64",
    "threads_16": "threads_2",
    "accounted_64": "unaccounted_64",
    "alloc_free_bulk32_4_shards": "alloc_free_bulk32",
    "alloc_free_held_1024_4_shards": "alloc_free_held_1024",
    "alloc_free_uncached_1_4_shards": "alloc_free_uncached_1",
}
"""What stands in for a peer is an operation of ours."""
PAIRS = {"accounted_64": 20}
"""Pairs of samples at least, in all rounds together; one a round of what is not named."""
ONCE = {"pool_128Ki", "pool_1Mi"}
"""Measured in the first round only: their pools take long to make."""

Measure = Callable[[str], float]
Samples = dict[str, dict[str, list[float]]]


class Program:
    """A program that reads names of operations and prints a line of JSON for each."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def measure(self, op: str) -> float:
        """Return the figure of one operation."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(op + "\n")
            self.process.stdin.flush()
        return parse(self.process.stdout.readline(), op)


def parse(line: str, op: str) -> float:
    """Return the figure in a line that a program printed for `op`."""
    if not line:
        raise RuntimeError(f"{op}: the program ended; what it said is above")
    printed = json.loads(line)
    if printed["op"] != op:
        raise RuntimeError(f"{printed['op']} came instead of {op}")
    return float(printed["value"])


def build_ours() -> Path:
    """Build our side as it is shipped."""
    command = ["cargo", "build", "--quiet", "--release", "--manifest-path", "core/Cargo.toml"]
    subprocess.run([*command, "--package", "skbpool-bench"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "core" / "target"))
    return Path(target) / "release" / "skbpool-bench"


class Setup:
    """How both sides are built and started."""

    def __init__(self, seconds: float, folder: Path) -> None:
        version = peer_dpdk.version()
        needed = OURS_MIB + (peer_dpdk.MEMORY_MIB * 3 // 2 if version else 0)
        self.huge = machine.has_huge_pages(needed)
        self.pages = pages = "huge" if self.huge else "small"
        cores = ",".join(map(str, CORES))
        options = ["--seconds", str(seconds), "--pages", pages, "--cores", cores]
        self.ours = [str(build_ours()), *options]
        self.dpdk: list[str] | None = None
        if version is not None:
            eal = peer_dpdk.eal([CORES[0]], peer_dpdk.MEMORY_MIB, self.huge)
            self.dpdk = [str(peer_dpdk.build(folder)), *eal, "--", str(seconds)]
        self.peer = None if version is None else f"DPDK {version}"
        self.about = {
            "seconds_a_sample": seconds,
            "pinned_to_cores": CORES,
            "pages": {"ours": pages, "peer": pages, "bytes": 2 << 20 if self.huge else 4096},
            "peer": self.peer,
            "flags": {"ours": rust_flags(), "peer": list(peer_dpdk.FLAGS)},
        }


class Round:
    """Both sides, freshly started."""

    def __init__(self, setup: Setup, samples: Samples) -> None:
        self.setup = setup
        self.samples = samples
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        self.ours = self.stack.enter_context(Program(self.setup.ours))
        dpdk = self.setup.dpdk
        self.dpdk = None if dpdk is None else self.stack.enter_context(Program(dpdk))
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def peer_of(self, op: str) -> Measure | None:
        """Return how to measure what `op` is compared with; None if nothing is there."""
        if op in OURSELVES:
            return lambda op: self.ours.measure(OURSELVES[op])
        if self.dpdk is None:
            return None
        if op in TESTPMD:
            return self.testpmd
        return self.dpdk.measure if op in DPDK else None

    def testpmd(self, op: str) -> float:
        """Measure a receive loop, and keep what testpmd itself says of it."""
        size, copy = TESTPMD[op]
        processor, wall = peer_dpdk.receive_mpps(size, copy, CORES, self.setup.huge)
        self.samples[op]["peer Rx-pps by the wall, millions"].append(wall)
        return processor

    def measure(self, op: str, pairs: int, ours_first: bool) -> None:
        """Take samples of both sides by turns."""
        peer = self.peer_of(op)
        sides = [("ours", self.ours.measure), *([("peer", peer)] if peer else [])]
        for pair in range(pairs):
            for side, measure in sides if ours_first == (pair % 2 == 0) else sides[::-1]:
                self.samples[op][side].append(measure(op))


def rust_flags() -> dict[str, str]:
    """Return the release profile and what the environment adds to it."""
    manifest = (ROOT / "core" / "Cargo.toml").read_text()
    _, _, profile = manifest.partition("[profile.release]\n")
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return {
        "profile.release": ", ".join(profile.partition("\n\n")[0].split("\n")).rstrip(", "),
        "RUSTFLAGS": os.environ.get("RUSTFLAGS", ""),
        "rustc": rustc.stdout.strip(),
    }


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the core beside DPDK.")
    parser.add_argument("--rounds", type=arguments.rounds, default=5)
    parser.add_argument("--ops", default="", help="only these, separated by commas")
    parser.add_argument("--seconds", type=arguments.seconds, default=0.25, help="of each sample")
    parser.add_argument("--no-write", action="store_true", help="print only, as --ops does")
    options = parser.parse_args()
    chosen = set(filter(None, options.ops.split(",")))
    if unknown := chosen - {goal.op for goal in GOALS + BESIDE}:
        parser.error(f"no such operation: {', '.join(sorted(unknown))}")
    goals = [goal for goal in GOALS + BESIDE if not chosen or goal.op in chosen]
    about = machine.describe()
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(options.seconds, Path(folder))
        for number in range(options.rounds):
            note(f"round {number + 1} of {options.rounds}")
            with Round(setup, samples) as both:
                for goal in goals:
                    if number == 0 or goal.op not in ONCE:
                        pairs = math.ceil(PAIRS.get(goal.op, 0) / options.rounds)
                        both.measure(goal.op, max(pairs, 1), number % 2 == 0)
    rows = [Row(goal, samples[goal.op]["ours"], samples[goal.op].get("peer")) for goal in goals]
    print(f"{about['cpu']}, load {about['load_average'][0]}; {setup.pages} pages")
    for title, part in (("The core", GOALS), ("Beside it", BESIDE)):
        if shown := [row for row in rows if row.goal in part]:
            show(title, shown, setup.peer or "no DPDK here")
    if options.ops:
        note("only some operations were measured, so nothing is written")
    elif not options.no_write:
        raw = {"machine": about, "load_average_after": machine.load(), **setup.about}
        write("core", rows, {**raw, "samples": samples})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"core: {error}", file=sys.stderr)
        sys.exit(1)
