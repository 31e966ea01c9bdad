"""Running tests against one mutation until one of them notices."""

import os
import re
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .workspace import Executable

# A test that takes this much longer than without a mutation has noticed it as well. On a busy
# machine it may just be late, so one that fails is looked for first.
LEAST_SECONDS = 60.0
TIMES_AS_LONG = 20.0
ENDLESS = "does not end"

LISTED = re.compile(r"(?m)^(\S+): test$")


@dataclass(frozen=True)
class Test:
    """One test of an executable, and how long it takes when nothing is broken."""

    program: Executable
    name: str
    seconds: float

    def __str__(self) -> str:
        """Its name, as people know it."""
        return self.name.removeprefix("models::")


class BrokenUnmutated(Exception):
    """A test fails although nothing is mutated."""


def run(program: Executable, name: str, mutant: str, seconds: float) -> str:
    """Run one test; say how it ended: nothing if it passed."""
    environment = os.environ | {"RUST_BACKTRACE": "0"}
    if mutant:
        environment["SKBPOOL_MUTANT"] = mutant
    try:
        ended = subprocess.run(
            [program.path, "--exact", name, "--test-threads=1"],
            cwd=program.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{ENDLESS} within {seconds:.0f} s"
    if ended.returncode == 0:
        if " 1 passed" not in ended.stdout:
            raise BrokenUnmutated(f"{name} was not run")
        return ""
    return "fails" if "... FAILED" in ended.stdout else "aborts"


def tests_of(programs: Iterable[Executable]) -> list[Test]:
    """Return the tests of some executables, each run once without a mutation, the fastest first."""
    found = []
    for program in programs:
        listing = subprocess.run(
            [program.path, "--list", "--format=terse"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        for name in LISTED.findall(listing.stdout):
            start = time.monotonic()
            if ended := run(program, name, "", 600):
                raise BrokenUnmutated(f"{name} {ended} although nothing is mutated")
            found.append(Test(program, name, time.monotonic() - start))
    return sorted(found, key=lambda test: test.seconds)


class Judge:
    """Tries the tests that caught mutations of the same source first, then the fastest."""

    def __init__(self, tests: list[Test]) -> None:
        self._tests = tests
        self._caught: defaultdict[tuple[str, Test], int] = defaultdict(int)
        self._lock = threading.Lock()

    def caught_by(self, source: str, crate: str, mutant: str) -> str:
        """Return which test notices a mutation, and how; empty if none does.

        The tests of `crate` come first, then those of the others, which use it.
        """
        with self._lock:
            hits = dict(self._caught)
        order = sorted(
            self._tests,
            key=lambda test: (
                -hits.get((source, test), 0),
                test.program.crate != crate,
                test.seconds,
            ),
        )
        endless = ""
        for test in order:
            allowed = max(LEAST_SECONDS, TIMES_AS_LONG * test.seconds)
            ended = run(test.program, test.name, mutant, allowed)
            if ended.startswith(ENDLESS):
                endless = endless or f"{test}, which {ended}"
            elif ended:
                with self._lock:
                    self._caught[source, test] += 1
                return str(test) if ended == "fails" else f"{test}, which {ended}"
        return endless
