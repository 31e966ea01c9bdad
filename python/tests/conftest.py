"""Fixtures of the package's own tests."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from extension_builder import build, load
from skbpool import Pool
from skbpool_processes import Daemon

C_API = Path(__file__).parent / "c_api"


@pytest.fixture(scope="session")
def cython_driver(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Build and import a driver in Cython, against the installed package."""
    return load(build(C_API / "cython_driver.pyx", tmp_path_factory.mktemp("cython_driver")))


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Lend a pool of 16 buffers; afterwards every one has to be home, and nothing out of place."""
    with Pool(16, name="test") as pool:
        yield pool
        assert pool.stats().in_flight == 0
        assert pool.stats().violations == 0
        pool.audit()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon for the tests of a module, in which a consumer may ask for the whole pool."""
    whole = ("--set", "limits.max_quota=131072")
    with Daemon(tmp_path_factory.mktemp("daemon"), *whole) as running:
        yield running


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect what goes to `sys.unraisablehook`."""
    caught: list[Any] = []
    hook: Callable[[Any], None] = lambda unraisable: caught.append(unraisable.exc_value)  # noqa: E731
    monkeypatch.setattr(sys, "unraisablehook", hook)
    return caught
