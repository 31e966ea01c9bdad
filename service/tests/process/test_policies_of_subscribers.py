"""A subscriber that is stopped loses by its policy, and is told of everything."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from batches import request
from daemon_support import PATIENCE, DaemonProcess, Stubs, child, eventually
from driver import Driver
from skbpool.v1 import frame_pb2, server_pb2

pytestmark = pytest.mark.e2e

FRAMES = 100
"""Frames of a message, each of which fills a quarter of a buffer."""

LAST = 10_000
"""Number of the last message."""


def frames_numbered(number: int) -> list[bytes]:
    return [number.to_bytes(4, "big") * 250] * FRAMES


def consumers(stubs: Stubs) -> list[server_pb2.ConsumerStatistics]:
    request = server_pb2.GetStatisticsRequest()
    return list(stubs.server.GetStatistics(request, timeout=PATIENCE).consumers)


def taken_and_dropped(stubs: Stubs) -> tuple[int, int]:
    [told] = consumers(stubs)
    return told.frames, sum(drop.frames for drop in told.drops)


def fill(stubs: Stubs, driver: Driver) -> int:
    """Send until the stopped one has taken nothing, and lost much; return how many were sent."""
    taken, full = 0, 0
    for sequence in range(1, 2000):
        driver.send(request(frames_numbered(sequence), sequence))
        before, (taken, dropped) = taken, taken_and_dropped(stubs)
        full = full + 1 if taken == before else 0
        if full >= 20 and dropped > 10 * FRAMES:
            return sequence * FRAMES
    raise AssertionError("the stopped one never stopped taking frames")


@pytest.mark.parametrize(
    ("policy", "reasons"),
    [
        ("DROP_NEWEST", {"QUOTA"}),
        ("DROP_OLDEST", {"EVICTED"}),
        ("COPY_OUT", {"RING_FULL"}),
        ("BLOCK", {"QUOTA"}),
    ],
)
def test_a_stopped_subscriber_loses_by_its_policy_and_is_told(
    policy: str, reasons: set[str], tmp_path: Path
) -> None:
    number = frame_pb2.SubscribePolicy.Value(f"SUBSCRIBE_POLICY_{policy}")
    flags = ("--buffers", "8192", "--metrics", "", "--set", "limits.max_block_seconds=0.02")
    with (
        DaemonProcess(*flags, "--listen", f"unix:{tmp_path}/daemon.sock") as daemon,
        child("policy", daemon.await_ready().address, str(number)) as stopped,
        Stubs(daemon.address) as stubs,
    ):
        stopped.send_signal(signal.SIGSTOP)
        driver = Driver(stubs)
        sent = fill(stubs, driver)
        # What lies in the subscriber's ring pins no more than its quota, whatever was copied.
        assert stubs.statistics().in_flight <= 200
        copied = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest()).copies
        copied_out = [it.frames for it in copied if it.stage == server_pb2.COPY_STAGE_COPY_OUT]
        assert (copied_out[0] > 200) is (policy == "COPY_OUT")
        # Others get everything meanwhile, and the driver is served.
        tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="other"), timeout=PATIENCE)
        tap.initial_metadata()
        driver.send(request(frames_numbered(LAST), LAST))
        assert len(next(tap).batch.length) == FRAMES
        driver.finish()
        tap.cancel()
        eventually(lambda: len(consumers(stubs)), lambda left: left == 1)
        stopped.send_signal(signal.SIGCONT)
        daemon.signal(signal.SIGTERM)
        frames, missed, last = result(stopped)
        assert frames + sum(missed.values()) == sent + FRAMES
        assert set(missed) == reasons
        # Who drops the oldest has what came last.
        assert (last == LAST) is (policy == "DROP_OLDEST")
        assert daemon.finish()[0] == 0


def result(stopped: subprocess.Popen[str]) -> tuple[int, dict[str, int], int]:
    """Return what the child got, missed by reason, and the number in its last frame."""
    output, _ = stopped.communicate(timeout=PATIENCE)
    frames, missed, last = json.loads(output)
    return frames, missed, last
