"""Configuration files with anything in them: settings, or which key in which line is wrong."""

import os
import random
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from mutator import mutated
from skbpool_service.config import ConfigError, Limits, PoolSettings, Settings, load_settings, nest

CORPUS = Path(__file__).parents[1] / "corpus" / "config"
SAMPLE = Path(__file__).parents[3] / "deploy" / "skbpool.toml"

ROUNDS = 25
"""Mutations of each file of the corpus."""

WORDS = [
    *(f"{key} = " for key in [*Settings.model_fields, *PoolSettings.model_fields]),
    *(f"limits.{key} = " for key in Limits.model_fields),
    *("[[listener]]\n", "address = ", "mode = ", "[listener.tls]\n", "[roles]\n", "[pool]\n"),
    *("[limits]\n", "[[log]]\n", "'pool'.", "{ a = 1 }", "[1, 2]", '""\n', "# "),
    *("0", "-1", "65536", "1e400", "nan", "0x" + "f" * 5000, "9" * 5000, "1979-05-27", "true"),
    *('"unix:/a"', '"[::1]:1"', '"a..b:1"', "'''", '"\\u0000"', '"try"'),
]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep out what the person who runs the tests has set, and names that only a network knows."""
    for name in [name for name in os.environ if name.startswith("SKBPOOL_")]:
        monkeypatch.delenv(name)
    look_up = socket.getaddrinfo

    def numeric(host: str, port: int, **options: Any) -> Any:
        return look_up(host, port, **options | {"flags": socket.AI_NUMERICHOST})

    monkeypatch.setattr(socket, "getaddrinfo", numeric)


def verdict(file: Path, content: bytes) -> str:
    """Load a file; return what is wrong with it, after looking at how that is said."""
    file.write_bytes(content)
    try:
        settings = load_settings({}, file)
    except ConfigError as error:
        text = str(error)
    else:
        assert settings.default_quota <= settings.max_quota <= settings.pool.buffers
        return ""
    name = re.escape(str(file))
    for line in text.split("\n"):
        assert line.isprintable(), text
        if re.match(rf"{name}: is (not TOML: |not UTF-8 text: |nested too deeply)\S*", line):
            continue
        placed = re.match(rf"{name}:(\d+): \S", line)
        assert placed or not concerns(line, content), text
        if placed:
            assert 1 <= int(placed[1]) <= content.count(b"\n") + 1, text
    return text


def concerns(line: str, content: bytes) -> bool:
    """Whether the file has the first key that a line names; a default may be wrong."""
    return line.partition(": ")[0].partition(".")[0].strip('"').encode() in content


def test_corpus(tmp_path: Path) -> None:
    cases = sorted(CORPUS.iterdir())
    for case in cases:
        wrong = verdict(tmp_path / "skbpool.toml", case.read_bytes())
        assert bool(wrong) == case.name.startswith("wrong-"), (case.name, wrong)
    print(f"{len(cases)} configuration files replayed")
    assert len(cases) > 20


def test_mutated_files(tmp_path: Path) -> None:
    dice = random.Random(1)
    counts = {True: 0, False: 0}
    for case in [SAMPLE, *sorted(CORPUS.iterdir())]:
        text = case.read_bytes().decode(errors="replace")
        for _ in range(ROUNDS):
            content = mutated(dice, text, WORDS).encode()
            counts[bool(verdict(tmp_path / "skbpool.toml", content))] += 1
    print(f"{counts[False]} mutated files loaded, {counts[True]} refused")
    assert min(counts.values()) > 20


def test_mutated_settings_of_the_command_line() -> None:
    dice = random.Random(2)
    words = ["pool.buffers=", "=", ".", "log", "9" * 5000]
    counts = {True: 0, False: 0}
    for _ in range(600):
        pairs = [mutated(dice, "limits.max_streams=8", words), "pool.order=1"]
        try:
            load_settings(nest(pairs))
            counts[False] += 1
        except ConfigError:
            counts[True] += 1
    print(f"{counts[False]} mutated --set loaded, {counts[True]} refused")
    assert min(counts.values()) > 20
