"""Sending frames for as long as it takes: a stream that survives its connections."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from skbpool import ForkedPool
from skbpool.client.connection import Connection, ServerStream
from skbpool.client.errors import ServiceError, unexpected_end
from skbpool.client.ingest import METHOD
from skbpool.client.outbox.frames import listed
from skbpool.client.outbox.outbox import Outbox
from skbpool.client.outbox.result import IngestResult
from skbpool.client.outbox.settings import Settings
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from grpc import StreamStreamMultiCallable

    from skbpool.client.outbox.frames import Frames


class Sender:
    """Sends frames as a driver does; a context manager that closes itself.

    Frames are put into messages, which leave when they are full or after the linger, as far as the
    daemon's credit allows. When the connection is lost another one is opened and the stream goes on
    behind the last batch that the daemon handled: as long as that daemon runs nothing is lost and
    nothing is delivered twice. One that was restarted does not know; `result` tells how many frames
    are in doubt. May be used by several threads. In a process that was forked from the sender's it
    is of no use, and everything raises `ForkedPool`: make a `Client` there.

    >>> with client.ingest(driver="probe") as sender:  # doctest: +SKIP
    ...     sender.send([frame, frame])
    >>> sender.result.accepted, sender.result.lost  # doctest: +SKIP
    (2, 0)
    """

    def __init__(self, connection: Connection, settings: Settings, message_bytes: int) -> None:
        self._connection = connection
        self._process = os.getpid()
        self._outbox = Outbox(settings, message_bytes, connection.address, time.monotonic())
        self._changed = threading.Condition()
        # Without serializers both sides are the bytes on the wire.
        self._method: StreamStreamMultiCallable[bytes, bytes]
        self._method = connection.channel.stream_stream(METHOD, None, None)
        self._stream: ServerStream[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="skbpool-ingest", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        if os.getpid() != self._process:
            return "<Sender of the process that forked this one>"
        return f"<Sender {self.result.summary}>"

    @property
    def result(self) -> IngestResult:
        """What became of the frames so far; after closing, at the end."""
        self._check_process()
        with self._changed:
            return self._outbox.result

    def send(self, frames: "Frames") -> None:
        """Take frames: bytes-like objects, `Frame`s, skbs, lists and iterables of them, batches.

        They are copied and stay the caller's; a frame that does not tell its time arrived now.
        Of an iterator up to 1,024 are taken at a time: give what comes slowly one by one.

        Returns when all were taken; waits while `max_buffered_bytes` wait for the daemon. Costs one
        call of the encoder a list, batch or message, not one a frame.

        Raises:
            FrameTooLarge: Its `index` tells which frame of the list; those before it were taken.
            ServiceError: The sender gave up, and `result` tells what is lost; of the frames given
                here some may have been taken.
            ValueError: The sender is closed.
            ForkedPool: This process was forked from the sender's; so with every other method.
        """
        self._check_process()
        for chunk in listed(frames):
            at = 0
            while at < len(chunk):
                with self._changed:
                    self._wait(lambda: self._outbox.has_room)
                    if self._outbox.is_closing:
                        raise ValueError("the sender is closed; make another one")
                    at = self._outbox.take(chunk, at, time.time_ns(), time.monotonic())
                    self._changed.notify_all()

    def flush(self) -> IngestResult:
        """Send what waits for company, and wait until everything given so far is acknowledged.

        Raises:
            ServiceError: The sender gave up.
        """
        self._check_process()
        with self._changed:
            self._outbox.flush()
            self._changed.notify_all()
            self._wait(lambda: self._outbox.is_empty)
            return self._outbox.result

    def close(self) -> IngestResult:
        """Wait until everything given is acknowledged, end the stream, and tell what became of it.

        Raises:
            ServiceError: The sender gave up; a second call returns the result all the same.
        """
        self._check_process()
        with self._changed:
            again = self._outbox.is_closing
            self._outbox.close()
            self._changed.notify_all()
            try:
                self._wait(lambda: self._outbox.is_empty)
            except ServiceError:
                if not again:
                    raise
        self._thread.join(self._connection.timeout)
        self._cancel()
        return self.result

    def abort(self) -> IngestResult:
        """End the stream at once; what waits is lost, and is told."""
        self._check_process()
        with self._changed:
            self._outbox.abort()
            self._changed.notify_all()
        self._cancel()
        self._thread.join(self._connection.timeout)
        return self.result

    def _check_process(self) -> None:
        """Raise ForkedPool in a forked child; before any lock, which a lost thread may have had."""
        if os.getpid() != self._process:
            raise ForkedPool(
                "the sender belongs to the process that forked this one, and its thread and its "
                "connection stayed there; make a Client and a sender in this process"
            )

    def _wait(self, condition: Callable[[], bool]) -> None:
        """Wait with the lock for `condition`; raise ServiceError once the sender gave up."""
        while True:
            patience = self._outbox.patience(time.monotonic())
            if self._outbox.failure is not None:
                self._changed.notify_all()
                self._cancel()
                raise self._outbox.failure
            if condition():
                return
            self._changed.wait(_bounded(patience))

    def _run(self) -> None:
        """Open one stream after another until everything is sent."""
        delay: float | None = 0.0
        while delay is not None:
            with self._changed:
                self._rest(delay)
                if self._outbox.is_done:
                    return
                requests = _Requests(self._outbox, self._changed)
                try:
                    call = self._method(iter(requests))
                except ValueError:  # the channel is closed
                    self._outbox.abort()
                    self._changed.notify_all()
                    return
                self._stream = stream = ServerStream(self._connection, call)
            try:
                self._listen(stream)
                error = unexpected_end(self._connection.address)
            except ServiceError as raised:
                error = raised
            with self._changed:
                requests.over = True
                delay = self._outbox.broken(error)
                self._changed.notify_all()

    def _rest(self, delay: float) -> None:
        """Wait for the next attempt, or for the end."""
        end = time.monotonic() + delay
        while not self._outbox.is_done and (left := end - time.monotonic()) > 0:
            patience = self._outbox.patience(time.monotonic())
            self._changed.wait(_bounded(left if patience is None else min(left, patience)))

    def _listen(self, stream: ServerStream[bytes]) -> None:
        for raw in stream:
            response = frame_pb2.IngestResponse.FromString(raw)
            with self._changed:
                self._outbox.heard(response, time.monotonic())
                self._changed.notify_all()

    def _cancel(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        elif os.getpid() == self._process:  # else what was raised tells more
            self.abort()


def _bounded(seconds: float | None) -> float | None:
    """Return what a condition can wait for: infinity is more than it takes."""
    return None if seconds is None else min(seconds, threading.TIMEOUT_MAX)


class _Requests:
    """What goes over one connection; gRPC iterates it in a thread of its own."""

    def __init__(self, outbox: Outbox, changed: threading.Condition) -> None:
        self._outbox = outbox
        self._changed = changed
        self.over = False
        """Whether the connection is lost."""

    def __iter__(self) -> Iterator[bytes]:
        yield self._outbox.opening()
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> bytes | None:
        with self._changed:
            while not (self.over or self._outbox.is_done):
                now = time.monotonic()
                message = self._outbox.next_request(now)
                if message is not None:
                    return message
                due = self._outbox.due_in(now)
                # What is due waits for credit, whose coming is told.
                self._changed.wait(_bounded(due or None))
        return None
