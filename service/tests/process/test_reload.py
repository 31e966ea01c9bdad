"""SIGHUP: what a running daemon takes over, and what it says."""

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from daemon_support import PATIENCE, DaemonProcess, Stubs, refusal
from skbpool.v1 import lease_pb2, pool_pb2, server_pb2

pytestmark = pytest.mark.e2e


class Running:
    """A daemon with a configuration that changes."""

    def __init__(self, folder: Path):
        self.file = folder / "skbpool.toml"
        self.address = f"unix:{folder}/d.sock"
        self.write()
        self.daemon = DaemonProcess("--config", str(self.file), "--log-format", "json")

    def write(self, more: str = "", listener: str = "", buffers: int = 1024) -> None:
        """Write another configuration."""
        self.file.write_text(
            f'metrics = ""\n[[listener]]\naddress = "{self.address}"\n{listener}\n'
            f"[pool]\nbuffers = {buffers}\n{more}\n"
        )

    def reload(self, last: str) -> list[dict[str, Any]]:
        """Send the signal; return the lines of the log up to the one that begins with `last`."""
        self.daemon.signal(signal.SIGHUP)
        assert self.daemon.process.stderr is not None
        lines: list[dict[str, Any]] = []
        for text in self.daemon.process.stderr:
            lines.append(json.loads(text))
            if lines[-1]["event"].startswith(last):
                return lines
        raise AssertionError(f"the daemon ended: {lines}")


@pytest.fixture
def running(tmp_path: Path) -> Any:
    running = Running(tmp_path)
    with running.daemon as daemon:
        daemon.await_ready()
        yield running


def limits(stubs: Stubs) -> server_pb2.Limits:
    return stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest()).limits


def test_what_changed_holds_from_then_on(running: Running) -> None:
    with Stubs(running.address) as stubs:
        stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="one", buffers=16))
        running.write(
            "[limits]\nmax_pools = 2\nmax_handles_per_session = 3\nmax_streams = 7\n",
            'roles = ["observe", "allocate"]',
            buffers=2048,
        )
        lines = running.reload("configuration reloaded")
        assert [line["key"] for line in lines if "key" in line] == [
            "limits.max_streams",
            "pool.buffers",
        ]
        assert lines[-1]["changed"] == [
            "limits.max_handles_per_session",
            "limits.max_pools",
            f"listener {running.address}: roles",
        ]
        found = limits(stubs)
        assert (found.max_pools, found.max_handles_per_session, found.max_streams) == (2, 3, 64)
        request = pool_pb2.CreatePoolRequest(name="two", buffers=16)
        assert (
            refusal(lambda: stubs.pool.CreatePool(request))[0] is grpc.StatusCode.PERMISSION_DENIED
        )
        session = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest())
        taking = lease_pb2.AllocateRequest(session_id=next(session).session_id, count=4)
        code, text = refusal(lambda: stubs.lease.Allocate(taking))
        assert (code, "max_handles_per_session = 3" in text) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            True,
        )
        running.write("[limits]\nmax_pools = 2\n")
        running.reload("configuration reloaded")
        assert refusal(lambda: stubs.pool.CreatePool(request))[0] is (
            grpc.StatusCode.RESOURCE_EXHAUSTED
        )


def test_a_wrong_configuration_changes_nothing_and_says_where(running: Running) -> None:
    running.write("[limits]\nmax_pools = 2\nmax_stream = 1\n")
    line = running.reload("the configuration is wrong")[-1]
    assert line["reason"].startswith(f"{running.file}:9: limits.max_stream: there is no such key")
    with Stubs(running.address) as stubs:
        assert limits(stubs).max_pools == 16
    running.write("[limits]\nmax_pools = 2\n")
    running.reload("configuration reloaded")


def test_the_log_follows_its_level(running: Running) -> None:
    def open_session(name: str) -> None:
        with Stubs(running.address) as stubs:
            next(stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(name=name)))

    running.write('[log]\nlevel = "error"\n')
    running.reload("configuration reloaded")
    # An answer to the next signal: the one before is done with.
    running.write("wrong")
    running.reload("the configuration is wrong")
    open_session("unheard")
    running.write('[log]\nlevel = "info"\n')
    lines = running.reload("configuration reloaded")
    open_session("heard")
    running.daemon.signal(signal.SIGTERM)
    code, _, errors = running.daemon.finish()
    assert code == 0
    events = [*lines, *map(json.loads, errors.splitlines())]
    begun = [line["session"] for line in events if line["event"] == "session begins"]
    assert begun == ["heard"]


def test_systemd_is_told_when_it_reloads(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        arguments = ("--buffers", "256", "--metrics", "", "--listen", f"unix:{tmp_path}/d.sock")
        with DaemonProcess(*arguments, environment=environment) as daemon:
            assert b"READY=1" in supervisor.recv(4096).split(b"\n")
            daemon.signal(signal.SIGHUP)
            reloading, when = supervisor.recv(4096).split(b"\n")
            assert reloading == b"RELOADING=1"
            assert when.startswith(b"MONOTONIC_USEC=")
            assert when.removeprefix(b"MONOTONIC_USEC=").isdigit()
            assert supervisor.recv(4096) == b"READY=1"
            daemon.signal(signal.SIGTERM)
            assert supervisor.recv(4096) == b"STOPPING=1"
            assert daemon.finish()[0] == 0


def test_a_file_that_would_block_changes_nothing_and_stops_nothing(running: Running) -> None:
    running.file.unlink()
    os.mkfifo(running.file)
    lines = running.reload("the configuration is wrong")
    assert "no regular file" in lines[-1]["reason"]
    running.daemon.signal(signal.SIGTERM)
    assert running.daemon.process.wait(PATIENCE) == 0
