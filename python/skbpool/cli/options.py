"""Options that several commands share, and how what people write is read."""

import re
from collections.abc import Callable
from typing import Annotated

import typer

from skbpool.addresses import SERVER_VARIABLE, AddressError, find_server, parse_address
from skbpool.cli.failure import bad_value

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="ADDRESS",
        help="The daemon: unix:PATH or HOST:PORT; without it SKBPOOL_SERVER, then the default one.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "": 1.0}

MIN_DURATION = 0.001
MAX_DURATION = 86_400.0


def server_address(server: str | None) -> str:
    """Return the address of the daemon to talk to.

    Raises:
        typer.BadParameter: `--server` or SKBPOOL_SERVER holds no address.
    """
    try:
        return str(find_server() if server is None else parse_address(server))
    except AddressError as error:
        text = str(error).removeprefix(f"{SERVER_VARIABLE}: ")
        hint = SERVER_VARIABLE if server is None else "--server"
        raise bad_value(hint, text) from None


# The parsers of values: the option that a value is for is named by whoever calls them.


def parse_duration(text: str) -> float:
    """Return a duration in seconds: `10s`, `500ms`, `1.5m`, `1h`, a number alone is seconds.

    Raises:
        typer.BadParameter: It is none, or is shorter than 1 ms or longer than a day.
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _UNITS:
        raise typer.BadParameter(
            f"{text!r} is no duration: write a number and a unit of us, ms, s, m, min and h, as in "
            "500ms or 10s; a number alone is seconds"
        )
    seconds = float(found[1]) * _UNITS[found[2]]
    if not MIN_DURATION <= seconds <= MAX_DURATION:
        raise typer.BadParameter(f"{text!r} is out of range: 1ms to 24h")
    return seconds


_SIZE_UNITS = {"": 0, "b": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30}


def byte_size(low: int, high: int) -> Callable[[str | int], int]:
    """Return a parser for sizes from `low` to `high` bytes: `4096`, `64KiB`, `16M`, `1G`."""

    def parse(given: str | int) -> int:
        text = str(given)  # a default is parsed too
        found = re.fullmatch(r"\s*([0-9]{1,20})\s*([a-z]*)\s*", text.lower())
        if found is None or found[2] not in _SIZE_UNITS:
            raise typer.BadParameter(
                f"{text!r} is no size: write bytes, or a number and a unit of KiB, MiB and GiB, "
                "as in 64KiB or 16MiB"
            )
        size = int(found[1]) << _SIZE_UNITS[found[2]]
        if not low <= size <= high:
            raise typer.BadParameter(f"{text!r} is out of range: {low} to {high} bytes")
        return size

    return parse


def name_of_a(kind: str) -> Callable[[str], str]:
    """Return a parser for the names that a driver or consumer may have, as the daemon sees it."""

    def parse(text: str) -> str:
        if not re.fullmatch(r"[!-~]{1,63}", text):
            hint = "" if text else "; leave the option out for one that the daemon chooses"
            raise typer.BadParameter(
                f"a {kind}'s name is 1 to 63 printable ASCII characters without spaces, "
                f"not {text[:80]!r}{hint}"
            )
        return text

    return parse


def whole_number(low: int, high: int, unit: str) -> Callable[[str | int], int]:
    """Return a parser for integers from `low` to `high`, which are `unit`."""

    def parse(given: str | int) -> int:
        text = str(given)  # a default is parsed too
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,4000}\s*", text):
            raise typer.BadParameter(f"{text!r} is no integer: give {low} to {high} {unit}")
        number = int(text)
        if not low <= number <= high:
            raise typer.BadParameter(f"{text!r} is out of range: {low} to {high} {unit}")
        return number

    return parse
