"""Handlers that see raw bytes, and what all calls have in common.

Every method is registered with grpcio as one that takes a stream of requests, also those that take
one: on the wire they are the same, and so a handler runs before the first request is read. It can
refuse at once, read the bytes itself, and know how the call ended, however it ended.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from skbpool_service.refusal import Refusal, bad_request, over_limit, refusal_of
from skbpool_service.rpc.laggards import Laggards

log = structlog.get_logger()

Request = TypeVar("Request", bound=Message)
Send = Callable[[bytes | None], None]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Recorder(Protocol):
    """Where calls are counted."""

    def started(self, method: str) -> None:
        """Count a call that came in."""

    def ended(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Count a call that is over."""


class Gate:
    """How many of something there may be at a time."""

    def __init__(self, limit: str, most: int, what: str):
        self._limit = limit
        self._most = most
        self._what = what
        self._changed = threading.Condition()
        self._inside = 0

    @property
    def inside(self) -> int:
        """How many there are."""
        return self._inside

    def enter(self) -> None:
        """Let one more in, or raise Refusal."""
        with self._changed:
            if self._inside < self._most:
                self._inside += 1
                return
        raise over_limit(self._limit, f"the daemon has as many {self._what} as it may", self._most)

    def leave(self) -> None:
        """Let one out."""
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def wait_empty(self, timeout: float) -> bool:
        """Wait until nobody is inside or `timeout` seconds have passed; return whether."""
        with self._changed:
            return self._changed.wait_for(lambda: self._inside == 0, timeout)


class Call:
    """One call from its beginning to its end, which is recorded once."""

    def __init__(self, method: str, context: grpc.ServicerContext, recorder: Recorder):
        self._method = method
        self._context = context
        self._recorder = recorder
        self._begin = time.monotonic()
        self._concluded: grpc.StatusCode | None = None
        if not context.add_callback(self._ended):
            self._ended()

    def conclude(self, code: grpc.StatusCode) -> None:
        """Say how the handler ended the call."""
        self._concluded = code

    def refuse(self, error: Exception) -> Refusal:
        """Turn what a handler raised into a refusal, and say that it ends the call."""
        refusal = refusal_of(error)
        if refusal is None:
            log.error("call failed", method=self._method, exc_info=error)
            text = "a fault of the daemon, whose log tells more; report it with that log"
            refusal = Refusal(grpc.StatusCode.INTERNAL, "BUG", text)
        self.conclude(refusal.code)
        return refusal

    def _ended(self) -> None:
        code = self._concluded
        if code is None:
            late = self._context.time_remaining() == 0
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
        self._recorder.ended(self._method, code, time.monotonic() - self._begin)


