"""The table of methods that a server answers."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import grpc
from google.protobuf.message import Message

from skbpool_service.refusal import Refusal
from skbpool_service.rpc.call import (
    Gate,
    Handler,
    Recorder,
    Request,
    Stream,
    refusing,
    streaming,
    unary,
    waiting_unary,
)
from skbpool_service.rpc.laggards import Laggards
from skbpool_service.rpc.open_streams import OpenStreams

UNKNOWN = "unknown"
"""What calls of methods that there are not are counted as."""


class MethodTable(grpc.GenericRpcHandler):
    """Finds the handler of each method, and counts the call."""

    def __init__(
        self,
        recorder: Recorder,
        laggards: Laggards,
        stream_laggards: Laggards,
        threads: ThreadPoolExecutor,
        reaper: Executor,
        max_message_bytes: int,
    ):
        self.recorder = recorder
        self.streams = OpenStreams()
        self._laggards = laggards
        self._stream_laggards = stream_laggards
        self._threads = threads
        self._reaper = reaper
        self._max_message_bytes = max_message_bytes
        self._handlers: dict[str, tuple[str, Handler]] = {}
        refusal = Refusal(
            grpc.StatusCode.UNIMPLEMENTED,
            "UNKNOWN_METHOD",
            "there is no such method; gRPC reflection lists those that there are",
        )
        self._unknown = refusing(UNKNOWN, refusal, recorder)

    def add_unary(
        self, service: str, name: str, kind: type[Request], answer: Callable[[Request], Message]
    ) -> None:
        """Add a method with one request and one response."""
        method = f"{service}/{name}"
        handler = unary(
            method, kind, answer, self.recorder, self._laggards, self._max_message_bytes
        )
        self._handlers[f"/{method}"] = (method, handler)

    def add_waiting(
        self,
        service: str,
        name: str,
        kind: type[Request],
        answer: Callable[[Request, grpc.ServicerContext], Message],
    ) -> None:
        """As `add_unary`, for an answer that may wait and sees whether the client still does."""
        method = f"{service}/{name}"
        handler = waiting_unary(
            method, kind, answer, self.recorder, self._laggards, self._max_message_bytes
        )
        self._handlers[f"/{method}"] = (method, handler)

    def add_streaming(
        self,
        service: str,
        name: str,
        gate: Gate,
        serve: Callable[[Stream, Iterator[bytes]], None],
        *,
        may_idle: bool = False,
    ) -> None:
        """Add a method that streams responses, of which `gate` admits so many at a time.

        `may_idle`: the client may wait with its first request.
        """
        laggards = None if may_idle else self._stream_laggards
        method = f"{service}/{name}"
        handler = streaming(
            method,
            serve,
            self.recorder,
            laggards,
            gate,
            self._threads,
            self._reaper,
            self.streams.add,
        )
        self._handlers[f"/{method}"] = (method, handler)

    @property
    def methods(self) -> list[str]:
        """Every method, as `package.Service/Method`."""
        return [method for method, _ in self._handlers.values()]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Return the handler of a call that came in. Runs on grpcio's own thread."""
        return self.find(handler_call_details.method)[1]

    def find(self, path: str) -> tuple[str, Handler]:
        """Return name and handler of a call to `/package.Service/Method`, and count it."""
        method, handler = self._handlers.get(path) or (UNKNOWN, self._unknown)
        self.recorder.started(method)
        return method, handler
