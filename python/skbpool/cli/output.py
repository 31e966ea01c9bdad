"""What is printed where: data to standard output, everything else to standard error."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from skbpool.cli.reader_gone import ReaderGone

WIDTH_OF_A_FILE = 160
"""Columns of a table that goes into a pipe or a file."""


def print_data(text: str) -> None:
    """Print text on standard output.

    Raises:
        ReaderGone: Nobody reads it any more.
    """
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise ReaderGone from None


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object on one line of standard output."""
    print_data(json.dumps(data) + "\n")


def print_tables(*tables: RenderableType) -> None:
    """Print tables for people on standard output."""
    console = data_console()
    with console.capture() as rendered:
        for made in tables:
            console.print(made)
    print_data(rendered.get())


def say(text: str) -> None:
    """Print a line for people on standard error."""
    print(text, file=sys.stderr, flush=True)


def data_console() -> Console:
    """Return the console for tables: standard output."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, markup=False, emoji=False, width=WIDTH_OF_A_FILE)
    return console


def progress_console() -> Console | None:
    """Return the console for progress: standard error, None if nobody looks at it."""
    console = Console(stderr=True, highlight=False)
    return console if console.is_terminal and not console.is_dumb_terminal else None


def table(title: str, *columns: str) -> Table:
    """Return an empty table; names are on the left, figures on the right, close together."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, column in enumerate(columns):
        text = number == 0 or column in ("state", "kind", "dropped", "missed")
        made.add_column(column, justify="left" if text else "right", overflow="fold")
    return made


def count(number: int) -> str:
    """Return a number with its thousands set apart."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: `1 frame`, `2,044 frames`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def reasons(drops: Mapping[str, int], between: str = ", ") -> str:
    """Return drops by reason: `2,044 ring_full, 3 quota`; `0` without any."""
    return between.join(f"{frames:,} {reason}" for reason, frames in drops.items()) or "0"


def with_unit(number: float, unit: str) -> str:
    """Return a number with a decimal prefix: `1.488 Mfps`."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3f} {prefix}{unit}"
    return f"{number:.3f} {unit}"


def seconds(duration: float) -> str:
    """Return a short duration in the unit that suits it: `312 µs`."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if duration >= factor:
            return f"{duration / factor:.3g} {unit}"
    return f"{duration / 1e-9:.3g} ns"


def enum_name(name_of: Any, number: int, prefix: str) -> str:
    """Return an enum's value in lower case without its prefix; a newer daemon's as a number."""
    try:
        return str(name_of(number)).removeprefix(prefix).lower()
    except ValueError:
        return str(number)
