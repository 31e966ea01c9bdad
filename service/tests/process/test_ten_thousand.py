"""Ten thousand idle connections: another client is served throughout, and everything comes back."""

import os
import resource
import signal
import socket
import threading
from pathlib import Path

import pytest
from daemon_support import PATIENCE, DaemonProcess, Stubs, eventually
from http2 import PREFACE, SETTINGS, frame
from lease_support import Lease
from skbpool.v1 import lease_pb2

pytestmark = pytest.mark.e2e

WANTED = int(os.environ.get("SKBPOOL_CONNECTIONS", "1000"))
BESIDES = 512
"""Files of either process beside the connections."""
ROUNDS = 2
EACH = 128 << 10
"""Bytes of memory that a connection may cost the daemon."""
REST = 64 << 20
"""Bytes that it may grow by beside them."""


def resident(daemon: DaemonProcess) -> int:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


def files(daemon: DaemonProcess) -> int:
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def connect(address: str) -> socket.socket:
    """Open a connection that has begun to speak HTTP/2, and says nothing more."""
    where: str | tuple[str, int]
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        where = address.removeprefix("unix:")
    else:
        connection = socket.socket(socket.AF_INET)
        host, _, port = address.rpartition(":")
        where = (host, int(port))
    connection.settimeout(PATIENCE)
    connection.connect(where)
    connection.sendall(PREFACE + frame(SETTINGS))
    assert connection.recv(1)
    return connection


def use(stubs: Stubs, over: threading.Event) -> int:
    """Allocate and release until it is over; return how often."""
    lease = Lease(stubs, "other")
    calls = 0
    while not over.is_set():
        request = lease_pb2.AllocateRequest(session_id=lease.id, count=4)
        buffers = stubs.lease.Allocate(request, timeout=PATIENCE).buffers
        release = lease_pb2.ReleaseRequest(session_id=lease.id, handles=buffers)
        stubs.lease.Release(release, timeout=PATIENCE)
        calls += 1
    lease.stream.cancel()
    return calls


def test_idle_connections_cost_others_nothing_and_are_given_back(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The daemon has them all, and this process too.
    count = min(WANTED, hard - 2 * BESIDES if hard != resource.RLIM_INFINITY else WANTED)
    listen = (f"--listen=unix:{tmp_path}/d.sock", "--listen=127.0.0.1:0", "--metrics=")
    most = f"--set=limits.max_connections={count // 2 + 16}"
    over, calls = threading.Event(), [0]
    held: list[socket.socket] = []
    try:
        with DaemonProcess(*listen, "--buffers=1024", most) as daemon:
            daemon.await_ready()
            with Stubs(daemon.address) as stubs:
                lease = Lease(stubs, "first")
                before, files_before = resident(daemon), files(daemon)
                user = threading.Thread(target=lambda: calls.append(use(stubs, over)))
                user.start()
                grown = []
                for _ in range(ROUNDS):
                    held += [connect(daemon.ready["listen"][each % 2]) for each in range(count)]
                    grown.append(resident(daemon) - before)
                    assert files(daemon) >= files_before + count
                    while held:
                        held.pop().close()
                    eventually(lambda: files(daemon), lambda found: found <= files_before + 8)
                over.set()
                user.join(PATIENCE)
                lease.stream.cancel()
                stubs.await_home()
            daemon.signal(signal.SIGTERM)
            assert daemon.finish()[0] == 0
    finally:
        over.set()
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(
        f"{count} of {WANTED} connections, {calls[-1]} calls of another client meanwhile; "
        f"{[size >> 20 for size in grown]} MiB with them, round by round"
    )
    assert calls[-1] > 0
    assert grown[0] < count * EACH + REST
    # The allocator keeps what they had, and the next ones have it.
    assert grown[-1] < grown[0] + REST
