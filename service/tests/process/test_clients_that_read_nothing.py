"""Clients that stop reading while data is under way to them, on either kind of socket."""

import signal
from pathlib import Path

import pytest
from batches import request
from daemon_support import PATIENCE, DaemonProcess, Stubs, child, eventually
from skbpool.v1 import server_pb2

pytestmark = pytest.mark.e2e

KEEPALIVE = ("--set", "keepalive_time=1", "--set", "keepalive_timeout=1")


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"unix:{tmp_path}/daemon.sock" if request.param == "unix" else "127.0.0.1:0"


def daemon_on(address: str, *arguments: str) -> DaemonProcess:
    return DaemonProcess("--buffers", "8192", "--metrics", "", "--listen", address, *arguments)


def consumers(stubs: Stubs) -> dict[str, server_pb2.ConsumerStatistics]:
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest(), timeout=PATIENCE)
    return {consumer.name: consumer for consumer in answer.consumers}


def fill(stubs: Stubs) -> None:
    """Send until the consumer has taken nothing for many messages: all on the way to it is full."""
    taken, full = 0, 0
    for sequence in range(1, 2000):
        list(stubs.frame.Ingest(iter([request([bytes(1000)] * 100, sequence)])))
        before, taken = taken, consumers(stubs)["child"].frames
        full = full + 1 if taken == before else 0
        if full == 50:
            return
    raise AssertionError("the child never stopped taking frames")


def test_a_stopped_client_is_ended_with_all_it_held(address: str) -> None:
    with daemon_on(address, *KEEPALIVE) as daemon:
        daemon.await_ready()
        with child("pause", daemon.address, "400") as stopped, Stubs(daemon.address) as stubs:
            stopped.send_signal(signal.SIGSTOP)
            fill(stubs)
            assert stubs.statistics().in_flight > 10
            stubs.await_home()
            assert not consumers(stubs)


def test_a_client_that_rests_is_not_ended(address: str) -> None:
    with daemon_on(address, *KEEPALIVE) as daemon:
        daemon.await_ready()
        with (
            child("pause", daemon.address, "400"),
            child("pause", daemon.address, "400") as stopped,
            Stubs(daemon.address) as stubs,
        ):
            stopped.send_signal(signal.SIGSTOP)
            fill(stubs)
            # By the time that the stopped one is ended, so would the other be.
            eventually(lambda: stubs.statistics().in_flight, lambda held: held <= 10 + 400)
            eventually(lambda: len(consumers(stubs)), lambda left: left == 1)
            [rests] = consumers(stubs).values()
            assert rests.held > 0


def test_sigterm_ends_the_daemon_beside_a_stopped_client(address: str) -> None:
    # With the keepalive of the default the client outlasts the deadline.
    with daemon_on(address, "--shutdown-deadline", "2") as daemon:
        daemon.await_ready()
        with child("pause", daemon.address, "400") as stopped, Stubs(daemon.address) as stubs:
            stopped.send_signal(signal.SIGSTOP)
            fill(stubs)
            daemon.signal(signal.SIGTERM)
            code, _, errors = daemon.finish()
            assert code == 0, errors
            # A TCP connection that nobody reads gRPC may give up by itself at the deadline.
            assert "cut off" in errors or not address.startswith("unix:")
