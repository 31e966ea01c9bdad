"""The client of the daemon, for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from skbpool.addresses import Address, find_server, parse_address
from skbpool.aio.connection import Connection
from skbpool.aio.drivers import DriverCalls
from skbpool.aio.ingest import encoded, send_messages
from skbpool.aio.sender import Sender
from skbpool.aio.session import Session
from skbpool.aio.stamps import StampReader
from skbpool.aio.subscription import Subscription
from skbpool.aio.watch import PoolWatch
from skbpool.client.client import PREFERRED_MESSAGE_BYTES
from skbpool.client.connection import DEFAULT_TIMEOUT, check_timeout
from skbpool.client.ingest import Acknowledgement
from skbpool.client.outbox.settings import (
    DEFAULT_BUFFERED,
    DEFAULT_DEADLINE,
    DEFAULT_LINGER,
    refuse,
    settings_of,
)
from skbpool.client.subscribe_request import SubscribePolicy, subscribe_request
from skbpool.client.tls import Tls, secured
from skbpool.client.verbs import control
from skbpool.v1 import frame_pb2, holder_pb2, pool_pb2, server_pb2

if TYPE_CHECKING:
    from skbpool.aio.ingest import ManyFrames, Messages


class Client(DriverCalls):
    """A client of one daemon for asyncio, as `skbpool.Client`; closed by `async with`.

    Made inside a running loop, which it belongs to. Making one does not connect: the first call
    does. Every call raises a subclass of ServiceError, and one whose task is cancelled is cancelled
    at the daemon too.

    Args:
        address: `unix:PATH`, `HOST:PORT`, or `grpcs://HOST:PORT` for TLS. None: what
            SKBPOOL_SERVER says, else the default daemon's socket.
        timeout: Seconds that a call may take which is answered at once. Streams have no limit.
        tls: Certificates to speak TLS with; None: as for `skbpool.Client`.

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
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "make a skbpool.aio.Client inside a running loop, which it belongs to: in a "
                "coroutine, as of asyncio.run(main()); skbpool.Client needs none"
            ) from None
        found = find_server() if address is None else parse_address(address)
        self.address: Address
        self.address, tls = secured(found, tls)
        self._connection = Connection(self.address, timeout, tls)
        self._limits: server_pb2.Limits | None = None

    def __repr__(self) -> str:
        return f"Client({str(self.address)!r})"

    async def server_info(self) -> server_pb2.GetServerInfoResponse:
        """Return version, limits and features of the daemon."""
        return await self._connection.do(control.server_info())

    async def limits(self) -> server_pb2.Limits:
        """Return the daemon's limits, asked for once."""
        if self._limits is None:
            self._limits = (await self.server_info()).limits
        return self._limits

    async def message_bytes(self) -> int:
        """Return the bytes of the largest message of frames that this client sends."""
        return min(PREFERRED_MESSAGE_BYTES, (await self.limits()).max_message_bytes)

    async def statistics(self) -> server_pb2.GetStatisticsResponse:
        """Return all counters of the daemon: pools, holders, drivers, consumers, drops."""
        return await self._connection.do(control.statistics())

    async def pools(self) -> list[pool_pb2.Pool]:
        """Return all pools, in the order of their making."""
        return await self._connection.do(control.pools())

    async def create_pool(
        self,
        name: str,
        buffers: int,
        order: int = 0,
        *,
        watermarks: tuple[int, int] | None = None,
        huge_pages: control.HugePages = "never",
    ) -> pool_pb2.Pool:
        """Make a pool, as `skbpool.Client.create_pool`."""
        verb = control.create_pool(name, buffers, order, watermarks, huge_pages)
        return await self._connection.do(verb)

    async def close_pool(self, name: str) -> pool_pb2.Pool:
        """Close a pool, as `skbpool.Client.close_pool`."""
        return await self._connection.do(control.close_pool(name))

    async def pool_statistics(self, name: str) -> pool_pb2.PoolStatistics:
        """Return the counters of one pool."""
        return await self._connection.do(control.pool_statistics(name))

    async def holders(self) -> list[server_pb2.Holder]:
        """Return who holds references: drivers, consumers, sessions; who has most bytes first."""
        return await self._connection.do(control.holders())

    async def revoke_session(
        self, name: str = "", *, session: int = 0, reason: str = ""
    ) -> holder_pb2.RevokeSessionResponse:
        """End somebody's lease session, as `skbpool.Client.revoke_session`."""
        return await self._connection.do(control.revoke_session(name, session, reason))

    def watch_pools(self) -> PoolWatch:
        """Watch what happens to pools and their holders, from `async with` on."""
        return PoolWatch(self._connection)

    def session(self, name: str = "") -> Session:
        """Return a lease session, which `async with` opens."""
        return Session(self._connection, name)

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
        """Return a subscription, as of `skbpool.Client.subscribe`, which `async with` opens."""

        async def request() -> frame_pb2.SubscribeRequest:
            return subscribe_request(
                name,
                policy=policy,
                quota=quota,
                quota_bytes=quota_bytes,
                copy_bytes=copy_bytes,
                block_at_most=block_at_most,
                max_batch_frames=max_batch_frames,
                max_batch_bytes=max_batch_bytes or await self.message_bytes(),
                linger=linger,
                snapshot_length=snapshot_length,
            )

        return Subscription(self._connection, request)

    @overload
    def ingest(
        self, frames: "ManyFrames", *, driver: str = ""
    ) -> Coroutine[Any, Any, Acknowledgement]: ...
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
        frames: "ManyFrames | EllipsisType" = ...,
        *,
        driver: str = "",
        linger: float | None = None,
        deadline: float | None = None,
        max_buffered_bytes: int | None = None,
        resend: bool | None = None,
    ) -> "Coroutine[Any, Any, Acknowledgement] | Sender":
        """Send frames as a driver does, as `skbpool.Client.ingest`.

        `await ingest(frames)` sends these and returns what became of them; an asynchronous iterable
        of frames, too. Other iterables are iterated in the loop: one that takes its time holds
        every task up. `ingest()` returns a sender, which `async with` opens and closes.

        Raises:
            TypeError: Frames, and an option of a sender; or something that is no frame.
            ServiceError: As of `skbpool.Client.ingest`.
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
        return self._ingest(frames, driver)

    async def _ingest(self, frames: "ManyFrames", driver: str) -> Acknowledgement:
        last = Acknowledgement()
        messages = encoded(frames, await self.message_bytes())
        async for acknowledgement in self.ingest_messages(messages, driver=driver):
            last = acknowledgement
        return last

    def ingest_messages(
        self, messages: "Messages", *, driver: str = ""
    ) -> AsyncIterator[Acknowledgement]:
        """Send encoded `IngestRequest`s numbered from 1, and yield acknowledgements as they come.

        The first comes before anything was sent, the last after everything was handled. The next
        message is asked for, by another task, when the one before was sent.
        """
        return send_messages(self._connection, messages, driver)

    def stamp_reader(self, stream: int, *, quota: int = 0) -> StampReader:
        """Return a reader of the stamps of `stream`, as of `skbpool.Client.stamp_reader`.

        It is attached by `async with`.
        """
        return StampReader(self._connection, stream, quota)

    async def close(self) -> None:
        """Close the connection; streams and sessions of this client end."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
