"""Verbs of lease sessions."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from skbpool.client.drops import Drops, drops_of
from skbpool.client.errors import NotFound
from skbpool.client.frame import ETHERNET
from skbpool.client.request import duration_of, request_of
from skbpool.client.verbs.verb import Verb
from skbpool.v1 import lease_pb2

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SERVICE = "/skbpool.v1.LeaseService/"


class View(NamedTuple):
    """An skb to cut from a buffer."""

    buffer: int
    """Handle of the buffer."""
    length: int
    """Bytes of the view."""
    offset: int = 0
    """Where in the buffer it begins."""
    timestamp_ns: int = 0
    """When the frame arrived, in nanoseconds since the Unix epoch; 0: now."""
    original_length: int = 0
    """Bytes the frame had before it was cut short; 0: it was not."""
    link_type: int = ETHERNET
    """LINKTYPE_ number of the pcap registry."""
    interface: int = 0
    """Number of the interface it came in on."""


class Delivered(NamedTuple):
    """What became of delivered skbs."""

    delivered: int
    """Skbs that at least one consumer was handed."""
    unclaimed: int
    """Skbs that no consumer wanted."""
    dropped: Drops
    """Skbs that consumers missed, by reason; one that two consumers missed counts twice."""


def allocate(session: str, count: int, pool: str, timeout: float) -> Verb[tuple[list[int], int]]:
    """Take buffers; the result is their handles, and the size of each."""
    request = request_of(lease_pb2.AllocateRequest, session_id=session, pool=pool, count=count)
    if timeout != 0:
        request.wait.CopyFrom(duration_of("timeout", timeout))
    return Verb(
        f"{SERVICE}Allocate",
        request,
        lease_pb2.AllocateResponse,
        lambda answer: (list(answer.buffers), answer.buffer_bytes),
        timeout,
    )


def write(session: str, writes: Iterable[tuple[int, "ReadableBuffer", int]]) -> Verb[None]:
    """Write into buffers: (buffer, data, offset) each."""
    request = lease_pb2.WriteRequest(session_id=session)
    for buffer, data, offset in writes:
        request.writes.append(
            request_of(lease_pb2.BufferWrite, buffer=buffer, data=_bytes(data), offset=offset)
        )
    return Verb(f"{SERVICE}Write", request, lease_pb2.WriteResponse, _nothing)


def make_skbs(session: str, views: Iterable[View]) -> Verb[list[int]]:
    """Cut skbs from buffers."""
    request = lease_pb2.MakeSkbRequest(session_id=session)
    for view in views:
        if not isinstance(view, View):
            raise TypeError(f"views are Views, as in View(buffer, 60), not {type(view).__name__}")
        request.skbs.append(request_of(lease_pb2.SkbSpec, **view._asdict()))
    return Verb(f"{SERVICE}MakeSkb", request, lease_pb2.MakeSkbResponse, _skbs)


def clone(session: str, skbs: Iterable[int]) -> Verb[list[int]]:
    """Make another view of each skb."""
    request = lease_pb2.CloneRequest(session_id=session, skbs=_handles(skbs))
    return Verb(f"{SERVICE}Clone", request, lease_pb2.CloneResponse, _skbs)


def slice_(session: str, slices: Iterable[tuple[int, int, int]]) -> Verb[list[int]]:
    """Make views of parts of skbs: (skb, offset, length) each."""
    request = lease_pb2.SliceRequest(session_id=session)
    for skb, offset, length in slices:
        request.slices.append(
            request_of(lease_pb2.SliceSpec, skb=skb, offset=offset, length=length)
        )
    return Verb(f"{SERVICE}Slice", request, lease_pb2.SliceResponse, _skbs)


def deliver(session: str, skbs: Iterable[int]) -> Verb[Delivered]:
    """Hand skbs to every consumer."""
    request = lease_pb2.DeliverRequest(session_id=session, skbs=_handles(skbs))
    return Verb(f"{SERVICE}Deliver", request, lease_pb2.DeliverResponse, _delivered)


def read(session: str, ranges: Iterable[tuple[int, int, int]]) -> Verb[list[bytes]]:
    """Read bytes: (handle, offset, length) each; length 0: to the end."""
    request = lease_pb2.ReadRequest(session_id=session)
    for handle, offset, length in ranges:
        request.ranges.append(
            request_of(lease_pb2.ReadRange, handle=handle, offset=offset, length=length)
        )
    response = lease_pb2.ReadResponse
    return Verb(f"{SERVICE}Read", request, response, lambda answer: list(answer.data))


def release(session: str, handles: Iterable[int]) -> Verb[int]:
    """Let go of buffers and skbs; the result is how many."""
    request = lease_pb2.ReleaseRequest(session_id=session, handles=_handles(handles))
    response = lease_pb2.ReleaseResponse
    return Verb(f"{SERVICE}Release", request, response, lambda answer: int(answer.released))


def session_closed() -> NotFound:
    """Return the error of a session that this side has ended."""
    text = "the session was closed, and its handles are gone; open another one"
    return NotFound(text, grpc.StatusCode.NOT_FOUND)


def _bytes(data: "ReadableBuffer") -> bytes:
    """Return a copy; of a number, `bytes` would make so many zeroes."""
    try:
        with memoryview(data) as view:
            return view.tobytes()
    except TypeError:
        raise TypeError(f"data is a bytes-like object, not {type(data).__name__}") from None


def _handles(given: Iterable[int]) -> list[int]:
    """Return the handles; protobuf's own errors do not tell that one alone is no list."""
    try:
        handles = list(given)
        lease_pb2.ReleaseRequest(handles=handles)
    except (TypeError, ValueError):
        shown = repr(given)[:80]
        text = f"handles are an iterable of numbers, as in [handle], not {shown}"
        raise TypeError(text) from None
    return handles


def _nothing(_answer: Any) -> None:
    return None


def _skbs(answer: Any) -> list[int]:
    return list(answer.skbs)


def _delivered(answer: lease_pb2.DeliverResponse) -> Delivered:
    return Delivered(answer.delivered, answer.unclaimed, drops_of(answer.dropped))
