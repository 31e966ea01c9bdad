"""Fixtures: daemons in this process, listening on a Unix socket in the test's own folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from daemon_support import Stubs
from skbpool_service.config import load_settings, merge
from skbpool_service.daemon import Daemon

Start = Callable[..., tuple[Daemon, Stubs]]

# A stream reserves a cache of 256 buffers beside its quota.
SMALL = {
    "metrics": "",
    "shutdown_deadline": 5.0,
    "pool": {"buffers": 8192},
    "limits": {
        "default_quota": 256,
        "max_streams": 8,
        "max_ingest_streams": 8,
        "max_sessions": 4,
    },
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start daemons with some settings changed, and stop them when the test is over."""
    with ExitStack() as stack:

        def start_one(**changes: Any) -> tuple[Daemon, Stubs]:
            where = {"listen": [f"unix:{tmp_path}/{len(list(tmp_path.iterdir()))}.sock"]}
            settings = load_settings(merge(changes, {**SMALL, **where}))
            daemon = stack.enter_context(Daemon(settings))
            stubs = stack.enter_context(Stubs(daemon.addresses[0]))
            return daemon, stubs

        yield start_one


@pytest.fixture
def daemon(start: Start) -> Daemon:
    """Start a daemon with a small pool."""
    return start()[0]


@pytest.fixture
def stubs(daemon: Daemon) -> Iterator[Stubs]:
    """Connect to that daemon."""
    with Stubs(daemon.addresses[0]) as stubs:
        yield stubs


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Make an authority whose certificates are in the test's own folder."""
    return Authority(tmp_path)
