"""Fixtures that the tests of the package and of the daemon share."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import go_protos
import hypothesis
import pytest

# Who runs the tests in the background of a shell has them ignore Ctrl-C, and with them every
# program that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a failure that CI shows is one that anybody can repeat.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


def lacking(reason: str) -> NoReturn:
    """Skip the test, or fail it if SKBPOOL_REQUIRE_ALL is 1."""
    if os.environ.get("SKBPOOL_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def system_program() -> Callable[[str, str], str]:
    """Find a program of a system package, `system_program("prometheus", "prometheus")`.

    Without it the test is skipped, or fails if SKBPOOL_REQUIRE_ALL is 1.
    """

    def find(program: str, package: str) -> str:
        path = shutil.which(program)
        if path is not None:
            return path
        lacking(f"{program} is missing: install the package {package}")

    return find


@pytest.fixture(scope="session")
def go_module() -> Path:
    """Return the folder of the Go module, where `go` works.

    Without Go the test is skipped, or fails if SKBPOOL_REQUIRE_ALL is 1.
    """
    reason = go_protos.missing()
    if reason is not None:
        lacking(reason)
    return go_protos.MODULE


@pytest.fixture(scope="session")
def captures_folder() -> Path:
    """Return the folder of capture files that SKBPOOL_CAPTURES names.

    Without it the test is skipped, or fails if SKBPOOL_REQUIRE_ALL is 1.
    """
    name = os.environ.get("SKBPOOL_CAPTURES")
    if not name:
        lacking("SKBPOOL_CAPTURES names no folder of capture files")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"SKBPOOL_CAPTURES={name} is not a folder", pytrace=False)
    return folder
