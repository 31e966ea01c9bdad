"""Writes the goals and what was measured of them into README.md. `make charts`.

The table stands between two comments, and is of core.json, python.json and grpc.json in
bench/results as they lie there: every row that has a goal, met or not.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import python_api
from ratios import RESULTS, Goal
from rpc.paths import against_one, all_paths, start_figures

import core

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- figures: written by make charts -->\n", "<!-- end of figures -->\n"


def goals() -> Iterator[tuple[str, str, list[Goal]]]:
    """Yield each part: what it is beside, the file of its results, its goals."""
    beside = "DPDK; hand-over beside a bare ring, threads and accounting beside our own"
    yield beside, "core.json", core.GOALS + core.BESIDE
    beside = "memoryview, five-tuples beside dpkt"
    yield beside, "python.json", [each.goal for each in python_api.COMPARISONS]
    paths = [figure.goal for path in all_paths() for figure in path.figures]
    ends = [figure.goal for figure in start_figures()]
    many = [against_one(transport) for transport in ("unix", "tcp")]
    beside = "a bare grpcio server, 64 streams beside one of ours"
    yield beside, "grpc.json", paths + ends + many


def rows(goals: Iterable[Goal], measured: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a row of the table for each goal of which there is a figure."""
    found = {row.get("op") or row["path"]: row for row in measured}
    for goal in goals:
        row = found.get(goal.op)
        if row is None or not goal.text():
            continue
        met = goal.reached(row["ours"], row["ratio"])
        if met is None:
            continue
        ratio = "" if row["ratio"] is None else significant(row["ratio"])
        bound = "" if goal.bound is None else f", {row['ours']:.3g} {goal.unit}"
        spread = "" if row.get("spread") is None else significant(row["spread"])
        yield (
            f"| `{goal.op}` | {goal.text()} | {ratio}{bound} | {spread} "
            f"| {'met' if met else '**missed**'} |"
        )


def significant(ratio: float) -> str:
    """Return a ratio with two digits that say something."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def table() -> str:
    """Return the whole of what stands between the comments."""
    parts = []
    for beside, file, of in goals():
        lines = list(rows(of, json.loads((RESULTS / file).read_text())))
        met = sum(line.endswith(" met |") for line in lines)
        head = f"Beside {beside}: {met} of {len(lines)} goals met.\n"
        columns = ["| | goal | ours to theirs | spread | |", "| --- | --- | --- | --- | --- |"]
        parts.append("\n".join([head, *columns]))
        parts[-1] += "\n" + "\n".join(lines) + "\n"
    return "\n".join(parts)


def written(text: str) -> str:
    """Return the README with the table of now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write it."""
    README.write_text(written(README.read_text()))


if __name__ == "__main__":
    main()
