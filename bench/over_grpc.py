"""Measures the daemon beside a bare grpcio server. `make bench-grpc`.

    python bench/over_grpc.py [--rounds N] [--paths NAME,...] [--seconds S] [--soak S] [--no-write]

The bare server (bench/peers/grpc_bare.py) does nothing with its bytes: it is the limit of the
transport. One client process drives both with the same code and messages of about 1 MiB that were
encoded before, over a Unix socket and over TCP. Samples of the two alternate within a round, and
which comes first alternates between rounds; medians of the ratios judge, the spread is their range.
At the daemon a consumer gets every frame as an skb and looks at its header. A sample counts only if
everything that was sent was received.

The rows `streams_64_*` have no bare server in them: they show what 64 streams of the daemon carry
together beside what one of its own does, which grpc.json calls `one_stream`.

Writes bench/results/grpc.json and, with every sample, bench/results/grpc-raw.json.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import arguments
import grpc
import machine
import ratios
from private_daemon import DaemonError, Signals
from ratios import Row, note, show
from rpc.copies import describe_copies
from rpc.paths import (
    WIDE_MIX,
    Figure,
    against_one,
    all_paths,
    soak_figures,
    start_figures,
)
from rpc.paths import Path as Measured
from rpc.samples import Figures, Sampler, start
from rpc.sides import STREAMS, Bare, Client, Mismatch, Ours, Server

Samples = dict[str, dict[str, list[Figures]]]
"""By path and side, a sample a round."""

START = "start"
SOAK = "memory"
SOAK_MIX = "imix"

ONE_STREAM = "one_stream"
"""What the daemon's own single stream is called, beside which many are shown."""


class Measurement:
    """All samples of a run."""

    def __init__(self, paths: Sequence[Measured], names: set[str], signals: Signals) -> None:
        self.paths = paths
        self.names = names
        self.signals = signals
        self.samples: Samples = defaultdict(lambda: defaultdict(list))

    def round(self, sampler: Sampler, ours: Ours, bare: Bare, ours_first: bool) -> None:
        """Take a sample of each path at both servers."""
        seen: dict[str, dict[str, Figures]] = {"ours": {}, "bare": {}}
        sides: list[tuple[str, Server]] = [("ours", ours), ("bare", bare)]
        for path in self.paths:
            note(f"  {path.name}")
            for side, server in sides if ours_first else sides[::-1]:
                found = sampler.again(lambda: path.take(sampler, server, seen[side]))  # noqa: B023
                seen[side][path.name] = found
                self.samples[path.name][side].append(found)
        if START in self.names:
            for side, make in (("ours", Ours), ("bare", Bare)):
                self.samples[START][side].append(start(make, self.signals))

    def soak(self, sampler: Sampler, ours: Ours, bare: Bare, seconds: float) -> None:
        """Take one sample of memory at full rate of each server, as long as asked for."""
        note(f"memory, {seconds:g} s each")
        for side, server in (("ours", ours), ("bare", bare)):
            self.samples[SOAK][side].append(sampler.soak(server, SOAK_MIX, seconds))

    def rows(self, soak_seconds: float) -> list[Row]:
        """Return the table of the daemon beside the bare server."""
        named = [(path.name, path.figures) for path in self.paths]
        named += [(START, start_figures()), (SOAK, soak_figures(soak_seconds))]
        return [
            self._row(name, figure)
            for name, figures in named
            for figure in figures
            if name in self.samples
        ]

    def _row(self, name: str, figure: Figure) -> Row:
        ours, bare = (
            [sample[figure.key] * figure.scale for sample in self.samples[name][side]]
            for side in ("ours", "bare")
        )
        # A growth may be nothing, and so may ticks in a short sample: then there is no ratio.
        return Row(figure.goal, ours, bare if all(value > 0 for value in bare) else None)


