"""What every command's help has, and what usage errors say."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from skbpool.cli.app import app, run

ROOT = typer.main.get_command(app)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(ROOT)), ids=" ".join)
def test_help_has_examples_and_names_values_by_what_they_are(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"\n    skbpool {' '.join(path)}" in shown
    assert "Examples:" in shown
    # The parser's own names of types tell nobody what to write.
    assert not [word for word in ("<int>", "<float>", "<path>", "{name}") if word in shown]
    if "COMMAND" not in shown:
        assert "skbpool --help" in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("subscribe --policy foo", ["'--policy': 'foo' is not one of 'drop-newest'"]),
        ("pool create x --buffers 8 --huge-pages foo", ["'--huge-pages': 'foo' is not one of"]),
        ("nic --rate foo", ["k, M, G and T", "bps", "bit/s", "pps", "fps", "frames/s", "max"]),
        ("driver attach card --rate 5Gbit", ["'5Gbit' is no rate", "bit/s", "frames/s"]),
        ("nic --duration 5d", ["us, ms, s, m, min and h"]),
        ("subscribe --quota-bytes 1TB", ["KiB, MiB and GiB"]),
        ("driver --rate 1Gbps attach card", ["--rate", "skbpool driver attach"]),
    ],
)
def test_a_usage_error_says_what_may_be_written(
    words: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert [each for each in told if each not in line] == []
    assert "Value error" not in line
