"""A daemon for the tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from skbpool_processes import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("daemon")
    with Daemon(folder) as running:
        yield running
