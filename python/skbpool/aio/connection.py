"""The channel to one daemon, and the streams over it, for asyncio."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc
import grpc.aio

from skbpool.addresses import Address
from skbpool.client.connection import OPTIONS, ROUND_TRIP, closed
from skbpool.client.errors import Cancelled, ServiceError, service_error
from skbpool.client.tls import Tls
from skbpool.client.verbs.verb import Result, Verb, serialized

if TYPE_CHECKING:
    from grpc.aio import UnaryUnaryMultiCallable

Response = TypeVar("Response")

WRITE_FAILED = "Internal error from Core"
"""What grpc.aio (1.85) says, in place of the stream's own status, when a message cannot be written,
since the connection is lost or the stream has ended."""


class Connection:
    """A channel and what every call over it needs; belongs to the loop that it was made in."""

    def __init__(self, address: Address, timeout: float, tls: Tls | None) -> None:
        self.address = str(address)
        self.timeout = timeout
        if tls is None:
            self._channel = grpc.aio.insecure_channel(address.target, options=OPTIONS)
        else:
            options = (*OPTIONS, *tls.options)
            self._channel = grpc.aio.secure_channel(
                address.target, tls.credentials(), options=options
            )
        self._closed = False
        self._methods: dict[str, UnaryUnaryMultiCallable[Any, Any]] = {}
        self.answered = False
        """Whether a daemon has answered, so that a connection which fails is lost."""

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel. Raises Closed if the client was closed."""
        if self._closed:
            raise closed()
        return self._channel

    async def do(self, verb: Verb[Result]) -> Result:
        """Make the call that `verb` is, and return what it results in.

        Raises:
            ServiceError: It failed.
        """
        channel, method = self.channel, self._methods.get(verb.method)
        if method is None:
            method = self._methods[verb.method] = channel.unary_unary(
                verb.method, serialized, verb.response.FromString
            )
        try:
            answer = await method(verb.request, timeout=self.timeout + verb.wait)
        except grpc.RpcError as error:
            raise self.error(error) from None
        self.answered = True
        return verb.result(answer)

    async def round_trip(self) -> None:
        """Return when everything the daemon sent before now has been taken note of."""
        method: UnaryUnaryMultiCallable[bytes, bytes]
        method = self.channel.unary_unary(ROUND_TRIP, None, None)
        try:
            await method(b"", timeout=self.timeout)
        except grpc.RpcError as error:
            raise self.error(error) from None
        self.answered = True

    def error(self, error: grpc.RpcError, kept: str = "") -> ServiceError:
        """Return the typed exception for what gRPC raised."""
        if error.code() is grpc.StatusCode.INTERNAL and error.details() == WRITE_FAILED:
            error = _Unavailable("while it was written to")
        return service_error(error, self.address, answered=self.answered, kept=kept)

    async def close(self) -> None:
        """Close the channel; its streams end."""
        self._closed = True
        await self._channel.close()


class ServerStream(Generic[Response]):
    """A stream of responses that this side may end.

    Args:
        kept: What holds also when the connection is lost, for the error.
    """

    def __init__(self, connection: Connection, call: Any, kept: str = "") -> None:
        self._connection = connection
        self._call = call
        self._kept = kept
        self._closed = False
        self._cancelled = False

    @property
    def closed(self) -> bool:
        """Whether this side has ended it."""
        return self._closed

    async def wait_open(self) -> None:
        """Wait until the daemon has set everything up, which it tells by its initial metadata.

        Raises:
            ServiceError: It refused.
        """
        try:
            await self._call.initial_metadata()
            # A refusal has initial metadata too, and its status is told after that.
            await self._connection.round_trip()
            if self._call.done() and await self._call.code() is not grpc.StatusCode.OK:
                await self.first()
        except BaseException:
            self.close()
            raise

    async def first(self) -> Response:
        """Return the first response.

        Raises:
            ServiceError: There is none.
        """
        try:
            async for response in self:
                return response
            raise self._connection.error(_Unavailable("the stream ended before its first response"))
        except BaseException:
            self.close()
            raise

    async def ended_by(self, code: grpc.StatusCode) -> ServiceError | None:
        """Return the error with which the daemon ended it, if that has `code`."""
        await self._connection.round_trip()
        if not self._call.done() or await self._call.code() is not code:
            return None
        try:
            await self._call.read()
        except grpc.RpcError as error:
            return self._connection.error(error)
        return None

    async def __aiter__(self) -> AsyncIterator[Response]:
        """Yield the responses until either side ends the stream.

        Raises:
            ServiceError: The daemon ended it with an error, or is gone.
        """
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self._connection.answered = True
                yield response
        except grpc.RpcError as error:
            if not self._closed:
                raise self._connection.error(error, self._kept) from None
        except asyncio.CancelledError:
            # gRPC raises it also when this side has ended the stream, or closed the channel.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._cancelled = True  # and gRPC has ended the call
                raise
            if not self._closed:
                text = "the client was closed while the stream was open"
                if self._cancelled:
                    text = (
                        "a wait for the stream was cancelled, as by a timeout, which ended it: "
                        "open another one"
                    )
                raise Cancelled(text, grpc.StatusCode.CANCELLED) from None

    def close(self) -> None:
        """End the stream; more than once, too."""
        self._closed = True
        self._call.cancel()


class _Unavailable(grpc.RpcError):
    """A stream that cannot go on, as gRPC would say it."""

    def __init__(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[()]:
        return ()
