"""Sending frames into the daemon: one Ingest stream, its credit and its acknowledgements."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skbpool._native import FrameEncoder
from skbpool.client.connection import Connection, ServerStream
from skbpool.client.drops import Drops, drops_of
from skbpool.client.outbox.credit import Window
from skbpool.client.outbox.frames import listed
from skbpool.client.request import request_of
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from grpc import StreamStreamMultiCallable

    from skbpool.client.outbox.frames import Frames

METHOD = "/skbpool.v1.FrameService/Ingest"

KEPT = "frames that it acknowledged are accepted"
"""What holds of a stream whose connection is lost."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What became of everything sent on a stream so far."""

    acked_through: int = 0
    """Messages handled: the first so many."""
    accepted: int = 0
    """Frames that landed in a buffer."""
    unclaimed: int = 0
    """Frames of those that no consumer wanted, which is no drop."""
    dropped: Drops = field(default_factory=dict)
    """Frames that did not reach a buffer, by reason."""
    missed: Drops = field(default_factory=dict)
    """Frames that consumers missed by their policies, by reason; each consumer's for itself."""


def acknowledgement_of(response: frame_pb2.IngestResponse) -> Acknowledgement:
    """Return what the daemon said."""
    return Acknowledgement(
        response.acked_through,
        response.accepted,
        response.unclaimed,
        drops_of(response.dropped),
        drops_of(response.missed),
    )


def ingest(
    connection: Connection, messages: Iterable[bytes], driver: str
) -> Iterator[Acknowledgement]:
    """Send encoded IngestRequests and yield each acknowledgement, the last after all was handled.

    `messages` is iterated in another thread, from when the daemon has granted the first credit.
    """
    flow = _Flow(messages, driver)
    # Without serializers both sides are the bytes on the wire.
    method: StreamStreamMultiCallable[bytes, bytes]
    method = connection.channel.stream_stream(METHOD, None, None)
    stream = ServerStream(connection, method(flow.requests()), KEPT)
    try:
        for raw in stream:
            response = frame_pb2.IngestResponse.FromString(raw)
            flow.grant(response.acked_through, response.credit)
            yield acknowledgement_of(response)
    finally:
        flow.close()
        stream.close()
    if flow.failure is not None:
        raise flow.failure


class _Flow:
    """What may be sent: the messages, held back until there is credit for them."""

    def __init__(self, messages: Iterable[bytes], driver: str) -> None:
        self._messages = messages
        self._opening = request_of(frame_pb2.IngestRequest, driver=driver).SerializeToString()
        self._changed = threading.Condition()
        self._closed = False
        self._window = Window()
        self.failure: BaseException | None = None
        """What iterating the messages raised."""

    def requests(self) -> Iterator[bytes]:
        """Yield what goes over the wire; gRPC iterates this in a thread of its own."""
        yield self._opening
        try:
            if not self._wait_for(0):
                return
            for message in self._messages:
                check_message(message)
                if not self._wait_for(len(message)):
                    return
                yield message
        except Exception as error:  # raised where the acknowledgements are read
            self.failure = error

    def _wait_for(self, size: int) -> bool:
        """Wait until `size` bytes may be sent, and take them; False once the stream is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._window.allows(size))
            if size and not self._closed:
                self._window.send(size)
            return not self._closed

    def grant(self, acked_through: int, credit: int) -> None:
        with self._changed:
            self._window.grant(acked_through, credit)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def check_message(message: object) -> None:
    """Raise TypeError if it is no encoded message: gRPC would not say what is wrong."""
    if not isinstance(message, bytes):
        kind = type(message).__name__
        raise TypeError(f"a message is the bytes of an IngestRequest, not {kind}")


def encoded(frames: "Frames", max_message_bytes: int) -> Iterator[bytes]:
    """Yield the frames as encoded IngestRequests of at most `max_message_bytes`.

    A frame without a time of its own gets the present one. A list, tuple or batch is encoded by one
    call a message; of other iterables each frame is taken when it comes.
    """
    encoder = FrameEncoder(max_message_bytes)
    failure: Exception | None = None
    try:
        for items in listed(frames, 1):
            at = 0
            while at < len(items):
                message, _, at = encoder.push_many(items, at, time.time_ns())
                if message is not None:
                    yield message
    except Exception as error:  # raised when what came before it is sent
        failure = error
    message = encoder.flush()
    if message is not None:
        yield message
    if failure is not None:
        raise failure
