"""What a daemon logs of its clients: the start and the end of each, and nothing of a frame."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batches import numbered, request
from daemon_support import PATIENCE, DaemonProcess, Stubs
from skbpool.v1 import frame_pb2, lease_pb2, stamp_pb2

pytestmark = pytest.mark.e2e


def test_each_session_and_stream_has_a_line_for_its_start_and_its_end(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/d.sock"
    arguments = ("--metrics", "", "--buffers", "4096", "--log-format", "json")
    with DaemonProcess(*arguments, "--listen", path) as daemon:
        daemon.await_ready()
        with Stubs(path) as stubs:
            begin: list[Callable[[], Any]] = [
                lambda: stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(name="lease")),
                lambda: stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap", quota=64)),
                lambda: stubs.stamp.AttachStampReader(stamp_pb2.AttachStampReaderRequest(quota=64)),
            ]
            streams = [start() for start in begin]
            for stream in streams:
                stream.initial_metadata()
            batches = (request(numbered(50), sequence) for sequence in range(1, 41))
            answers = stubs.frame.Ingest(batches, timeout=PATIENCE)
            assert [answer.accepted for answer in answers][-1] == 2000
            for stream in streams:
                stream.cancel()
            stubs.await_home()
        daemon.signal(signal.SIGTERM)
        code, _, errors = daemon.finish()
    assert code == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    said = sorted(line["event"] for line in lines if line["event"].endswith(("begins", "ends")))
    kinds = ("ingest", "session", "stamp reader", "subscription")
    assert said == [f"{kind} {verb}" for kind in kinds for verb in ("begins", "ends")]
    by_event = {line["event"]: line for line in lines}
    for kind, key in (("ingest", "driver"), ("session", "session"), ("subscription", "consumer")):
        assert by_event[f"{kind} begins"][key] == by_event[f"{kind} ends"][key]
    assert by_event["session ends"]["handles_brought_home"] == 0
    # Two thousand frames, and not a line beside those of the daemon itself.
    others = {line["event"] for line in lines} - set(said)
    assert others <= {
        "serving",
        "stopping",
        "stopped",
        "default quota follows the size of the pool",
    }
