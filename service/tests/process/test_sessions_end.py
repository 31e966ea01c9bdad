"""Lease sessions of real clients end however the client does: what they held comes home.

Within a second of a close or kill; within keepalive time and timeout and a second of a client that
stops or whose line is cut. The tests wait that long and, since the machine may be busy with other
things, `MARGIN` longer; what it took is printed.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from daemon_support import DaemonProcess, Stubs, child, eventually
from lease_support import Lease
from relay import Relay
from skbpool.v1 import holder_pb2, server_pb2

pytestmark = pytest.mark.e2e

KEEPALIVE = ("--set", "keepalive_time=1", "--set", "keepalive_timeout=1")
MARGIN = 5.0
"""Seconds that a busy machine may take beside what the daemon promises."""

KILLED = 1.0 + MARGIN
"""Seconds after a close or kill until everything is home."""

SILENT = 1.0 + 1.0 + 1.0 + MARGIN
"""The same of a client that gives no sign of life: keepalive time, timeout and a second."""

KILLS = int(os.environ.get("SKBPOOL_KILLS", "5"))
"""How often a client is killed at work."""

BUFFERS = 1024


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"unix:{tmp_path}/daemon.sock" if request.param == "unix" else "127.0.0.1:0"


def daemon_on(address: str, *arguments: str) -> DaemonProcess:
    small = ("--buffers", str(BUFFERS), "--metrics", "", "--set", "limits.default_quota=64")
    return DaemonProcess(*small, "--listen", address, *arguments)


def nobody_holds(stubs: Stubs) -> bool:
    return not stubs.holder.ListHolders(holder_pb2.ListHoldersRequest()).holders


def await_home(stubs: Stubs, since: float, what: str, patience: float = KILLED) -> None:
    """Wait until everything is home, and print how long that took."""
    stubs.await_home(patience=patience)
    print(f"{what}: home after {time.monotonic() - since:.3f} s")
    eventually(lambda: nobody_holds(stubs))


def test_a_client_that_closes_or_is_killed(address: str) -> None:
    with daemon_on(address) as daemon, Stubs(daemon.await_ready().address) as stubs:
        lease = Lease(stubs)
        lease.allocate(100)
        begin = time.monotonic()
        lease.stream.cancel()
        await_home(stubs, begin, f"{daemon.address}: closed")
        with child("session", daemon.address, "100") as client:
            assert stubs.statistics().in_flight == 100
            begin = time.monotonic()
            client.send_signal(signal.SIGKILL)
            await_home(stubs, begin, f"{daemon.address}: killed")


def kill_at_work(stubs: Stubs, address: str, calls: int, promised: int) -> float:
    """Kill a client after so many buffers came home; return the seconds until its own have."""
    with child("churn", address, "8") as client:
        before = stubs.statistics().releases
        eventually(lambda: stubs.statistics().releases - before, lambda home: home >= calls)
        begin = time.monotonic()
        client.send_signal(signal.SIGKILL)
        eventually(lambda: stubs.statistics().reserved == promised, patience=KILLED)
        return time.monotonic() - begin


def test_a_client_that_is_killed_at_work(address: str) -> None:
    dice = random.Random(5)
    with daemon_on(address) as daemon, Stubs(daemon.await_ready().address) as stubs:
        with child("subscribe", daemon.address, "64"):
            promised = stubs.statistics().reserved
            assert promised >= 64
            # Wherever in the order of their calls that is.
            longest = max(
                kill_at_work(stubs, daemon.address, dice.randrange(100), promised)
                for _ in range(KILLS)
            )
        stubs.await_home()
        answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
        assert (list(answer.drivers), answer.pools[0].violations) == ([], 0)
        print(f"{daemon.address}: {KILLS} kills, home after {longest:.3f} s at most")


def test_a_client_that_is_killed_while_it_waits(address: str) -> None:
    with daemon_on(address) as daemon, Stubs(daemon.await_ready().address) as stubs:
        with child("waiter", daemon.address, str(BUFFERS)) as client:
            eventually(lambda: stubs.statistics().in_flight == BUFFERS // 2)
            begin = time.monotonic()
            client.send_signal(signal.SIGKILL)
            await_home(stubs, begin, f"{daemon.address}: killed while it waits")
        lease = Lease(stubs)
        assert len(lease.allocate(BUFFERS)) == BUFFERS
        lease.stream.cancel()


def test_a_stopped_client_ends_and_finds_nothing_when_it_wakes(address: str) -> None:
    with (
        daemon_on(address, *KEEPALIVE) as daemon,
        Stubs(daemon.await_ready().address) as stubs,
        child("sleeper", daemon.address, "100") as stopped,
    ):
        begin = time.monotonic()
        stopped.send_signal(signal.SIGSTOP)
        assert stubs.statistics().in_flight == 100
        await_home(stubs, begin, f"{daemon.address}: stopped", SILENT)
        stopped.send_signal(signal.SIGCONT)
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "UNAVAILABLE NOT_FOUND\n"


def test_a_client_whose_line_is_cut() -> None:
    with (
        daemon_on("127.0.0.1:0", *KEEPALIVE) as daemon,
        Stubs(daemon.await_ready().address) as stubs,
        Relay(daemon.address) as relay,
        child("session", relay.address, "100"),
    ):
        assert stubs.statistics().in_flight == 100
        begin = time.monotonic()
        relay.cut()
        await_home(stubs, begin, "cut off", SILENT)
