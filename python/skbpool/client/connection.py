"""The channel to one daemon, and the streams over it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import grpc
from google.protobuf.message import Message

from skbpool.addresses import Address
from skbpool.client.errors import ServiceError, service_error
from skbpool.client.tls import Tls, open_channel
from skbpool.client.verbs.verb import Result, Verb, serialized
from skbpool.errors import Closed

if TYPE_CHECKING:
    from grpc import UnaryUnaryMultiCallable, _CallIterator

DEFAULT_TIMEOUT = 10.0
"""Seconds that a call may take which is answered at once."""

RECEIVE_LIMIT = 64 << 20
"""Largest message this client takes, in bytes."""

ROUND_TRIP = "/skbpool.v1.ServerService/GetServerInfo"
"""A call whose empty request is valid."""

OPTIONS = (
    ("grpc.max_receive_message_length", RECEIVE_LIMIT),
    ("grpc.max_send_message_length", -1),  # what counts is the daemon's limit, which is asked for
    # A connection of its own for each Client: closing one ends its streams and no other's.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),  # frames are not sent twice
    # One that comes back is found again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A daemon that is stopped or cut off is noticed. It answers as often as it asks: every 30 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

Request = TypeVar("Request")
Response = TypeVar("Response")


class Connection:
    """A channel and what every call over it needs: the timeout, and what errors are to tell."""

    def __init__(self, address: Address, timeout: float, tls: Tls | None = None) -> None:
        self.address = str(address)
        self.timeout = timeout
        self._channel = open_channel(address, tls, OPTIONS)
        self._closed = False
        self._methods: dict[str, UnaryUnaryMultiCallable[Message, Message]] = {}
        self.answered = False
        """Whether a daemon has answered, so that a connection which fails is lost."""

    @property
    def channel(self) -> grpc.Channel:
        """The channel, for methods by their paths.

        Raises:
            Closed: The client was closed.
        """
        if self._closed:
            raise closed()
        return self._channel

    def do(self, verb: Verb[Result]) -> Result:
        """Make the call that `verb` is, and return what it results in.

        Raises:
            ServiceError: It failed.
        """
        method = self._methods.get(verb.method)
        if method is None:
            method = self._methods[verb.method] = self.channel.unary_unary(
                verb.method, serialized, verb.response.FromString
            )
        return verb.result(self.call(method, verb.request, verb.wait))

    def call(
        self,
        method: "UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        wait: float = 0.0,
    ) -> Response:
        """Make a unary call within the timeout, and `wait` seconds more for the daemon to wait."""
        with self.translated():
            response = method(request, timeout=self.timeout + wait)
        self.answered = True
        return response

    def round_trip(self) -> None:
        """Return when everything the daemon sent before now has been taken note of.

        The answer to a call comes behind it on the connection, and through the queue that brings
        the events of streams: the plain way of calling has a queue of its own.
        """
        method: UnaryUnaryMultiCallable[bytes, bytes]
        method = self.channel.unary_unary(ROUND_TRIP, None, None)
        with self.translated():
            method.future(b"", timeout=self.timeout).result()
        self.answered = True

    @contextmanager
    def translated(self, kept: str = "") -> Iterator[None]:
        """Turn what gRPC raises in the body into ServiceErrors.

        Args:
            kept: What holds also when the connection is lost.
        """
        try:
            yield
        except grpc.RpcError as error:
            raise service_error(error, self.address, answered=self.answered, kept=kept) from None
        except ValueError:
            # What gRPC raises for a channel that is closed.
            if self._closed:
                raise closed() from None
            raise

    def close(self) -> None:
        """Close the channel; its streams end."""
        self._closed = True
        self._channel.close()


class _Methods:
    """A channel as generated stubs take it, whose methods gRPC looks up when they are called.

    Those that stubs register beforehand are looked up in the memory of the channel, also when that
    was freed because another thread closed it.
    """

    def __init__(self, connection: Connection) -> None:
        self._channel = connection.channel

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        make = getattr(self._channel, kind)

        def method(path: str, **serializers: Any) -> Any:
            serializers.pop("_registered_method", None)
            return make(path, **serializers)

        return method


def for_stubs(connection: Connection) -> grpc.Channel:
    """Return the channel as generated stubs are to take it. Raises Closed."""
    return cast("grpc.Channel", _Methods(connection))


def check_timeout(timeout: float) -> None:
    """Raise TypeError or ValueError if it is no time that a call may take."""
    if not isinstance(timeout, int | float):
        raise TypeError(f"timeout is a number of seconds, not {type(timeout).__name__}")
    if not 0 < timeout < math.inf:  # nor NaN
        raise ValueError(f"timeout is more than 0 seconds, and finite, not {timeout}")


def closed() -> Closed:
    """Return the error of a client that was closed."""
    return Closed("the client was closed; make another")


class ServerStream(Generic[Response]):
    """A stream of responses that this side may end.

    Args:
        kept: What holds also when the connection is lost, for the error.
    """

    def __init__(
        self, connection: Connection, call: "_CallIterator[Response]", kept: str = ""
    ) -> None:
        self._connection = connection
        self._call = call
        self._kept = kept
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether this side has ended it."""
        return self._closed

    def ended_by(self, code: grpc.StatusCode) -> ServiceError | None:
        """Return the error with which the daemon ended it, if that has `code`."""
        # Its end comes through another queue than the answers of calls.
        self._connection.round_trip()
        if self._call.is_active() or self._call.code() is not code:
            return None
        connection = self._connection
        error = cast("grpc.RpcError", self._call)  # an error too, once it has ended
        return service_error(error, connection.address, answered=connection.answered)

    def wait_open(self) -> None:
        """Wait until the daemon has set everything up, which it tells by its initial metadata.

        Raises:
            ServiceError: It refused.
        """
        self._call.initial_metadata()
        # A refusal has initial metadata too, and its status is told after that.
        self._connection.round_trip()
        if not self._call.is_active() and self._call.code() is not grpc.StatusCode.OK:
            self.first()

    def first(self) -> Response:
        """Return the first response.

        Raises:
            ServiceError: There is none.
        """
        with self._connection.translated():
            response = next(self._call)
        self._connection.answered = True
        return response

    def __iter__(self) -> Iterator[Response]:
        """Yield the responses until either side ends the stream.

        Raises:
            ServiceError: The daemon ended it with an error, or is gone.
        """
        try:
            with self._connection.translated(self._kept):
                for response in self._call:
                    self._connection.answered = True
                    yield response
        except ServiceError:
            if not self._closed:
                raise

    def close(self) -> None:
        """End the stream; may be called from any thread, and more than once."""
        self._closed = True
        self._call.cancel()