class Stream:
    """A call whose responses are sent from any thread, and which holds none between them."""

    def __init__(self, call: Call, context: grpc.ServicerContext, send: Send, reaper: Executor):
        self._call = call
        self.context = context
        self._send = send
        self._reaper = reaper
        self._lock = threading.Lock()
        self._ended = False
        self._cleanups: list[Callable[[], object]] = []
        self._holds = 2  # the handler, until it returns, and the call, until it is over

    @property
    def is_active(self) -> bool:
        """Whether the client is there and was not told the end."""
        return bool(self.context.is_active())

    def open(self) -> None:
        """Tell the client that everything is set up, before there is anything to send."""
        self.context.send_initial_metadata(())

    def send(self, message: bytes) -> bool:
        """Send `message`, waiting until the connection takes it; return whether it is still open.

        One thread at a time.
        """
        self._send(message)
        return self.is_active

    def end(self, error: Exception | None = None) -> None:
        """End the call: with what `error` stands for, else in order. Only the first end counts."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        if error is None:
            self._call.conclude(grpc.StatusCode.OK)
        else:
            status = self._call.refuse(error).status()
            self.context.set_code(status.code)
            self.context.set_details(status.details)
            if status.trailing_metadata is not None:
                self.context.set_trailing_metadata(status.trailing_metadata)
        self._send(None)

    def on_end(self, cleanup: Callable[[], object]) -> None:
        """Have `cleanup` called, the last first, when the call is over and its handler returned.

        However the call ended, and on another thread. To be called by the handler.
        """
        self._cleanups.append(cleanup)

    def serve(self, handler: Callable[[], None]) -> None:
        """Run the handler; what it raises ends the call."""
        if not self.context.add_callback(self._let_go):
            self._let_go()
        try:
            handler()
        except grpc.RpcError:  # the client is gone
            raise
        except Exception as error:
            self.end(error)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            self._holds -= 1
            if self._holds:
                return
        self._reaper.submit(self._clean_up)

    def _clean_up(self) -> None:
        for cleanup in reversed(self._cleanups):
            try:
                cleanup()
            except Exception:
                log.exception("cleaning up after a call failed")


def first(requests: Iterator[bytes], most: int) -> bytes:
    """Return the first message of a call.

    Raises:
        Refusal: There is none, or it is larger than `most` bytes.
    """
    return check_first(next(requests, None), most)


def check_first(message: bytes | None, most: int) -> bytes:
    """Return the first message of a call, or raise Refusal as `first` does."""
    if message is None:
        raise bad_request("the call has no request message")
    return check_size(message, most)


def check_size(message: bytes, most: int) -> bytes:
    """Return `message`, or raise Refusal if it is larger than `most` bytes."""
    if len(message) > most:
        text = f"a message has {len(message)} bytes; send smaller batches"
        raise over_limit("max_message_bytes", text, most, retry=False)
    return message


def parse(kind: type[Request], message: bytes) -> Request:
    """Return the message of `kind` that `message` holds, or raise Refusal."""
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise bad_request(f"the request is no {kind.DESCRIPTOR.full_name}: {error}") from None


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    """End the call of a handler that is running."""
    context.abort_with_status(refusal.status())
    raise AssertionError("abort_with_status raises")


def unary(
    method: str,
    kind: type[Request],
    answer: Callable[[Request], Message],
    recorder: Recorder,
    laggards: Laggards,
    max_message_bytes: int,
) -> Handler:
    """Return the handler of a method with one request and one response."""
    return waiting_unary(
        method,
        kind,
        lambda request, _context: answer(request),
        recorder,
        laggards,
        max_message_bytes,
    )


def waiting_unary(
    method: str,
    kind: type[Request],
    answer: Callable[[Request, grpc.ServicerContext], Message],
    recorder: Recorder,
    laggards: Laggards,
    max_message_bytes: int,
) -> Handler:
    """As `unary`, for an `answer` that looks whether the client is still there."""

    def behaviour(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        call = Call(method, context, recorder)
        try:
            message = laggards.first(requests, context)
            request = parse(kind, check_first(message, max_message_bytes))
            response = answer(request, context).SerializeToString()
            if len(response) > max_message_bytes:
                text = f"the response has {len(response)} bytes; ask for less at a time"
                raise over_limit("max_message_bytes", text, max_message_bytes, retry=False)
            call.conclude(grpc.StatusCode.OK)
            return response
        except grpc.RpcError:  # the client is gone
            raise
        except Exception as error:
            refusal = call.refuse(error)
        _abort(context, refusal)

    return grpc.stream_unary_rpc_method_handler(behaviour)


def refuse(
    method: str, context: grpc.ServicerContext, refusal: Refusal, recorder: Recorder
) -> NoReturn:
    """End a call that nothing was done for yet, and record it."""
    Call(method, context, recorder).conclude(refusal.code)
    _abort(context, refusal)


def refusing(method: str, refusal: Refusal, recorder: Recorder) -> Handler:
    """Return a handler that refuses every call, without reading a request."""

    def behaviour(_requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        refuse(method, context, refusal, recorder)

    return grpc.stream_unary_rpc_method_handler(behaviour)


def streaming(
    method: str,
    serve: Callable[[Stream, Iterator[bytes]], None],
    recorder: Recorder,
    laggards: Laggards | None,
    gate: Gate,
    threads: ThreadPoolExecutor,
    reaper: Executor,
    opened: Callable[[Stream], None],
) -> Handler:
    """Return the handler of a method that streams responses.

    `opened` and then `serve` get the open stream; the handler may return while it is open. What it
    raises ends the call.
    Without `laggards` a client may take its time for its first request.
    """

    def behaviour(requests: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
        call = Call(method, context, recorder)
        try:
            gate.enter()
        except Refusal as refusal:
            call.refuse(refusal)
            _abort(context, refusal)
        stream = Stream(call, context, send, reaper)
        stream.on_end(gate.leave)
        opened(stream)
        watched = laggards.watch(requests, context) if laggards else requests
        stream.serve(lambda: serve(stream, watched))

    # What grpcio looks at: it runs the behaviour in this pool, hands it a function to send with,
    # and leaves the call open when it returns.
    behaviour.experimental_thread_pool = threads  # type: ignore[attr-defined]
    behaviour.experimental_non_blocking = True  # type: ignore[attr-defined]
    return grpc.stream_stream_rpc_method_handler(behaviour)
