"""Where a TOML file sets a key."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def line_of(names: Sequence[str], text: str) -> int | None:
    """Return the line of `text`, which is TOML, that sets a key, or else opens the table it is in.

    The first line of a value over several lines. None if the file says nothing of the key's table.
    Reads each statement by itself, once for each of its lines.
    """
    inside: list[str] = []
    deepest, found = 0, None
    for number, statement, table in _statements(text):
        if statement.lstrip().startswith("["):
            inside = _path(table)
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


def _path(table: Mapping[str, Any] | None) -> list[str]:
    """Return the keys down to the table that a header opens."""
    path = []
    while table:
        ((name, below),) = table.items()
        path.append(name)
        table = below[0] if isinstance(below, list) else below
    return path


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the keys that both paths begin with, if one of them begins with the other."""
    short = min(len(first), len(second))
    return short if list(first[:short]) == list(second[:short]) else 0


def _held(names: Sequence[str], table: Any) -> int:
    """Count the keys of the path that are there."""
    for depth, name in enumerate(names):
        if not isinstance(table, Mapping) or name not in table:
            return depth
        table = table[name]
    return len(names)
