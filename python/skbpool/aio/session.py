"""Leases: buffers of the daemon in the hands of a client, for asyncio."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from skbpool.aio.connection import Connection, ServerStream
from skbpool.client.errors import NotFound, ServiceError
from skbpool.client.request import request_of
from skbpool.client.verbs import lease
from skbpool.client.verbs.lease import Delivered, View
from skbpool.client.verbs.verb import Result, Verb
from skbpool.v1 import lease_pb2

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Session:
    """A lease session, as `skbpool.client.Session`; opened and ended by `async with`.

    A task that is cancelled while it waits for handles never learns them: the call goes on beside
    it, and what it brings is released at once. Handles that such a call uses up are used up.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._request = request_of(lease_pb2.OpenSessionRequest, name=name)
        self._stream: ServerStream[lease_pb2.OpenSessionResponse] | None = None
        self._id = ""
        self._returning: set[asyncio.Task[None]] = set()
        self.name = name
        """Name that the session's references are accounted under."""
        self.buffer_bytes = 0
        """Size of the buffers allocated last, in bytes."""

    def __repr__(self) -> str:
        return f"<Session {self.name!r}{_state(self._stream)}>"

    async def open(self) -> Self:
        """Open it; `async with` does.

        Raises:
            ResourceExhausted: The daemon has as many sessions as it may.
            ValueError: It was opened before.
        """
        if self._stream is not None:
            raise ValueError("the session is open already; make another one")
        method = self._connection.channel.unary_stream(
            f"{lease.SERVICE}OpenSession",
            lease_pb2.OpenSessionRequest.SerializeToString,
            lease_pb2.OpenSessionResponse.FromString,
        )
        call = method(self._request)
        self._stream = ServerStream(self._connection, call)
        opened = await self._stream.first()
        self._id, self.name = opened.session_id, opened.name
        return self

    async def allocate(self, count: int = 1, pool: str = "", *, timeout: float = 0.0) -> list[int]:
        """Take `count` buffers out of a pool, as `skbpool.client.Session.allocate`.

        Raises:
            ResourceExhausted: The pool has too few, also after `timeout` seconds, or the session
                holds as much as it may.
        """
        verb = lease.allocate(self._id, count, pool, timeout)
        (buffers, self.buffer_bytes) = await self._receive(verb, lambda result: result[0])
        return buffers

    async def write(self, buffer: int, data: "ReadableBuffer", offset: int = 0) -> None:
        """Write `data` into a buffer, `offset` bytes from its beginning."""
        await self.write_all([(buffer, data, offset)])

    async def write_all(self, writes: Iterable[tuple[int, "ReadableBuffer", int]]) -> None:
        """Do many writes (buffer, data, offset) in one call, in this order."""
        await self._do(lease.write(self._id, writes))

    async def make_skb(self, buffer: int, length: int, offset: int = 0) -> list[int]:
        """Make one skb of a buffer, arrived now; uses up the buffer's handle."""
        return await self.make_skbs([View(buffer, length, offset)])

    async def make_skbs(self, views: Iterable[View]) -> list[int]:
        """Make skbs, all that there are to be of their buffers; uses up the buffers' handles."""
        return await self._receive(lease.make_skbs(self._id, views), list)

    async def clone(self, skbs: Iterable[int]) -> list[int]:
        """Make another view of the same bytes of each skb."""
        return await self._receive(lease.clone(self._id, skbs), list)

    async def slice(self, skb: int, offset: int, length: int) -> int:
        """Make a view of `length` bytes of an skb, from `offset` on."""
        return (await self.slice_all([(skb, offset, length)]))[0]

    async def slice_all(self, slices: Iterable[tuple[int, int, int]]) -> list[int]:
        """Make many views of parts of skbs (skb, offset, length) in one call."""
        return await self._receive(lease.slice_(self._id, slices), list)

    async def deliver(self, skbs: Iterable[int]) -> Delivered:
        """Hand skbs to every consumer; uses up their handles."""
        return await self._do(lease.deliver(self._id, skbs))

    async def read(self, handle: int, offset: int = 0, length: int = 0) -> bytes:
        """Return bytes of a buffer or an skb; `length` 0: to its end."""
        return (await self.read_all([(handle, offset, length)]))[0]

    async def read_all(self, ranges: Iterable[tuple[int, int, int]]) -> list[bytes]:
        """Return many ranges (handle, offset, length) in one call; length 0: to the end.

        Raises:
            ResourceExhausted: Together they are more than a message holds.
        """
        return await self._do(lease.read(self._id, ranges))

    async def release(self, handles: Iterable[int]) -> int:
        """Let go of buffers and skbs; returns how many."""
        return await self._do(lease.release(self._id, handles))

    async def _do(self, verb: Verb[Result]) -> Result:
        """Make a call; if the session is gone, say why."""
        if self._stream is None:
            raise ValueError("the session is not open: use it in an async with statement")
        if self._stream.closed:
            raise lease.session_closed()
        try:
            return await self._connection.do(verb)
        except NotFound as error:
            if error.details.reason == "UNKNOWN_SESSION":
                revoked = await self._stream.ended_by(grpc.StatusCode.ABORTED)
                if revoked:
                    raise revoked from None
            raise

    async def _receive(self, verb: Verb[Result], handles: Callable[[Result], list[int]]) -> Result:
        """Make a call that brings handles; release them if the task is cancelled meanwhile."""
        call = asyncio.ensure_future(self._do(verb))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # Looked at here: a session that is closed next asks nobody any more.
            call.add_done_callback(lambda call: call.cancelled() or call.exception())
            task = asyncio.ensure_future(self._give_back(call, handles))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)
            raise

    async def _give_back(
        self, call: "asyncio.Future[Result]", handles: Callable[[Result], list[int]]
    ) -> None:
        with contextlib.suppress(ServiceError):  # nothing came, or the session has ended
            await self.release(handles(await call))

    async def close(self) -> None:
        """End the session; the daemon brings home what it holds."""
        if self._stream is not None:
            self._stream.close()
        for task in self._returning:
            task.cancel()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _state(stream: ServerStream[lease_pb2.OpenSessionResponse] | None) -> str:
    if stream is None:
        return " not open"
    return " closed" if stream.closed else ""
