"""The client of the daemon."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Self, overload

from skbpool.addresses import Address, find_server, parse_address
from skbpool.client.connection import DEFAULT_TIMEOUT, Connection, check_timeout
from skbpool.client.drivers import DriverCalls
from skbpool.client.ingest import Acknowledgement, encoded, ingest
from skbpool.client.outbox.settings import (
    DEFAULT_BUFFERED,
    DEFAULT_DEADLINE,
    DEFAULT_LINGER,
    refuse,
    settings_of,
)
from skbpool.client.sender import Sender
from skbpool.client.session import Session
from skbpool.client.stamps import StampReader
from skbpool.client.subscribe_request import SubscribePolicy, subscribe_request
from skbpool.client.subscription import Subscription
from skbpool.client.tls import Tls, secured
from skbpool.client.verbs import control
from skbpool.client.watch import PoolWatch
from skbpool.v1 import (
    holder_pb2,
    pool_pb2,
    server_pb2,
)

if TYPE_CHECKING:
    from skbpool.client.outbox.frames import Frames

PREFERRED_MESSAGE_BYTES = 1 << 20
"""Bytes of a message of frames; with larger ones gRPC moves no more bytes a second."""


class Client(DriverCalls):
    """A synchronous client of one daemon; a context manager that closes itself.

    Making one does not connect: the first call does. Control calls return the messages of
    `skbpool.v1`, which the files in proto/ describe. Every call raises a subclass of ServiceError;
    without a daemon that is ServerUnavailable, which names the address that was tried.

    Args:
        address: `unix:PATH`, `HOST:PORT`, or `grpcs://HOST:PORT` for TLS. None: what
            SKBPOOL_SERVER says, else the default daemon's socket.
        timeout: Seconds that a call may take which is answered at once. Streams have no limit.

        tls: Certificates to speak TLS with. None: those that SKBPOOL_TLS_CA, _CERTIFICATE and
            _PRIVATE_KEY name; TLS is spoken to a TCP address with these, or if the address says so.

    Raises:
        AddressError: `address` is none, or TLS cannot be spoken to it with these files.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        tls: Tls | None = None,
    ) -> None:
        check_timeout(timeout)
        found = find_server() if address is None else parse_address(address)
        self.address: Address
        self.address, tls = secured(found, tls)
        self._connection = Connection(self.address, timeout, tls)

    def __repr__(self) -> str:
        return f"Client({str(self.address)!r})"

    def server_info(self) -> server_pb2.GetServerInfoResponse:
        """Return version, limits and features of the daemon."""
        return self._connection.do(control.server_info())

    @cached_property
    def limits(self) -> server_pb2.Limits:
        """The daemon's limits, asked for once."""
        return self.server_info().limits

    def statistics(self) -> server_pb2.GetStatisticsResponse:
        """Return all counters of the daemon: pools, holders, drivers, consumers, drops."""
        return self._connection.do(control.statistics())

    def pools(self) -> list[pool_pb2.Pool]:
        """Return all pools, in the order of their making."""
        return self._connection.do(control.pools())

    def create_pool(
        self,
        name: str,
        buffers: int,
        order: int = 0,
        *,
        watermarks: tuple[int, int] | None = None,
        huge_pages: control.HugePages = "never",
    ) -> pool_pb2.Pool:
        """Make a pool of `buffers` buffers of `4096 << order` bytes, kept until it is closed.

        Args:
            name: Its name, 1 to 63 letters, digits, dots, dashes and underscores.
            buffers: Number of buffers.
            order: Each has `4096 << order` bytes.
            watermarks: Free buffers: with fewer than the first the pool is low, with the second it
                has recovered. None: a sixteenth and an eighth of them.
            huge_pages: Whether its memory lies on huge pages; "try": if there are as many.

        Raises:
            OutOfRange: A number has no place in 32 bits.
            BadPool: huge_pages is none of these.
            AlreadyExists: There is a pool of that name.
            RequestOutOfRange: No pool can have so many or such large buffers, or such marks.
            ResourceExhausted: There is no memory for it, or there are as many pools as there may.
        """
        return self._connection.do(
            control.create_pool(name, buffers, order, watermarks, huge_pages)
        )

    def close_pool(self, name: str) -> pool_pb2.Pool:
        """Close a pool: nothing more is had from it, and what was had stays usable.

        Returns:
            The pool as it is now: orphaned while buffers are out, else gone.

        Raises:
            NotFound: There is no pool of that name.
            FailedPrecondition: It is the daemon's first pool.
        """
        return self._connection.do(control.close_pool(name))

    def watch_pools(self) -> PoolWatch:
        """Watch what happens to pools and their holders from the moment this returns.

        Raises:
            ResourceExhausted: As many watch as may.
        """
        return PoolWatch(self._connection)

    def pool_statistics(self, name: str) -> pool_pb2.PoolStatistics:
        """Return the counters of one pool.

        Raises:
            NotFound: There is no pool of that name.
        """
        return self._connection.do(control.pool_statistics(name))

    @overload
    def ingest(self, frames: "Frames", *, driver: str = "") -> Acknowledgement: ...
    @overload
    def ingest(
        self,
        *,
        driver: str = "",
        linger: float = DEFAULT_LINGER,
        deadline: float = DEFAULT_DEADLINE,
        max_buffered_bytes: int = DEFAULT_BUFFERED,
        resend: bool = True,
    ) -> Sender: ...
    def ingest(
        self,
        frames: "Frames | EllipsisType" = ...,
        *,
        driver: str = "",
        linger: float | None = None,
        deadline: float | None = None,
        max_buffered_bytes: int | None = None,
        resend: bool | None = None,
    ) -> "Acknowledgement | Sender":
        """Send frames as a driver does: what there is now, or by a `Sender` what comes.

        `ingest(frames)` sends these over one connection, iterates them in another thread no further
        ahead than the daemon's credit allows, and returns what became of them once all were
        handled. `ingest()` returns a `Sender`, which survives the loss of connections; the options
        behind `driver` are its own, and a TypeError beside frames.

        Args:
            frames: Bytes-like objects of Ethernet frames that arrived now, or `Frame` with more
                about each; skbs tell it themselves. One, an iterable of them, or a batch.
            driver: Name that the frames are accounted under; empty: the daemon chooses one.
            linger: Seconds that a frame waits for others to share its message; None: 0.005.
            deadline: Seconds without an acknowledgement, or without a daemon, while frames wait,
                after which the sender gives up; None: 30.
            max_buffered_bytes: Bytes of messages that may wait to be sent or acknowledged; then
                `send` takes its time. None: 16 MiB.
            resend: Whether frames that were sent and not acknowledged are sent again to a daemon
                that was restarted, which cannot tell whether it had them; else they are lost.
                None: they are.

        Raises:
            TypeError: Frames, and an option of a sender; or something that is no frame.
            InvalidRequest: A batch that cannot be read; what was acknowledged stays accepted.
            FrameTooLarge: A frame over the limit; frames before it were sent.
            ServiceError: There is no daemon, or it refuses.
        """
        options: dict[str, object] = {
            "linger": linger,
            "deadline": deadline,
            "max_buffered_bytes": max_buffered_bytes,
            "resend": resend,
        }
        if frames is ...:
            return Sender(self._connection, settings_of(driver, options), self.message_bytes)
        refuse(options)
        last = Acknowledgement()
        messages = encoded(frames, self.message_bytes)
        for acknowledgement in self.ingest_messages(messages, driver=driver):
            last = acknowledgement
        return last

    def ingest_messages(
        self, messages: Iterable[bytes], *, driver: str = ""
    ) -> Iterator[Acknowledgement]:
        """Send encoded `IngestRequest`s numbered from 1, and yield acknowledgements as they come.

        The first comes before anything was sent, the last after everything was handled. The next
        message is asked for, in another thread, when there is credit for it.
        """
        return ingest(self._connection, messages, driver)

    @property
    def message_bytes(self) -> int:
        """Bytes of the largest message of frames that this client sends, or asks for."""
        return min(PREFERRED_MESSAGE_BYTES, self.limits.max_message_bytes)

    def subscribe(
        self,
        name: str = "",
        *,
        policy: SubscribePolicy = "drop_newest",
        quota: int = 0,
        quota_bytes: int = 0,
        copy_bytes: int = 0,
        block_at_most: float = 0.0,
        max_batch_frames: int = 0,
        max_batch_bytes: int = 0,
        linger: float = 0.0,
        snapshot_length: int = 0,
    ) -> Subscription:
        """Take part as a consumer: every frame delivered from the moment this returns.

        `limits` tells how much may be asked for.

        Args:
            name: Name that the consumer is accounted under; empty: the daemon chooses one.
            policy: What happens to frames beyond the quota. "drop_newest": they are dropped.
                "drop_oldest": those of the same driver are that wait longest. "copy_out": they are
                copied into memory of the subscriber's own, in the daemon. "block": the Ingest
                stream that brings them waits, where the daemon allows that.
            quota: Most frames it may hold at a time in the daemon; 0: the daemon's default.
            quota_bytes: Most bytes, likewise; 0: as many as the quota comes to.
            copy_bytes: For "copy_out": bytes of that memory; 0: the daemon's default.
            block_at_most: For "block": the longest wait in one delivery, in seconds.
            max_batch_frames: Most frames of a batch; 0: as many as fit max_batch_bytes.
            max_batch_bytes: Largest message; 0: 1 MiB, or what the daemon allows if that is less.
            linger: Longest that a frame waits for its batch to fill, in seconds.
            snapshot_length: Most bytes of each frame, whose `original_length` tells what it had; 0:
                all of them.

        Raises:
            InvalidRequest: An option is not of that policy, or one that it needs is missing.
            RequestOutOfRange: More than the daemon allows; `details.fields` names the option.
            FailedPrecondition: The daemon does not offer the policy.
            ResourceExhausted: As many streams as there may be, or the pool is too small.
            ValueError: There is no such policy, or a time that is none.
            OutOfRange: A number has no place in its field.
        """
        request = subscribe_request(
            name,
            policy=policy,
            quota=quota,
            quota_bytes=quota_bytes,
            copy_bytes=copy_bytes,
            block_at_most=block_at_most,
            max_batch_frames=max_batch_frames,
            max_batch_bytes=max_batch_bytes or self.message_bytes,
            linger=linger,
            snapshot_length=snapshot_length,
        )
        return Subscription(self._connection, request)

    def session(self, name: str = "") -> Session:
        """Open a lease session; use it in a `with` statement.

        Raises:
            ResourceExhausted: The daemon has as many sessions as it may.
        """
        return Session(self._connection, name)

    def holders(self) -> list[server_pb2.Holder]:
        """Return who holds references: drivers, consumers, sessions; who has most bytes first."""
        return self._connection.do(control.holders())

    def revoke_session(
        self, name: str = "", *, session: int = 0, reason: str = ""
    ) -> holder_pb2.RevokeSessionResponse:
        """End somebody's lease session: its handles are dead, what it holds comes home.

        Args:
            name: Name of the session; empty: the number says which.
            session: Its number, as `holders` tells it; 0: the name says which.
            reason: Why, which the session's client is told.

        Raises:
            NotFound: There is no such session.
            FailedPrecondition: It is a driver or consumer, whose views are never revoked; or
                several sessions have that name.
        """
        return self._connection.do(control.revoke_session(name, session, reason))

    def stamp_reader(self, stream: int, *, quota: int = 0) -> StampReader:
        """Attach a consumer in the daemon that reads the stamps of `stream`.

        Raises:
            ResourceExhausted: As many streams as there may be, or the pool is too small.
        """
        return StampReader(self._connection, stream, quota)

    def close(self) -> None:
        """Close the connection; streams and sessions of this client end."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
