"""Clients that are killed, stopped or cut off: what they held comes home, others notice nothing."""

import signal
from pathlib import Path

import pytest
from batches import frames_of, numbered, request
from daemon_support import DaemonProcess, Stubs, child, eventually
from driver import Driver
from skbpool.v1 import frame_pb2, server_pb2

pytestmark = pytest.mark.e2e


def held(stubs: Stubs) -> dict[str, int]:
    """Return how many views each consumer holds."""
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    return {consumer.name: consumer.held for consumer in answer.consumers}


@pytest.fixture
def path(tmp_path: Path):
    address = f"unix:{tmp_path}/daemon.sock"
    arguments = ("--buffers", "8192", "--metrics", "", "--listen", address)
    with DaemonProcess(*arguments) as daemon:
        daemon.await_ready()
        yield address


@pytest.mark.parametrize(
    ("what", "number", "held"),
    [("session", 100, 100), ("subscribe", 300, 0), ("ingest", 200, 0), ("stamps", 300, 0)],
)
def test_a_killed_client_leaves_nothing_behind(
    path: str, what: str, number: int, held: int
) -> None:
    with Stubs(path) as stubs:
        for _ in range(5):
            with child(what, path, str(number)) as client:
                if held:
                    assert stubs.statistics().in_flight == held
                else:
                    assert stubs.statistics().reserved > 0
                client.send_signal(signal.SIGKILL)
                client.wait()
            stubs.await_home()
        answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
        assert (list(answer.drivers), list(answer.consumers)) == ([], [])
        assert sum(holder.count for holder in answer.holders) == 0
        assert answer.pools[0].violations == 0


def test_a_stopped_session_ends_when_it_gives_no_sign_of_life(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/impatient.sock"
    arguments = ("--buffers", "256", "--metrics", "", "--listen", address)
    keepalive = ("--set", "keepalive_time=1", "--set", "keepalive_timeout=1")
    with DaemonProcess(*arguments, *keepalive) as daemon, Stubs(address) as stubs:
        daemon.await_ready()
        with child("session", address, "10") as stopped:
            stopped.send_signal(signal.SIGSTOP)
            assert stubs.statistics().in_flight == 10
            stubs.await_home()


def test_a_stopped_subscriber_slows_nobody_and_what_it_missed_is_its_own(path: str) -> None:
    rounds, frames = 200, [bytes(1000)] * 100
    with Stubs(path) as stubs, child("subscribe", path, "400") as stopped:
        stopped.send_signal(signal.SIGSTOP)
        tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap", quota=400))
        tap.initial_metadata()
        driver = Driver(stubs)
        got = 0
        for sequence in range(1, rounds + 1):
            accepted = driver.send(request(frames, sequence)).accepted
            assert accepted == sequence * len(frames)
            # The next batch comes when this one was read, so that `tap` never has to miss one.
            while got < accepted:
                response = next(tap)
                assert not response.missed
                got += len(response.batch.length)
        driver.finish()
        assert got == rounds * len(frames)
        answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
        consumers = {consumer.name: consumer for consumer in answer.consumers}
        assert not consumers["tap"].drops
        missed = sum(drop.frames for drop in consumers["child"].drops)
        assert missed > 0
        assert consumers["child"].held <= 400
        # On waking it takes what is there and lets go of it.
        stopped.send_signal(signal.SIGCONT)
        child_of = {"name": "child"}
        eventually(
            lambda: (
                {
                    consumer.name: consumer.held
                    for consumer in stubs.server.GetStatistics(
                        server_pb2.GetStatisticsRequest()
                    ).consumers
                }[child_of["name"]]
                == 0
            )
        )
        tap.cancel()


def test_what_a_woken_subscriber_read_and_missed_is_everything(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/other.sock"
    arguments = ("--buffers", "8192", "--metrics", "", "--listen", address)
    with (
        DaemonProcess(*arguments) as daemon,
        Stubs(address) as stubs,
    ):
        daemon.await_ready()
        with child("subscribe", address, "100") as subscriber:
            subscriber.send_signal(signal.SIGSTOP)
            total = 0
            for sequence in range(1, 300):
                frames = [bytes(1000)] * 50
                list(stubs.frame.Ingest(iter([request(frames, sequence)])))
                total += len(frames)
            subscriber.send_signal(signal.SIGCONT)
            daemon.signal(signal.SIGTERM)
            assert subscriber.stdout is not None
            read, missed = map(int, subscriber.stdout.readline().split())
            assert daemon.finish()[0] == 0
        assert missed > 0
        assert read + missed == total


def test_streams_go_on_beside_a_killed_session(path: str) -> None:
    with Stubs(path) as stubs, child("session", path, "50") as killed:
        tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap", quota=100))
        tap.initial_metadata()
        driver = Driver(stubs)
        killed.send_signal(signal.SIGKILL)
        got: list[bytes] = []
        for sequence in range(1, 21):
            driver.send(request(numbered(10), sequence))
            while len(got) < 10 * sequence:
                response = next(tap)
                assert not response.missed
                got += frames_of(response.batch)
        assert got == numbered(10) * 20
        driver.finish()
        tap.cancel()
        stubs.await_home()
