"""Taking frames out of the daemon, for asyncio."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from skbpool import SkbBatch
from skbpool._native import decode_subscribe
from skbpool.aio.connection import Connection, ServerStream
from skbpool.client.drops import Drops, add_drops, frames_by_reason
from skbpool.client.subscription import METHOD
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from grpc.aio import UnaryStreamMultiCallable


class Subscription:
    """A consumer in the daemon, as `skbpool.client.Subscription`; between `async with` and its end.

    Iterating with `async for` yields batches of skbs, whose bytes lie in the received message.
    A wait that is cancelled, as by a timeout, ends the subscription.
    """

    def __init__(
        self,
        connection: Connection,
        request: Callable[[], Awaitable[frame_pb2.SubscribeRequest]],
    ) -> None:
        self._connection = connection
        self._request = request
        self._stream: ServerStream[bytes] | None = None
        self.missed: Drops = {}
        """Frames missed so far, by reason; brought up to date by iterating."""

    async def open(self) -> Self:
        """Attach the consumer; `async with` does.

        Raises:
            ServiceError: The daemon refused.
            ValueError: It was opened before.
        """
        if self._stream is not None:
            raise ValueError("the subscription is open already; make another one")
        # Without serializers both sides are the bytes on the wire.
        method: UnaryStreamMultiCallable[bytes, bytes]
        method = self._connection.channel.unary_stream(METHOD, None, None)
        request = await self._request()
        if self._stream is not None:  # by another task meanwhile
            raise ValueError("the subscription is open already; make another one")
        self._stream = ServerStream(self._connection, method(request.SerializeToString()))
        await self._stream.wait_open()
        return self

    def __repr__(self) -> str:
        state = "not open" if self._stream is None or self._stream.closed else "open"
        return f"<Subscription {state}, missed {frames_by_reason(self.missed)}>"

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield the encoded SubscribeResponses, for whoever decodes them on another way."""
        if self._stream is None:
            await self.open()
            assert self._stream is not None
        async for message in self._stream:
            yield message

    async def __aiter__(self) -> AsyncIterator[SkbBatch]:
        async for message in self.messages():
            batch, missed, _ = decode_subscribe(message)
            add_drops(self.missed, missed)
            if len(batch):
                yield batch

    def close(self) -> None:
        """Detach the consumer; iterations end."""
        if self._stream is not None:
            self._stream.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
