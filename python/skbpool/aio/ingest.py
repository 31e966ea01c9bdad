"""Sending frames into the daemon over one Ingest stream, for asyncio."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from skbpool._native import FrameEncoder
from skbpool.aio.changes import Changes
from skbpool.aio.connection import Connection, ServerStream
from skbpool.client import ingest
from skbpool.client.ingest import KEPT, METHOD, Acknowledgement, acknowledgement_of, check_message
from skbpool.client.outbox.credit import Window
from skbpool.client.request import request_of
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from grpc.aio import StreamStreamMultiCallable

    from skbpool.client.outbox.frames import Frames, One

    Messages: TypeAlias = Iterable[bytes] | AsyncIterable[bytes]
    ManyFrames: TypeAlias = Frames | AsyncIterable[One]


async def send_messages(
    connection: Connection, messages: "Messages", driver: str
) -> AsyncIterator[Acknowledgement]:
    """Send encoded IngestRequests and yield each acknowledgement, the last after all was handled.

    The stream ends with the iteration, also when that is given up.
    """
    opening = request_of(frame_pb2.IngestRequest, driver=driver).SerializeToString()
    # Without serializers both sides are the bytes on the wire.
    method: StreamStreamMultiCallable[bytes, bytes]
    method = connection.channel.stream_stream(METHOD, None, None)
    call: Any = method()
    stream = ServerStream[bytes](connection, call, KEPT)
    window, changes = Window(), Changes()

    failure: Exception | None = None

    over = (grpc.RpcError, asyncio.InvalidStateError)
    """How writing to a call fails that has ended: whoever listens is told why."""

    async def write() -> None:
        nonlocal failure
        try:
            await call.write(opening)
        except over:
            return
        try:
            async for message in _each(messages):
                check_message(message)
                while not window.allows(len(message)):
                    await changes.wait(None)
                window.send(len(message))
                try:
                    await call.write(message)
                except over:
                    return
        except Exception as error:  # raised when what was sent before is acknowledged
            failure = error
        with contextlib.suppress(*over):
            await call.done_writing()

    writer = asyncio.create_task(write())
    try:
        async for raw in stream:
            response = frame_pb2.IngestResponse.FromString(raw)
            window.grant(response.acked_through, response.credit)
            changes.notify()
            yield acknowledgement_of(response)
        if failure is not None:
            raise failure
    finally:
        stream.close()
        writer.cancel()
        await asyncio.wait({writer})


async def encoded(frames: "ManyFrames", max_message_bytes: int) -> AsyncIterator[bytes]:
    """Yield the frames as encoded IngestRequests, as `skbpool.client.ingest.encoded` does."""
    if not isinstance(frames, AsyncIterable):
        for message in ingest.encoded(frames, max_message_bytes):
            yield message
        return
    encoder = FrameEncoder(max_message_bytes)
    failure: Exception | None = None
    try:
        async for frame in frames:
            full, _, _ = encoder.push_many([frame], 0, time.time_ns())
            if full is not None:
                yield full
    except Exception as error:  # raised when what came before it is sent
        failure = error
    rest = encoder.flush()
    if rest is not None:
        yield rest
    if failure is not None:
        raise failure


async def _each(messages: "Messages") -> AsyncIterator[bytes]:
    """Yield them all, and let other tasks run after each."""
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
            await asyncio.sleep(0)
    else:
        for message in messages:
            yield message
            await asyncio.sleep(0)
