"""Taking frames out of the daemon."""

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from skbpool import SkbBatch
from skbpool._native import decode_subscribe
from skbpool.client.connection import Connection, ServerStream
from skbpool.client.drops import Drops, add_drops, frames_by_reason
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from grpc import UnaryStreamMultiCallable

METHOD = "/skbpool.v1.FrameService/Subscribe"


class Subscription:
    """A consumer in the daemon, for as long as this object is open.

    Iterating yields batches of skbs. Their bytes lie in the received message, which lives as long
    as any skb of it: nothing is copied on this side. A reader that is too slow misses frames, which
    `missed` tells, and slows nobody.

    >>> with client.subscribe("tap") as subscription:  # doctest: +SKIP
    ...     for batch in subscription:
    ...         for skb in batch:
    ...             print(len(skb))
    """

    def __init__(self, connection: Connection, request: frame_pb2.SubscribeRequest) -> None:
        # Without serializers both sides are the bytes on the wire.
        method: UnaryStreamMultiCallable[bytes, bytes]
        method = connection.channel.unary_stream(METHOD, None, None)
        self._stream = ServerStream(connection, method(request.SerializeToString()))
        self._stream.wait_open()
        self.missed: Drops = {}
        """Frames missed so far, by reason; brought up to date by iterating over batches."""

    def __repr__(self) -> str:
        state = "closed" if self._stream.closed else "open"
        return f"<Subscription {state}, missed {frames_by_reason(self.missed)}>"

    def messages(self) -> Iterator[bytes]:
        """Yield the encoded SubscribeResponses, for whoever decodes them on another way."""
        return iter(self._stream)

    def __iter__(self) -> Iterator[SkbBatch]:
        for message in self._stream:
            batch, missed, _ = decode_subscribe(message)
            add_drops(self.missed, missed)
            if len(batch):
                yield batch

    def close(self) -> None:
        """Detach the consumer; iterations end. May be called from any thread."""
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
