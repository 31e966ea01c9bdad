"""Watching what happens to the daemon's pools."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from skbpool.client.connection import Connection, ServerStream, for_stubs
from skbpool.v1 import watch_pb2, watch_pb2_grpc


class PoolWatch:
    """What happens to the daemon's pools from the moment this was made, until it is closed.

    Iterating waits for each event and yields it as a `skbpool.v1.watch_pb2.PoolEvent`; it ends when
    this is closed, and raises ServiceError when the daemon stops or is gone. A program that takes
    its time misses events, which `missed` tells, and slows nobody.

    >>> with client.watch_pools() as watch:  # doctest: +SKIP
    ...     for event in watch:
    ...         print(event.pool, event.kind)
    """

    def __init__(self, connection: Connection) -> None:
        stub = watch_pb2_grpc.WatchServiceStub(for_stubs(connection))
        self._stream = ServerStream(connection, stub.WatchPools(watch_pb2.WatchPoolsRequest()))
        self._stream.wait_open()
        self._events = self._each()
        self.missed = 0
        """Events missed so far; they came before the one that was yielded last."""

    def _each(self) -> Iterator[watch_pb2.PoolEvent]:
        for response in self._stream:
            self.missed += response.missed
            yield from response.events

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> watch_pb2.PoolEvent:
        return next(self._events)

    def close(self) -> None:
        """End it; an iteration that waits ends too. May be called from any thread."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