def rows_beside_one(samples: Samples) -> list[Row]:
    """Return the table of many streams of the daemon beside one of its own."""
    rows: list[Row] = []
    for transport in ("unix", "tcp"):
        wide = f"ingest_{WIDE_MIX}_{transport}_{STREAMS}_streams"
        one = f"ingest_{WIDE_MIX}_{transport}"
        if wide in samples and one in samples:
            ours = [sample["bytes"] / 1e9 for sample in samples[wide]["ours"]]
            single = [sample["bytes"] / 1e9 for sample in samples[one]["ours"]]
            rows.append(Row(against_one(transport), ours, single))
    return rows


def as_dict(row: Row, peer: str) -> dict[str, Any]:
    """Return what the file of results says of a row, whose peer is called `peer`."""
    found = row.as_dict()
    return {
        "path": found["op"],
        "ours": found["ours"],
        peer: found["peer"],
        "unit": found["unit"],
        "ratio": found["ratio"],
        "spread": found["spread"],
    }


def write(tables: Mapping[str, Sequence[Row]], raw: object) -> None:
    """Write the tables, by what their peer is called, and beside them what they were made from."""
    table = [as_dict(row, peer) for peer, rows in tables.items() for row in rows]
    for name, content in (("grpc", table), ("grpc-raw", raw)):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (ratios.RESULTS / f"{name}.json").write_text(text + "\n")


def parse(paths: Sequence[Measured]) -> argparse.Namespace:
    """Return the options; `names` are the paths that were chosen."""
    known = [*(path.name for path in paths), START]
    parser = argparse.ArgumentParser(description="Measure the daemon beside a bare grpcio server.")
    parser.add_argument("--rounds", type=arguments.rounds, default=5)
    parser.add_argument("--paths", default="", help="only these, separated by commas")
    parser.add_argument("--seconds", type=arguments.seconds, default=1.0, help="of each sample")
    parser.add_argument(
        "--soak",
        type=arguments.seconds,
        default=0.0,
        help="seconds of memory at full rate, of each side",
    )
    parser.add_argument("--no-write", action="store_true", help="only print the tables")
    options = parser.parse_args()
    chosen = set(filter(None, options.paths.split(",")))
    if unknown := chosen - {*known, SOAK}:
        parser.error(f"no such path: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options.names = chosen or set(known)
    return options


def main() -> int:
    """Measure, print, write."""
    paths = list(all_paths())
    options = parse(paths)
    signals = Signals()
    about = machine.describe()
    wanted = [path for path in paths if path.name in options.names]
    measurement = Measurement(wanted, options.names, signals)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="skbpool-")))
        sampler = Sampler(stack.enter_context(Client(signals)), options.seconds)
        bare = stack.enter_context(Bare(folder, signals))
        ours = stack.enter_context(Ours(folder, signals))
        for number in range(options.rounds if wanted or START in options.names else 0):
            note(f"round {number + 1} of {options.rounds}")
            measurement.round(sampler, ours, bare, number % 2 == 0)
        if options.soak:
            measurement.soak(sampler, ours, bare, options.soak)
    rows, beside_one = measurement.rows(options.soak), rows_beside_one(measurement.samples)
    print(
        f"{about['cpu']}, {about['cores']} cores, load {about['load_average'][0]} before and "
        f"{machine.load()[0]} after; grpcio {grpc.__version__}; samples taken again because "
        f"something was missed: {sampler.retries}"
    )
    show("The daemon beside a bare grpcio server", rows, "bare")
    if beside_one:
        show("Many streams of the daemon beside one of its own", beside_one, ONE_STREAM)
    print(describe_copies())
    if not options.no_write:
        raw = {
            "machine": about,
            "load_average_after": machine.load(),
            "grpcio": grpc.__version__,
            "seconds_a_sample": options.seconds,
            "taken_again": sampler.retries,
            "samples": measurement.samples,
        }
        write({"bare": rows, ONE_STREAM: beside_one}, raw)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DaemonError, Mismatch, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"over_grpc: {error}", file=sys.stderr)
        sys.exit(1)
