"""A client process that tests stop and kill: `child.py WHAT ADDRESS [NUMBER]`.

It prints "ready" once the daemon has set it up, and then does nothing that could end it.
"""

import itertools
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from skbpool.v1 import (
    drop_reason_pb2,
    frame_pb2,
    frame_pb2_grpc,
    lease_pb2,
    lease_pb2_grpc,
    stamp_pb2,
    stamp_pb2_grpc,
)


def ready() -> None:
    """Tell the test."""
    print("ready", flush=True)


def session(channel: grpc.Channel, number: int) -> None:
    """Hold buffers, half of them with skbs."""
    stub = lease_pb2_grpc.LeaseServiceStub(channel)
    stream = stub.OpenSession(lease_pb2.OpenSessionRequest(name="child"))
    session_id = next(stream).session_id
    request = lease_pb2.AllocateRequest(session_id=session_id, count=number)
    buffers = stub.Allocate(request).buffers
    specs = [
        lease_pb2.SkbSpec(buffer=buffer, offset=offset, length=64, link_type=1)
        for buffer in buffers[: number // 2]
        for offset in (0, 64)
    ]
    stub.MakeSkb(lease_pb2.MakeSkbRequest(session_id=session_id, skbs=specs))
    ready()
    next(stream, None)


def sleeper(channel: grpc.Channel, number: int) -> None:
    """Hold buffers until the stream ends; print how it did, and what the handles are worth then."""
    stub = lease_pb2_grpc.LeaseServiceStub(channel)
    stream = stub.OpenSession(lease_pb2.OpenSessionRequest(name="child"))
    session_id = next(stream).session_id
    request = lease_pb2.AllocateRequest(session_id=session_id, count=number)
    buffers = stub.Allocate(request).buffers
    ready()
    ends = []
    release = lease_pb2.ReleaseRequest(session_id=session_id, handles=buffers)
    for wait in (lambda: next(stream), lambda: stub.Release(release, wait_for_ready=True)):
        try:
            wait()
        except grpc.RpcError as error:
            ends.append(error.code().name)
    print(*ends, flush=True)


def waiter(channel: grpc.Channel, number: int) -> None:
    """Hold half of the pool, and wait for more than there is."""
    stub = lease_pb2_grpc.LeaseServiceStub(channel)
    stream = stub.OpenSession(lease_pb2.OpenSessionRequest(name="child"))
    session_id = next(stream).session_id
    request = lease_pb2.AllocateRequest(session_id=session_id, count=number // 2)
    stub.Allocate(request)
    request.count = number
    request.wait.FromSeconds(60)
    call = stub.Allocate.future(request)
    ready()
    call.result()


def churn(channel: grpc.Channel, number: int) -> None:
    """Use every verb of a lease session without end, with half of what it makes left lying."""
    stub = lease_pb2_grpc.LeaseServiceStub(channel)
    stream = stub.OpenSession(lease_pb2.OpenSessionRequest(name="child"))
    of: dict[str, Any] = {"session_id": next(stream).session_id}
    ready()
    kept: list[int] = []
    while True:
        buffers = stub.Allocate(lease_pb2.AllocateRequest(**of, count=number)).buffers
        writes = [lease_pb2.BufferWrite(buffer=buffer, data=bytes(1000)) for buffer in buffers]
        stub.Write(lease_pb2.WriteRequest(**of, writes=writes))
        specs = [lease_pb2.SkbSpec(buffer=buffer, length=1000, link_type=1) for buffer in buffers]
        skbs = stub.MakeSkb(lease_pb2.MakeSkbRequest(**of, skbs=specs)).skbs
        kept += stub.Clone(lease_pb2.CloneRequest(**of, skbs=skbs)).skbs
        stub.Deliver(lease_pb2.DeliverRequest(**of, skbs=skbs))
        if len(kept) > 10 * number:
            stub.Release(lease_pb2.ReleaseRequest(**of, handles=kept))
            kept = []


def subscribe(channel: grpc.Channel, quota: int) -> None:
    """Take frames as fast as they come, and print how many of which it missed at the end."""
    stub = frame_pb2_grpc.FrameServiceStub(channel)
    stream = stub.Subscribe(frame_pb2.SubscribeRequest(name="child", quota=quota))
    stream.initial_metadata()
    ready()
    frames = missed = 0
    for response in stream:
        frames += len(response.batch.length)
        missed += sum(drop.frames for drop in response.missed)
    print(f"{frames} {missed}", flush=True)


def policy(channel: grpc.Channel, number: int) -> None:
    """Subscribe with a policy, and print what came and what was missed at the end, as JSON."""
    stub = frame_pb2_grpc.FrameServiceStub(channel)
    request = frame_pb2.SubscribeRequest(name="child", quota=200, policy=number)  # type: ignore[arg-type]
    if number == frame_pb2.SUBSCRIBE_POLICY_COPY_OUT:
        request.copy_bytes = 1 << 20
    if number == frame_pb2.SUBSCRIBE_POLICY_BLOCK:
        request.block_at_most.FromMilliseconds(20)
    stream = stub.Subscribe(request)
    stream.initial_metadata()
    ready()
    frames, missed = 0, dict.fromkeys(drop_reason_pb2.DropReason.keys(), 0)
    last = b""
    for response in stream:
        if response.batch.length:
            frames += len(response.batch.length)
            last = response.batch.frames[-response.batch.length[-1] :]
        for drop in response.missed:
            missed[drop_reason_pb2.DropReason.Name(drop.reason)] += drop.frames
    told = {name.removeprefix("DROP_REASON_"): count for name, count in missed.items() if count}
    print(json.dumps([frames, told, int.from_bytes(last[:4], "big")]), flush=True)


def pause(channel: grpc.Channel, quota: int) -> None:
    """Subscribe and hold a session, and read neither: the connection lives, the program rests."""
    sessions = lease_pb2_grpc.LeaseServiceStub(channel)
    session = sessions.OpenSession(lease_pb2.OpenSessionRequest(name="child"))
    session_id = next(session).session_id
    sessions.Allocate(lease_pb2.AllocateRequest(session_id=session_id, count=10))
    stub = frame_pb2_grpc.FrameServiceStub(channel)
    stream = stub.Subscribe(frame_pb2.SubscribeRequest(name="child", quota=quota))
    stream.initial_metadata()
    ready()
    sys.stdin.read()


def ingest(channel: grpc.Channel, frames: int) -> None:
    """Send batches without end."""
    stub = frame_pb2_grpc.FrameServiceStub(channel)
    began = threading.Event()

    def requests() -> Iterator[frame_pb2.IngestRequest]:
        for sequence in itertools.count(1):
            request = frame_pb2.IngestRequest(driver="child")
            request.batch.frames = bytes(64 * frames)
            request.batch.length.extend([64] * frames)
            request.batch.link_type = 1
            request.batch.sequence = sequence
            yield request

    for response in stub.Ingest(requests()):
        if response.accepted and not began.is_set():
            began.set()
            ready()


def stamps(channel: grpc.Channel, quota: int) -> None:
    """Attach a stamp reader."""
    stub = stamp_pb2_grpc.StampServiceStub(channel)
    stream = stub.AttachStampReader(stamp_pb2.AttachStampReaderRequest(stream=1, quota=quota))
    next(stream)
    ready()
    next(stream, None)


if __name__ == "__main__":
    what, address, number = sys.argv[1:]
    programs = {
        "session": session,
        "sleeper": sleeper,
        "waiter": waiter,
        "churn": churn,
        "subscribe": subscribe,
        "policy": policy,
        "pause": pause,
        "ingest": ingest,
        "stamps": stamps,
    }
    programs[what](grpc.insecure_channel(address), int(number))
