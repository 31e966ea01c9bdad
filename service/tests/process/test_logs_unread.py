"""A standard error that nobody reads costs lines of the log, and nothing else."""

import fcntl
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemon_support import PATIENCE, DaemonProcess, Stubs, eventually
from skbpool.v1 import lease_pb2

pytestmark = pytest.mark.e2e

LINES = 32
"""Lines that may wait."""

SESSIONS = 100
"""Each of them logs two lines."""


class Pipe:
    """A pipe with a page of room."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)

    def fill(self) -> None:
        """Leave no room in it."""
        # Opened again: whether a write waits is a property that the daemon's end would share.
        own = os.open(f"/proc/self/fd/{self.writer}", os.O_WRONLY | os.O_NONBLOCK)
        with os.fdopen(own, "wb", buffering=0) as file:
            for size in (4096, 1):
                while file.write(b"\n" * size) is not None:
                    pass

    def read_all(self) -> str:
        """Read to the end, once nobody can write any more."""
        os.close(self.writer)
        with os.fdopen(self.reader, closefd=False) as file:
            return file.read()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reader)


@contextmanager
def running(folder: Path, pipe: Pipe) -> Iterator[DaemonProcess]:
    arguments = ["--listen", f"unix:{folder}/d.sock", "--metrics", "127.0.0.1:0"]
    arguments += ["--buffers", "4096", "--log-format", "json"]
    arguments += ["--set", f"log.max_queued_lines={LINES}"]
    with DaemonProcess(*arguments, errors=pipe.writer) as daemon:
        yield daemon.await_ready()


def open_sessions(address: str) -> None:
    """Use the daemon, which logs."""
    with Stubs(address) as stubs:
        for _ in range(SESSIONS):
            session = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(), timeout=PATIENCE)
            request = lease_pb2.AllocateRequest(session_id=next(session).session_id, count=1)
            assert len(stubs.lease.Allocate(request, timeout=PATIENCE).buffers) == 1
            session.cancel()
        stubs.await_home()


def lines_lost(daemon: DaemonProcess) -> int:
    with urllib.request.urlopen(daemon.ready["metrics"], timeout=PATIENCE) as response:
        for line in response.read().decode().splitlines():
            if line.startswith("skbpool_log_lines_lost_total "):
                return int(float(line.split()[1]))
    raise AssertionError("no such metric")


def await_lost(daemon: DaemonProcess) -> None:
    """Wait until a line was lost for each that found neither the pipe nor the queue with room."""
    least = 2 * SESSIONS - LINES - 1
    eventually(lambda: lines_lost(daemon), lambda lost: lost >= least)


def test_it_serves_and_ends_though_nobody_reads(tmp_path: Path, pipe: Pipe) -> None:
    with running(tmp_path, pipe) as daemon:
        pipe.fill()
        open_sessions(daemon.address)
        await_lost(daemon)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(PATIENCE) == 0


def test_a_line_tells_how_many_were_lost(tmp_path: Path, pipe: Pipe) -> None:
    with running(tmp_path, pipe) as daemon:
        pipe.fill()
        open_sessions(daemon.address)
        await_lost(daemon)
        text = bytearray()
        while b"lines of this log are lost" not in text:
            text += os.read(pipe.reader, 4096)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(PATIENCE) == 0
    lines = [json.loads(line) for line in (text.decode() + pipe.read_all()).split("\n") if line]
    lost = [line["lines"] for line in lines if line["event"].startswith("lines of this log")]
    written = [line for line in lines if line["event"].startswith("session ")]
    assert len(written) + sum(lost) == 2 * SESSIONS
    # What was logged last waited for nobody to read, and was written before the end.
    assert lines[-1]["event"] == "stopped"
