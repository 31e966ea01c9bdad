"""Where a TOML file sets a key."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Path = Sequence[str | int]
"""A key: names, and places in lists of tables, from 0 on."""


def line_of(names: Path, text: str) -> int | None:
    """Return the line of `text`, which is TOML, that sets a key, or else opens the table it is in.

    The first line of a value over several lines. None if the file says nothing of the key's table.
    Reads each statement by itself, once for each of its lines.
    """
    inside: list[str | int] = []
    begun: dict[tuple[str, ...], int] = {}
    deepest, found = 0, None
    for number, statement, table in _statements(text):
        if statement.lstrip().startswith("["):
            inside = _place(_path(table), begun, begins=statement.lstrip().startswith("[["))
            depth = _common(names, inside)
        elif list(names[: len(inside)]) == inside:
            depth = len(inside) + _held(names[len(inside) :], table)
        else:
            continue
        if depth > deepest:
            deepest, found = depth, number
    return found


def line_of_long_number(text: str) -> int | None:
    """Return the line of a number with more digits than Python reads, by default 4300."""
    for number, _, table in _statements(text):
        if table is None:
            return number
    return None


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Give first line, text and content of each statement; no content if a number is too long."""
    begun, lines = 1, list[str]()
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        lines.append(line)
        statement = "\n".join(lines)
        try:
            yield begun, statement, tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # goes on in the next line
        except ValueError:
            yield begun, statement, None
        begun, lines = number + 1, []


def _place(path: list[str], begun: dict[tuple[str, ...], int], *, begins: bool) -> list[str | int]:
    """Return the keys down to a table with its place in each list of tables.

    `begun` counts the tables of each list; the header is of another one if it `begins` one.
    """
    if begins:
        begun[tuple(path)] = begun.get(tuple(path), -1) + 1
    placed: list[str | int] = []
    for depth, name in enumerate(path, start=1):
        placed.append(name)
        if (place := begun.get(tuple(path[:depth]))) is not None:
            placed.append(place)
    return placed


def _path(table: Mapping[str, Any] | None) -> list[str]:
    """Return the keys down to the table that a header opens."""
    path = []
    while table:
        ((name, below),) = table.items()
        path.append(name)
        table = below[0] if isinstance(below, list) else below
    return path


def _common(first: Path, second: Path) -> int:
    """Count the keys that both paths begin with, if one of them begins with the other."""
    short = min(len(first), len(second))
    return short if list(first[:short]) == list(second[:short]) else 0


def _held(names: Path, table: Any) -> int:
    """Count the keys of the path that are there."""
    for depth, name in enumerate(names):
        if isinstance(name, int):
            there = isinstance(table, list) and name < len(table)
        else:
            there = isinstance(table, Mapping) and name in table
        if not there:
            return depth
        table = table[name]
    return len(names)
