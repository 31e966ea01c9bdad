"""Watching what happens to the daemon's pools, for asyncio."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from skbpool.aio.connection import Connection, ServerStream
from skbpool.v1 import watch_pb2

METHOD = "/skbpool.v1.WatchService/WatchPools"


class PoolWatch:
    """What happens to pools, as `skbpool.client.PoolWatch`; between `async with` and its end.

    A wait that is cancelled, as by a timeout, ends it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream: ServerStream[watch_pb2.WatchPoolsResponse] | None = None
        self.missed = 0
        """Events missed so far; they came before the one that was yielded last."""

    async def open(self) -> Self:
        """Begin to watch; `async with` does.

        Raises:
            ResourceExhausted: As many watch as may.
            ValueError: It was opened before.
        """
        if self._stream is not None:
            raise ValueError("the watch is open already; make another one")
        method = self._connection.channel.unary_stream(
            METHOD,
            watch_pb2.WatchPoolsRequest.SerializeToString,
            watch_pb2.WatchPoolsResponse.FromString,
        )
        self._stream = ServerStream(self._connection, method(watch_pb2.WatchPoolsRequest()))
        await self._stream.wait_open()
        return self

    async def __aiter__(self) -> AsyncIterator[watch_pb2.PoolEvent]:
        if self._stream is None:
            await self.open()
            assert self._stream is not None
        async for response in self._stream:
            self.missed += response.missed
            for event in response.events:
                yield event

    def close(self) -> None:
        """End it; iterations end."""
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
