"""Requests with bits flipped, cut short and made up: refused with a reason, and nothing leaks."""

import contextlib
import random
from pathlib import Path
from typing import Any

import grpc
import pytest
from attached import detach, listed, write_pcap
from batches import numbered, request
from daemon_support import Stubs
from google.protobuf.message import Message
from mutator import mutate
from skbpool.v1 import driver_pb2, frame_pb2, lease_pb2, pool_pb2, server_pb2, stamp_pb2

ROUNDS = 400
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}


def code_of(stubs: Stubs, method: str, message: bytes) -> grpc.StatusCode:
    """Make a call and return how it ended; a stream that is opened by chance runs into its end."""
    call: Any = stubs.channel.stream_stream(f"/skbpool.v1.{method}")
    stream = call(iter([message]), timeout=1)
    with contextlib.suppress(grpc.RpcError):
        list(stream)
    code = stream.code()
    assert isinstance(code, grpc.StatusCode)
    return code


def test_mutated_batches(stubs: Stubs) -> None:
    dice = random.Random(1)
    good = request(numbered(20), 1, "card").SerializeToString()
    seen = {code_of(stubs, "FrameService/Ingest", mutate(dice, good)) for _ in range(ROUNDS)}
    assert grpc.StatusCode.INVALID_ARGUMENT in seen
    assert not seen & FAULTS
    stubs.await_home()
    assert stubs.statistics().violations == 0


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("ServerService/GetStatistics", server_pb2.GetStatisticsRequest()),
        ("PoolService/CreatePool", pool_pb2.CreatePoolRequest(name="p", buffers=3, order=1)),
        ("PoolService/ClosePool", pool_pb2.ClosePoolRequest(name="default")),
        ("PoolService/GetPoolStatistics", pool_pb2.GetPoolStatisticsRequest(name="default")),
        ("LeaseService/Allocate", lease_pb2.AllocateRequest(session_id="none", count=2)),
        (
            "LeaseService/Write",
            lease_pb2.WriteRequest(
                session_id="none", writes=[lease_pb2.BufferWrite(buffer=1, offset=2, data=b"xyz")]
            ),
        ),
        (
            "LeaseService/MakeSkb",
            lease_pb2.MakeSkbRequest(
                session_id="none", skbs=[lease_pb2.SkbSpec(buffer=1, length=2)]
            ),
        ),
        ("LeaseService/Release", lease_pb2.ReleaseRequest(session_id="none", handles=[1, 2])),
        ("StampService/GetStampReport", stamp_pb2.GetStampReportRequest(reader_id="none")),
        ("FrameService/Subscribe", frame_pb2.SubscribeRequest(name="n", max_batch_bytes=1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mutated_requests(start: Any, method: str, message: Message) -> None:
    _, stubs = start(limits={"max_pool_bytes": 1 << 20})
    dice = random.Random(2)
    good = message.SerializeToString()
    for _ in range(ROUNDS // 10):
        assert code_of(stubs, method, mutate(dice, good)) not in FAULTS
    stubs.await_home()


@pytest.mark.parametrize("kind", ["AttachEmulatedNic", "AttachReplay"])
def test_mutated_drivers(start: Any, tmp_path: Path, kind: str) -> None:
    _, stubs = start(driver={"capture_directory": str(tmp_path)})
    write_pcap(tmp_path / "trace.pcap", [b"frame"])
    line = driver_pb2.DriverLine(bits_per_second=1000, frames=2, descriptors=64)
    line.duration.seconds = line.block_at_most.nanos = 1
    good: Message = driver_pb2.AttachEmulatedNicRequest(
        name="card", pool="default", line=line, frame_size=1518, stream=1
    )
    if kind == "AttachReplay":
        good = driver_pb2.AttachReplayRequest(
            name="card", pool="default", line=line, capture="trace.pcap", loops=2
        )
    dice = random.Random(3)
    seen = set()
    for _ in range(ROUNDS // 2):
        method = f"DriverService/{dice.choice((kind, kind, 'DetachDriver'))}"
        seen.add(code_of(stubs, method, mutate(dice, good.SerializeToString())))
    assert not seen & FAULTS
    assert {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT} <= seen
    for driver in listed(stubs):
        detach(stubs, driver.name)
    stubs.await_home()
