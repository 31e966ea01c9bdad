"""Sending frames for as long as it takes, for asyncio."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio

from skbpool.aio.changes import Changes
from skbpool.aio.connection import Connection, ServerStream
from skbpool.client.errors import ServiceError, unexpected_end
from skbpool.client.ingest import METHOD
from skbpool.client.outbox.frames import listed
from skbpool.client.outbox.outbox import Outbox
from skbpool.client.outbox.result import IngestResult
from skbpool.client.outbox.settings import Settings
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from grpc.aio import StreamStreamMultiCallable

    from skbpool.client.outbox.frames import Frames


class Sender:
    """Sends frames, as `skbpool.client.Sender`; opened and closed by `async with`.

    >>> async def main(client, frame):  # doctest: +SKIP
    ...     async with client.ingest(driver="probe") as sender:
    ...         await sender.send([frame, frame])
    ...     print(sender.result.accepted, sender.result.lost)
    """

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        message_bytes: Callable[[], Awaitable[int]],
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._message_bytes = message_bytes
        self._changes = Changes()
        self._box: Outbox | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> Self:
        """Ask the daemon for its limits and begin; `async with` does.

        Raises:
            ServiceError: There is no daemon.
            ValueError: It was opened before.
        """
        most = await self._message_bytes()
        if self._box is not None:
            raise ValueError("the sender is open already; make another one")
        address = self._connection.address
        self._box = Outbox(self._settings, most, address, time.monotonic())
        self._task = asyncio.create_task(self._run())
        return self

    @property
    def _outbox(self) -> Outbox:
        if self._box is None:
            raise ValueError("the sender is not open: use it in an async with statement")
        return self._box

    def __repr__(self) -> str:
        return f"<Sender {'not open' if self._box is None else self.result.summary}>"

    @property
    def result(self) -> IngestResult:
        """What became of the frames so far; after closing, at the end."""
        return self._outbox.result

    async def send(self, frames: "Frames") -> None:
        """Take frames, in any form that `skbpool.client.Sender.send` takes.

        Returns when all were taken; waits while `max_buffered_bytes` wait for the daemon, and lets
        other tasks run after each message.

        Raises:
            FrameTooLarge: Its `index` tells which frame of the list; those before it were taken.
            ServiceError: The sender gave up, and `result` tells what is lost.
            ValueError: The sender is closed.
        """
        for chunk in listed(frames):
            at = 0
            while at < len(chunk):
                await self._wait(lambda: self._outbox.has_room)
                if self._outbox.is_closing:
                    raise ValueError("the sender is closed; make another one")
                at = self._outbox.take(chunk, at, time.time_ns(), time.monotonic())
                self._changes.notify()
                await asyncio.sleep(0)

    async def flush(self) -> IngestResult:
        """Send what waits for company, and wait until everything given so far is acknowledged.

        Raises:
            ServiceError: The sender gave up.
        """
        self._outbox.flush()
        self._changes.notify()
        await self._wait(lambda: self._outbox.is_empty)
        return self._outbox.result

    async def close(self) -> IngestResult:
        """Wait until everything given is acknowledged, end the stream, and tell what became of it.

        Raises:
            ServiceError: The sender gave up; a second call returns the result all the same.
        """
        again = self._outbox.is_closing
        self._outbox.close()
        self._changes.notify()
        try:
            await self._wait(lambda: self._outbox.is_empty)
        except ServiceError:
            if not again:
                raise
        finally:
            await self._end()
        return self.result

    async def abort(self) -> IngestResult:
        """End the stream at once; what waits is lost, and is told."""
        self._outbox.abort()
        await self._end(0.0)
        return self.result

    async def _end(self, patience: float | None = None) -> None:
        """Let the stream end in order for a while, then end it."""
        if self._task is not None:
            self._changes.notify()
            if not self._outbox.is_done:  # this task is cancelled
                self._outbox.abort()
            timeout = self._connection.timeout if patience is None else patience
            if self._outbox.failure is not None:
                timeout = 0.0
            try:
                await asyncio.wait({self._task}, timeout=timeout)
            finally:
                self._task.cancel()

    async def _wait(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`; raise ServiceError once the sender gave up."""
        while True:
            patience = self._outbox.patience(time.monotonic())
            if self._outbox.failure is not None:
                self._changes.notify()
                if self._task is not None:
                    self._task.cancel()
                raise self._outbox.failure
            if condition():
                return
            await self._changes.wait(patience)

    async def _run(self) -> None:
        """Open one stream after another until everything is sent."""
        method: StreamStreamMultiCallable[bytes, bytes]
        method = self._connection.channel.stream_stream(METHOD, None, None)
        delay: float | None = 0.0
        while delay is not None:
            await self._rest(delay)
            if self._outbox.is_done:
                return
            try:
                call: Any = method()
            except grpc.aio.UsageError:  # the channel is closed
                self._outbox.abort()
                self._changes.notify()
                return
            writer = asyncio.create_task(self._write(call))
            try:
                await self._listen(ServerStream(self._connection, call))
                error = unexpected_end(self._connection.address)
            except ServiceError as raised:
                error = raised
            finally:
                call.cancel()
                writer.cancel()
                await asyncio.wait({writer})
            delay = self._outbox.broken(error)
            self._changes.notify()

    async def _rest(self, delay: float) -> None:
        """Wait for the next attempt, or for the end."""
        end = time.monotonic() + delay
        while not self._outbox.is_done and (left := end - time.monotonic()) > 0:
            patience = self._outbox.patience(time.monotonic())
            await self._changes.wait(left if patience is None else min(left, patience))

    async def _listen(self, stream: ServerStream[bytes]) -> None:
        async for raw in stream:
            response = frame_pb2.IngestResponse.FromString(raw)
            self._outbox.heard(response, time.monotonic())
            self._changes.notify()

    async def _write(self, call: Any) -> None:
        """Send over one connection what may be sent, until it is lost or everything is."""
        try:
            await call.write(self._outbox.opening())
            while not self._outbox.is_done:
                now = time.monotonic()
                message = self._outbox.next_request(now)
                if message is not None:
                    await call.write(message)
                else:
                    # What is due waits for credit, whose coming is told.
                    await self._changes.wait(self._outbox.due_in(now) or None)
            await call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # whoever listens is told

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self.abort()
