"""From samples to a table and a file: medians of each round's ratio judge."""

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parent / "results"
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Goal:
    """What is compared, and what its ratio of ours to theirs should be."""

    op: str
    unit: str
    ratio: float | None = None
    better: Better = "lower"
    bound: float | None = None
    """Ours must be on the better side of this as well, in `unit`."""
    note: str = ""

    def text(self) -> str:
        """Return it as the table shows it."""
        sign = "≤" if self.better == "lower" else "≥"
        ratio = [] if self.ratio is None else [f"{sign} {self.ratio:g}"]
        bound = [] if self.bound is None else [f"{sign} {self.bound:g} {self.unit}"]
        return ", ".join(ratio + bound)

    def reached(self, ours: float, ratio: float | None) -> bool | None:
        """Whether `ours` and the `ratio` reach it; None if that cannot be told."""
        asked = [(self.ratio, ratio), (self.bound, ours)]
        found = [(goal, value) for goal, value in asked if goal is not None]
        if not found or any(value is None for _, value in found):
            return None
        sign = 1 if self.better == "lower" else -1
        return all(value is not None and sign * value <= sign * goal for goal, value in found)


@dataclass(frozen=True)
class Row:
    """One comparison: a sample of each side for each round."""

    goal: Goal
    ours: Sequence[float]
    peer: Sequence[float] | None

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, round by round."""
        if self.peer is None:
            return []
        return [ours / peer for ours, peer in zip(self.ours, self.peer, strict=True)]

    @property
    def ratio(self) -> float | None:
        """Median of the ratios; None without a peer."""
        return statistics.median(self.ratios) if self.peer is not None else None

    @property
    def spread(self) -> float | None:
        """Range of the ratios, or without a peer the range of ours to its median; None of one."""
        values = self.ratios
        if self.peer is None:
            middle = statistics.median(self.ours)
            values = [ours / middle for ours in self.ours]
        return max(values) - min(values) if len(values) > 1 else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one, or without the peer that it names."""
        return self.goal.reached(statistics.median(self.ours), self.ratio)

    def as_dict(self) -> dict[str, Any]:
        """Return what the file of results says."""
        peer = None if self.peer is None else significant(statistics.median(self.peer))
        return {
            "op": self.goal.op,
            "ours": significant(statistics.median(self.ours)),
            "peer": peer,
            "unit": self.goal.unit,
            "ratio": significant(self.ratio),
            "better": self.goal.better,
            "spread": significant(self.spread),
        }


def significant(value: float | None) -> float | None:
    """Round to four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def show(title: str, rows: Iterable[Row], peer: str) -> None:
    """Print a table; the spread is the range of the ratios over the rounds."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("operation", "ours", peer, "unit", "ratio", "spread", "goal", "met", ""):
        right = column in {"ours", peer, "ratio", "spread"}
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        as_dict = row.as_dict()
        figures = (as_dict[key] for key in ("ours", "peer", "ratio", "spread"))
        ours, theirs, ratio, spread = ("-" if each is None else f"{each:.4g}" for each in figures)
        met = {None: "", True: "yes", False: "NO"}[row.met]
        note = row.goal.note
        table.add_row(
            row.goal.op, ours, theirs, row.goal.unit, ratio, spread, row.goal.text(), met, note
        )
    console = Console(highlight=False)
    Console(highlight=False, width=max(console.width, 150)).print(table)


def write(name: str, rows: Iterable[Row], raw: object) -> None:
    """Write the table, and beside it everything it was made from."""
    RESULTS.mkdir(exist_ok=True)
    for path, content in (
        (f"{name}.json", [row.as_dict() for row in rows]),
        (f"{name}-raw.json", raw),
    ):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (RESULTS / path).write_text(text + "\n")


def note(text: str) -> None:
    """Say on a terminal what is going on."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
