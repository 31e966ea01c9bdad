"""Streams of messages: in alone, and in with everything coming out again."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
from skbpool.v1 import frame_pb2

from rpc.flow import Flow, paced
from rpc.frames import Message, frames_in, has_missed, messages, stamped_message

MESSAGES = 8
"""Messages of a set: beyond a processor's nearer caches, as fresh ones would be."""

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
WINDOW = 6 << 20
"""Bytes that may be on their way to a server and back."""

LINGER = 0.002
"""Seconds that a subscriber lets frames wait for their message to fill, so that what comes out are
messages of about the size of those that go in, as the bare server's are."""

SUBSCRIBER_QUOTA = 98_304
"""Frames that a window has at most, and more: nothing has to be missed."""

DEADLINE = 60.0
"""Seconds that a stream may take beyond what it shall."""


class Missed(Exception):
    """Frames did not come out that went in."""


def channel(address: str) -> grpc.Channel:
    """Return a connection of its own."""
    return grpc.insecure_channel(address, options=OPTIONS)


def streaming(connection: grpc.Channel, method: str) -> Any:
    """Return a method with streams both ways, of bytes."""
    return connection.stream_stream(method, None, None)


def hello(driver: str) -> bytes:
    """Return a first request, which names the driver."""
    return frame_pb2.IngestRequest(driver=driver).SerializeToString()


_SETS: dict[str, list[Message]] = {}


def made(mix: str) -> list[Message]:
    """Return the messages of a mix, made once."""
    if mix not in _SETS:
        _SETS[mix] = messages(mix, MESSAGES)
    return _SETS[mix]


def ingest(
    address: str, method: str, mix: str, seconds: float, streams: int = 1, name: str = "bench"
) -> dict[str, Any]:
    """Send messages on so many streams at once, and wait until all were handled.

    The time runs from the first message to the last acknowledgement.
    """
    ready = threading.Barrier(streams)
    with ThreadPoolExecutor(streams) as threads:
        jobs = [
            threads.submit(_ingest_one, address, method, mix, seconds, f"{name}-{number}", ready)
            for number in range(streams)
        ]
        parts = [job.result() for job in jobs]
    begin = min(part["begin"] for part in parts)
    end = max(part["end"] for part in parts)
    sums = {key: sum(part[key] for part in parts) for key in ("bytes", "frames", "messages")}
    told = {key: sum(part[key] for part in parts) for key in ("accepted", "dropped", "unclaimed")}
    return {**sums, **told, "seconds": end - begin}


def _ingest_one(
    address: str, method: str, mix: str, seconds: float, driver: str, ready: threading.Barrier
) -> dict[str, Any]:
    flow = Flow()
    begin = 0.0
    ours = made(mix)

    def requests() -> Iterator[bytes]:
        nonlocal begin
        yield hello(driver)
        ready.wait(DEADLINE)
        begin = time.monotonic()
        for message in paced(ours, None, begin + seconds):
            if not flow.take(message):
                return
            yield message.data

    with channel(address) as connection:
        stream = streaming(connection, method)(requests(), timeout=seconds + DEADLINE)
        response = frame_pb2.IngestResponse()
        try:
            for raw in stream:
                response.ParseFromString(raw)
                dropped = sum(count.frames for count in response.dropped)
                flow.handled(response.accepted + dropped, response.credit)
        finally:
            flow.end()
        end = time.monotonic()
    return {
        "begin": begin,
        "end": end,
        "bytes": flow.bytes,
        "frames": flow.frames,
        "messages": flow.messages,
        "accepted": response.accepted,
        "dropped": sum(count.frames for count in response.dropped),
        "unclaimed": response.unclaimed,
    }


def latency(address: str, method: str, mix: str, seconds: float, rate: float) -> dict[str, Any]:
    """Send `rate` messages a second, each with the time it is sent at in its last frame.

    What the server tells beyond its acknowledgements, one JSON text, is in `told`.
    """
    flow = Flow()
    template = stamped_message(mix)
    told = None

    def requests() -> Iterator[bytes]:
        yield hello(str(len(template.tail)))
        end = time.monotonic() + seconds
        for number, _ in enumerate(paced([Message(b"", 0)], rate, end)):
            message = template.stamped(number)
            if not flow.take(message):
                return
            yield message.data

    with channel(address) as connection:
        stream = streaming(connection, method)(requests(), timeout=seconds + DEADLINE)
        try:
            last = frame_pb2.IngestResponse()
            for raw in stream:
                if raw[:1] == b"\x12":  # the name of a request, which no response has
                    told = json.loads(frame_pb2.IngestRequest.FromString(raw).driver)
                    continue
                last.ParseFromString(raw)
                flow.handled(last.accepted, last.credit)
        finally:
            flow.end()
    return {
        "bytes": flow.bytes,
        "frames": flow.frames,
        "messages": flow.messages,
        "accepted": last.accepted,
        "told": told,
    }


def echo(
    address: str, method: str, mix: str, seconds: float, subscribe: str | None = None
) -> dict[str, Any]:
    """Send messages and take them out again: from the same stream, or by a subscription.

    At most a window is on its way, so that nothing has to be missed. The time runs from the first
    message to the return of the last.
    """
    flow = Flow(WINDOW)
    begin = 0.0
    ours = made(mix)

    def requests() -> Iterator[bytes]:
        nonlocal begin
        if subscribe:
            yield hello("bench-echo")
        begin = time.monotonic()
        for message in paced(ours, None, begin + seconds):
            if not flow.take(message):
                return
            yield message.data
        flow_over.set()
        if subscribe:
            all_back.wait(DEADLINE)

    flow_over, all_back = threading.Event(), threading.Event()
    back = taken = 0
    with channel(address) as connection, channel(address) as out:
        sending = None
        if subscribe:
            asked = frame_pb2.SubscribeRequest(name="bench-out", quota=SUBSCRIBER_QUOTA)
            asked.linger.FromNanoseconds(round(LINGER * 1e9))
            request = asked.SerializeToString()
            take: Any = out.unary_stream(subscribe, None, None)
            received = take(request, timeout=seconds + DEADLINE)
            received.initial_metadata()  # everything from now on is delivered to it
            sending = streaming(connection, method)(requests(), timeout=seconds + DEADLINE)
            drain = threading.Thread(target=_exhaust, args=(sending,), daemon=True)
            drain.start()
        else:
            received = streaming(connection, method)(requests(), timeout=seconds + DEADLINE)
        for raw in received:
            if subscribe and has_missed(raw):
                told = frame_pb2.SubscribeResponse.FromString(raw).missed
                raise Missed(f"the subscriber missed frames: {told}")
            back += frames_in(raw)
            taken += len(raw)
            flow.handled(back)
            if flow_over.is_set() and back == flow.frames:
                break
        end = time.monotonic()
        all_back.set()
        flow.end()
        if sending is not None:
            drain.join(DEADLINE)
        received.cancel()
    return {
        "bytes": flow.bytes,
        "bytes_back": taken,
        "frames": flow.frames,
        "frames_back": back,
        "seconds": end - begin,
    }


def _exhaust(stream: Iterator[bytes]) -> None:
    # How it ends is seen by what comes out.
    with suppress(grpc.RpcError):
        for _ in stream:
            pass
