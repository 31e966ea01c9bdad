"""Leases: buffers of the daemon in the hands of a client."""

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from skbpool.client.connection import Connection, ServerStream, for_stubs
from skbpool.client.errors import NotFound
from skbpool.client.request import request_of
from skbpool.client.verbs import lease
from skbpool.client.verbs.lease import Delivered, View
from skbpool.client.verbs.verb import Result, Verb
from skbpool.v1 import lease_pb2, lease_pb2_grpc

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Session:
    """A lease session: whatever it holds goes home when it ends, however it ends.

    Buffers and skbs are named by handles, numbers that mean something in this session only. Every
    call raises ServiceError, and one that fails has changed nothing. After an administrator revoked
    the session, calls raise Aborted.

    >>> with client.session() as session:  # doctest: +SKIP
    ...     (buffer,) = session.allocate(1)
    ...     session.write(buffer, frame)
    ...     session.deliver(session.make_skb(buffer, len(frame)))
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        stub = lease_pb2_grpc.LeaseServiceStub(for_stubs(connection))
        request = request_of(lease_pb2.OpenSessionRequest, name=name)
        self._stream = ServerStream(connection, stub.OpenSession(request))
        opened = self._stream.first()
        self._id = opened.session_id
        self.name = opened.name
        """Name that the session's references are accounted under."""
        self.buffer_bytes = 0
        """Size of the buffers allocated last, in bytes."""

    def __repr__(self) -> str:
        return f"<Session {self.name!r}{' closed' if self._stream.closed else ''}>"

    def allocate(self, count: int = 1, pool: str = "", *, timeout: float = 0.0) -> list[int]:
        """Take `count` buffers out of a pool, the daemon's first unless named; all or none.

        Args:
            count: Number of buffers.
            pool: Name of the pool.
            timeout: Seconds to wait for buffers if there are too few.

        Raises:
            ResourceExhausted: The pool has too few, also after that time, or the session holds as
                much as it may; its `details` tell who has the buffers and when to try again.
            RequestOutOfRange: The daemon lets nobody wait for so long.
        """
        verb = lease.allocate(self._id, count, pool, timeout)
        buffers, self.buffer_bytes = self._do(verb)
        return buffers

    def write(self, buffer: int, data: "ReadableBuffer", offset: int = 0) -> None:
        """Write `data` into a buffer, `offset` bytes from its beginning."""
        self.write_all([(buffer, data, offset)])

    def write_all(self, writes: Iterable[tuple[int, "ReadableBuffer", int]]) -> None:
        """Do many writes (buffer, data, offset) in one call, in this order."""
        self._do(lease.write(self._id, writes))

    def make_skb(self, buffer: int, length: int, offset: int = 0) -> list[int]:
        """Make one skb of a buffer, arrived now; uses up the buffer's handle."""
        return self.make_skbs([View(buffer, length, offset)])

    def make_skbs(self, views: Iterable[View]) -> list[int]:
        """Make skbs, all that there are to be of their buffers; uses up the buffers' handles."""
        return self._do(lease.make_skbs(self._id, views))

    def clone(self, skbs: Iterable[int]) -> list[int]:
        """Make another view of the same bytes of each skb."""
        return self._do(lease.clone(self._id, skbs))

    def slice(self, skb: int, offset: int, length: int) -> int:
        """Make a view of `length` bytes of an skb, from `offset` on."""
        return self.slice_all([(skb, offset, length)])[0]

    def slice_all(self, slices: Iterable[tuple[int, int, int]]) -> list[int]:
        """Make many views of parts of skbs (skb, offset, length) in one call."""
        return self._do(lease.slice_(self._id, slices))

    def deliver(self, skbs: Iterable[int]) -> Delivered:
        """Hand skbs to every consumer; uses up their handles."""
        return self._do(lease.deliver(self._id, skbs))

    def read(self, handle: int, offset: int = 0, length: int = 0) -> bytes:
        """Return bytes of a buffer or an skb; `length` 0: to its end."""
        return self.read_all([(handle, offset, length)])[0]

    def read_all(self, ranges: Iterable[tuple[int, int, int]]) -> list[bytes]:
        """Return many ranges (handle, offset, length) in one call; length 0: to the end.

        Raises:
            ResourceExhausted: Together they are more than a message holds.
        """
        return self._do(lease.read(self._id, ranges))

    def release(self, handles: Iterable[int]) -> int:
        """Let go of buffers and skbs; returns how many."""
        return self._do(lease.release(self._id, handles))

    def _do(self, verb: Verb[Result]) -> Result:
        """Make a call; if the session is gone, say why."""
        if self._stream.closed:
            raise lease.session_closed()
        try:
            return self._connection.do(verb)
        except NotFound as error:
            if error.details.reason == "UNKNOWN_SESSION":
                revoked = self._stream.ended_by(grpc.StatusCode.ABORTED)
                if revoked:
                    raise revoked from None
            raise

    def close(self) -> None:
        """End the session; the daemon brings home what it holds."""
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
