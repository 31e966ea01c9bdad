"""What cannot be meant is refused before anything is built or measured."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "9" * 40, ""])
def test_rounds(value: str) -> None:
    assert "no number of rounds: 1 to 1000" in refused("python_api.py", f"--rounds={value}")


@pytest.mark.parametrize("value", ["0", "-1", "x", "nan", "inf", "1e9", ""])
def test_seconds(value: str) -> None:
    assert "no length of time: more than 0" in refused("python_api.py", f"--seconds={value}")


@pytest.mark.parametrize(
    ("program", "flag"),
    [("core.py", "--seconds"), ("over_grpc.py", "--soak"), ("over_grpc.py", "--seconds")],
)
def test_every_benchmark_looks(program: str, flag: str) -> None:
    assert "no length of time" in refused(program, f"{flag}=-1")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("mutants SECONDS_EACH=-1", "takes no SECONDS_EACH=; it takes TABLE= ONLY= LIST="),
        ("bench-grpc-memory ROUNDS=2", "takes no ROUNDS=; it takes SECONDS="),
        ("fuzz OPS=rx_64", "takes no OPS=; it takes SECONDS= ONLY="),
    ],
)
def test_make_takes_no_variable_of_another_target(command: str, told: str) -> None:
    ended = run(["make", "--dry-run", *command.split()])
    assert (ended.returncode, told in ended.stderr) == (2, True)


def refused(program: str, argument: str) -> str:
    ended = run([sys.executable, str(BENCH / program), argument])
    assert ended.returncode == 2
    return ended.stderr


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=BENCH.parent, check=False
    )
