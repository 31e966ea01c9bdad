"""Shows that the floor for speed holds on this machine. `make bench-floor`.

    python bench/floor.py [--rounds N] [--duration TIME] [--output FILE]

Measures, in rounds: 64-byte frames at 1 GbE line rate through gRPC into the daemon and its stamp
reader, which touches every skb; the most that goes the same way; and the most that goes from the
emulated card through the receive loop and the hub to a counting consumer inside one process. Prints
a table, and exits with 1 if a goal is missed. Writes a file only with --output.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arguments
from private_daemon import DaemonError, PrivateDaemon, Signals
from rich import box
from rich.console import Console
from rich.table import Table

LINE_RATE = 1_488_095
"""64-byte frames a second on 1 Gbit/s Ethernet: 10^9 / ((64 + 20) * 8)."""
IN_PROCESS = 10 * LINE_RATE
TOLERANCE = 0.999
"""A line of the goal's very rate may miss it by what the clock's granularity costs."""
SIZE = "64"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """One thing measured: a figure for each round."""

    what: str
    goal: int | None
    rates: Sequence[float]
    dropped: Sequence[int]
    lost: Sequence[int]

    @property
    def median(self) -> float:
        """Median of the rates, in frames a second."""
        return statistics.median(self.rates)

    @property
    def reached(self) -> bool | None:
        """Whether every round reached the goal with nothing dropped or lost; None without one."""
        if self.goal is None:
            return None
        whole = not any(self.dropped) and not any(self.lost)
        return whole and min(self.rates) >= self.goal * TOLERANCE


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(description="Show that the floor for speed holds.")
    parser.add_argument("--rounds", type=arguments.rounds, default=3)
    parser.add_argument("--duration", default="10s", help="of each run at line rate")
    parser.add_argument("--max-duration", default="5s", help="of each run at the most")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    signals = Signals()
    try:
        rows = [
            through_grpc(
                signals, "gRPC, 1 GbE line rate", "1Gbps", options.duration, options.rounds
            ),
            through_grpc(
                signals, "gRPC, as fast as it goes", "max", options.max_duration, options.rounds
            ),
            in_process(options.rounds),
        ]
    except (DaemonError, subprocess.CalledProcessError) as error:
        print(f"floor: {error}", file=sys.stderr)
        return 1
    show(rows)
    if options.output is not None:
        options.output.write_text(json.dumps(as_dict(rows), indent=2) + "\n")
    return 0 if all(row.reached is not False for row in rows) else 1


def through_grpc(signals: Signals, what: str, rate: str, duration: str, rounds: int) -> Row:
    """Let `skbpool nic` drive a daemon of our own, a fresh one each round."""
    reports: list[dict[str, Any]] = []
    for number in range(1, rounds + 1):
        note(f"{what}: round {number} of {rounds}")
        with PrivateDaemon(signals) as daemon:
            flags = ["--rate", rate, "--size", SIZE, "--duration", duration, "--json"]
            nic = daemon.start(["nic", "--server", daemon.address, *flags], stdout=subprocess.PIPE)
            printed, _ = nic.communicate()
            if nic.returncode != 0:
                raise subprocess.CalledProcessError(nic.returncode, "skbpool nic")
            reports.append(json.loads(printed))
    return Row(
        what,
        LINE_RATE if rate != "max" else None,
        [report["frames_per_second"] for report in reports],
        [sum(report["dropped"].values()) for report in reports],
        [report["lost"] for report in reports],
    )


def in_process(rounds: int) -> Row:
    """Run the example of the crate, which prints a JSON line a round."""
    note("in process: building")
    command = ["cargo", "run", "--quiet", "--release", "--manifest-path", "core/Cargo.toml"]
    command += ["--package", "skbpool-nic", "--example", "floor", "--", str(rounds), "2"]
    printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    found = [line for line in lines if line["what"] == "in_process_64"]
    return Row(
        "in process, as fast as it goes",
        IN_PROCESS,
        [line["frames_per_second"] for line in found],
        [line["dropped"] for line in found],
        [line["lost"] for line in found],
    )


def note(text: str) -> None:
    """Say on a terminal what is going on."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def show(rows: Iterable[Row]) -> None:
    """Print the table."""
    table = Table(title=f"{SIZE}-byte frames a second, {machine()}", box=box.SIMPLE_HEAD)
    for column in ("", "median", "least", "most", "dropped", "lost", "goal", "reached"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row.what,
            f"{row.median:,.0f}",
            f"{min(row.rates):,.0f}",
            f"{max(row.rates):,.0f}",
            f"{sum(row.dropped):,}",
            f"{sum(row.lost):,}",
            "" if row.goal is None else f"{row.goal:,}",
            {None: "", True: "yes", False: "NO"}[row.reached],
        )
    console = Console(highlight=False)
    Console(highlight=False, width=max(console.width, 120)).print(table)


def as_dict(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the figures for a file."""
    return {
        "machine": machine(),
        "size": int(SIZE),
        "rows": [{**vars(row), "median": row.median, "reached": row.reached} for row in rows],
    }


def machine() -> str:
    """Return what the figures were measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
