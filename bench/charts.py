"""Draws what `make bench-core` and `make bench-python` measured. `make charts`.

Reads bench/results/core.json and python.json, as far as they are there, and writes beside them
core.svg, beside.svg and python.svg (how many times as fast as the peer, with the goals),
threads.svg and pools.svg.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import python_api
from ratios import RESULTS, Goal

import core

WIDTH, LABELS, FIGURES, ROW, HEAD = 820, 240, 190, 26, 64
INK, FAINT, OURS, GOAL = "#1f2328", "#8b949e", "#2f6fb2", "#c4432b"


@dataclass(frozen=True)
class Bar:
    """One bar, in the unit of its axis, with the figure beside it and a mark where its goal is."""

    label: str
    value: float
    text: str
    goal: float | None = None


def chart(title: str, subtitle: str, bars: Sequence[Bar], line: float | None = None) -> str:
    """Return an SVG of horizontal bars; `line` marks one value for all of them."""
    most = max(max(bar.value, bar.goal or 0) for bar in bars) * 1.04
    scale = (WIDTH - LABELS - FIGURES) / most
    height = HEAD + ROW * len(bars) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="16" font-weight="bold" fill="{INK}">',
        f"{escape(title)}</text>",
        f'<text x="16" y="44" font-size="12" fill="{FAINT}">{escape(subtitle)}</text>',
    ]
    for number, bar in enumerate(bars):
        top = HEAD + ROW * number
        middle = top + ROW / 2 + 4
        parts += [
            f'<text x="{LABELS - 10}" y="{middle:.0f}" text-anchor="end" fill="{INK}">'
            f"{escape(bar.label)}</text>",
            f'<rect x="{LABELS}" y="{top + 4}" width="{bar.value * scale:.1f}" '
            f'height="{ROW - 8}" fill="{OURS}"/>',
        ]
        if bar.goal is not None:
            at = LABELS + bar.goal * scale
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 1}" y2="{top + ROW - 1}" '
                f'stroke="{GOAL}" stroke-width="3"/>'
            )
        parts.append(
            f'<text x="{WIDTH - FIGURES + 16}" y="{middle:.0f}" fill="{INK}" font-size="12">'
            f"{escape(bar.text)}</text>"
        )
    if line is not None:
        at = LABELS + line * scale
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{HEAD - 6}" y2="{height - 10}" '
            f'stroke="{INK}" stroke-dasharray="4 3"/>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def times(row: dict[str, Any], ratio: float) -> float:
    """Turn a ratio of ours to theirs into how many times as fast we are."""
    return ratio if row["better"] == "higher" else 1 / ratio


def compared(rows: Iterable[dict[str, Any]], goals: Sequence[Goal]) -> list[Bar]:
    """Return a bar for each row that has a peer."""
    wanted = {goal.op: goal for goal in goals}
    bars = []
    for row in rows:
        if row["op"] not in wanted or row["ratio"] is None:
            continue
        ratio, goal = row["ratio"], wanted[row["op"]].ratio
        text = f"{times(row, ratio):.2g}x,  {row['ours']:.3g} / {row['peer']:.3g} {row['unit']}"
        mark = None if goal is None else times(row, goal)
        bars.append(Bar(row["op"], times(row, ratio), text, mark))
    return bars


def plain(rows: Iterable[dict[str, Any]], prefix: str) -> list[Bar]:
    """Return a bar for each row whose name begins so, in its own unit."""
    return [
        Bar(row["op"], row["ours"], f"{row['ours']:.3g} {row['unit']}")
        for row in rows
        if row["op"].startswith(prefix)
    ]


def read(name: str) -> list[dict[str, Any]]:
    """Return the rows of a file of results, none if it was not measured."""
    path = RESULTS / name
    return json.loads(path.read_text()) if path.exists() else []


def main() -> int:
    """Draw what there is."""
    measured, python = read("core.json"), read("python.json")
    of = "bars: times as fast as the peer; beside them ours / theirs; red: goal; dashed: as fast"
    threads = "millions of skbs a second of processor time, 512 held a thread, two cores"
    held = "half of the pool held, oldest first out; from 128 Ki on one sample, on small pages"
    goals = [each.goal for each in python_api.COMPARISONS]
    charts: list[tuple[str, list[Bar], Callable[[list[Bar]], str]]] = [
        (
            "core.svg",
            compared(measured, core.GOALS),
            lambda bars: chart("The core beside DPDK, hand-over beside a bare ring", of, bars, 1),
        ),
        (
            "beside.svg",
            compared(measured, core.BESIDE),
            lambda bars: chart("Beside the core: DPDK, or our own without it", of, bars, 1),
        ),
        (
            "threads.svg",
            plain(measured, "threads_"),
            lambda bars: chart("Threads on two cores, for each core", threads, bars),
        ),
        (
            "pools.svg",
            plain(measured, "pool_"),
            lambda bars: chart("An skb allocated and released", held, bars),
        ),
        (
            "python.svg",
            compared(python, goals),
            lambda bars: chart("Python beside memoryview, bytes and dpkt", of, bars, 1),
        ),
    ]
    drawn = [(RESULTS / name, draw(bars)) for name, bars, draw in charts if bars]
    for path, svg in drawn:
        path.write_text(svg)
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.name)
    if not drawn:
        print("nothing was measured yet: make bench-core bench-python", file=sys.stderr)
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
