"""What the C library's allocator is told."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from skbpool_service.allocator import keep_memory
told = keep_memory(4 << 20) if sys.argv[1] == "told" else None

def cycle():
    pieces = [b"x" * (1 << 20) for _ in range(8)]

cycle()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    cycle()
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(how: str, **environment: str) -> tuple[str, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    clean.pop("GLIBC_TUNABLES", None)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    told, faults = ran.stdout.split()
    return told, int(faults)


def test_memory_of_messages_is_used_again() -> None:
    told, faults = run("told")
    if told == "False":
        pytest.skip("this C library has no mallopt")
    assert faults < 1000  # of 40,960 pages
    assert run("untold")[1] > 10 * max(faults, 100)


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_environment_goes_before(name: str) -> None:
    assert run("told", **{name: ""})[0] == "False"
