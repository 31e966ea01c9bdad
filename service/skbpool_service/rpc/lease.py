"""skbpool.v1.LeaseService: buffers and skbs lent to clients.

The verbs are the table's, in Rust: each looks at all of its arguments before it changes anything.
"""

import time
from collections.abc import Iterator
from functools import partial

import grpc
import skbpool
import structlog
from google.protobuf.duration_pb2 import Duration
from skbpool._native import LeasePort
from skbpool.v1 import lease_pb2

from skbpool_service.engine import Engine
from skbpool_service.ledger import DRIVER
from skbpool_service.pools import pool_closed
from skbpool_service.refusal import bad_request, out_of_range, over_limit
from skbpool_service.rpc.call import Gate, Stream, first, parse
from skbpool_service.rpc.convert import drops
from skbpool_service.rpc.exhaustion import exhaustion
from skbpool_service.rpc.farewell import Farewell
from skbpool_service.rpc.table import MethodTable
from skbpool_service.sessions import Session, Sessions
from skbpool_service.waiting import NONE_LEFT, Waiting

log = structlog.get_logger()

SERVICE = lease_pb2.DESCRIPTOR.services_by_name["LeaseService"].full_name

NANOSECONDS = 1_000_000_000


class LeaseService:
    """The service over the sessions of one daemon."""

    def __init__(self, engine: Engine, sessions: Sessions, gate: Gate):
        self._engine = engine
        self._sessions = sessions
        self._gate = gate
        self._limits = engine.settings.limits
        self._farewell = Farewell()
        self._waiting = Waiting(
            self._limits.waiting_calls, self._limits.max_waiting_calls_per_session
        )

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_streaming(SERVICE, "OpenSession", self._gate, self.open_session)
        table.add_waiting(SERVICE, "Allocate", lease_pb2.AllocateRequest, self.allocate)
        table.add_unary(SERVICE, "Write", lease_pb2.WriteRequest, self.write)
        table.add_unary(SERVICE, "MakeSkb", lease_pb2.MakeSkbRequest, self.make_skb)
        table.add_unary(SERVICE, "Clone", lease_pb2.CloneRequest, self.clone)
        table.add_unary(SERVICE, "Slice", lease_pb2.SliceRequest, self.slice)
        table.add_unary(SERVICE, "Deliver", lease_pb2.DeliverRequest, self.deliver)
        table.add_unary(SERVICE, "Read", lease_pb2.ReadRequest, self.read)
        table.add_unary(SERVICE, "Release", lease_pb2.ReleaseRequest, self.release)

    def open_session(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve OpenSession: returns, and the session stays until the stream ends."""
        self._farewell.add(stream)
        request = parse(
            lease_pb2.OpenSessionRequest, first(requests, self._limits.max_message_bytes)
        )
        name = self._engine.name(request.name, "session")
        session = self._sessions.open(name, stream.end)

        def close() -> None:
            port = self._sessions.close(session)
            if port is not None:
                self._engine.detach(port, DRIVER, name)
            self._waiting.look()
            handles = session.table.holds()["count"]
            log.info(
                "session ends",
                session=name,
                number=session.number,
                handles_brought_home=handles,
            )

        stream.on_end(close)
        log.info("session begins", session=name, number=session.number)
        response = lease_pb2.OpenSessionResponse(session_id=session.id, name=name)
        stream.send(response.SerializeToString())

    def allocate(
        self, request: lease_pb2.AllocateRequest, context: grpc.ServicerContext
    ) -> lease_pb2.AllocateResponse:
        """Answer Allocate."""
        if request.count == 0:
            raise bad_request("count is at least 1")
        session = self._sessions.get(request.session_id)
        pool = self._engine.pools.get_open(request.pool)
        wait = self._wait_of(request.wait) if request.HasField("wait") else 0.0
        try:
            # Whoever does not wait is in no line, and takes what there is; more than there are will
            # not be there later either.
            if wait and request.count <= pool.count:
                buffers = self._wait(session, pool, request.count, wait, context)
            else:
                buffers = self._take(session, pool, request.count)
        except NONE_LEFT:
            raise exhaustion(pool, self._engine, self._sessions, request.count) from None
        except skbpool.PoolClosed:
            raise pool_closed(pool) from None
        return lease_pb2.AllocateResponse(buffers=buffers, buffer_bytes=pool.buffer_bytes)

    def _take(self, session: Session, pool: skbpool.Pool, count: int) -> list[int]:
        """Lend `count` buffers, or raise one of NONE_LEFT, of which watchers of pools are told."""
        try:
            return session.table.allocate(pool, count)
        except NONE_LEFT:
            self._engine.pools.note_short(pool, count)
            raise

    def _wait_of(self, duration: Duration) -> float:
        """Return the seconds that a call is to wait, or raise Refusal."""
        if duration.seconds < 0 or not 0 <= duration.nanos < NANOSECONDS:
            raise bad_request(
                "wait is 0 or more seconds and 0 to 999999999 nanoseconds, not "
                f"{duration.seconds} and {duration.nanos}"
            )
        seconds = duration.seconds + duration.nanos / NANOSECONDS
        if seconds > self._limits.max_wait_seconds:
            raise out_of_range(
                f"a wait of {seconds:g} s is more than the daemon allows "
                f"(limits.max_wait_seconds = {self._limits.max_wait_seconds:g}); wait several times"
            )
        return seconds

    def _wait(
        self,
        session: Session,
        pool: skbpool.Pool,
        count: int,
        seconds: float,
        context: grpc.ServicerContext,
    ) -> list[int]:
        attempt = partial(self._take, session, pool, count)

        def check() -> None:
            session.check_open()
            if pool.is_closed:
                raise pool_closed(pool)

        buffers = self._waiting.wait(pool.name, session.number, attempt, seconds, context, check)
        if buffers is None:
            raise exhaustion(pool, self._engine, self._sessions, count)
        if not context.is_active():  # nobody will know these handles
            session.table.release(buffers)
        return buffers

    def write(self, request: lease_pb2.WriteRequest) -> lease_pb2.WriteResponse:
        """Answer Write."""
        session = self._sessions.get(request.session_id)
        session.table.write([(one.buffer, one.offset, one.data) for one in request.writes])
        return lease_pb2.WriteResponse()

    def make_skb(self, request: lease_pb2.MakeSkbRequest) -> lease_pb2.MakeSkbResponse:
        """Answer MakeSkb."""
        now = time.time_ns()
        session = self._sessions.get(request.session_id)
        views = [
            (
                spec.buffer,
                spec.offset,
                spec.length,
                spec.original_length,
                spec.timestamp_ns or now,
                spec.link_type,
                spec.interface,
            )
            for spec in request.skbs
        ]
        return lease_pb2.MakeSkbResponse(skbs=session.table.make_skb(views))

    def clone(self, request: lease_pb2.CloneRequest) -> lease_pb2.CloneResponse:
        """Answer Clone."""
        session = self._sessions.get(request.session_id)
        return lease_pb2.CloneResponse(skbs=session.table.clone(list(request.skbs)))

    def slice(self, request: lease_pb2.SliceRequest) -> lease_pb2.SliceResponse:
        """Answer Slice."""
        session = self._sessions.get(request.session_id)
        slices = [(one.skb, one.offset, one.length) for one in request.slices]
        return lease_pb2.SliceResponse(skbs=session.table.slice(slices))

    def deliver(self, request: lease_pb2.DeliverRequest) -> lease_pb2.DeliverResponse:
        """Answer Deliver."""
        session = self._sessions.get(request.session_id)
        port = session.port(partial(LeasePort, self._engine.hub))
        delivered = session.table.deliver(port, list(request.skbs))
        self._waiting.look()
        return lease_pb2.DeliverResponse(
            delivered=delivered["delivered"],
            unclaimed=delivered["unclaimed"],
            dropped=drops(delivered["dropped"]),
        )

    def read(self, request: lease_pb2.ReadRequest) -> lease_pb2.ReadResponse:
        """Answer Read."""
        session = self._sessions.get(request.session_id)
        ranges = [(one.handle, one.offset, one.length or None) for one in request.ranges]
        most = self._limits.max_message_bytes
        try:
            data = session.table.read(ranges, most)
        except skbpool.FrameTooLarge as error:
            raise over_limit("max_message_bytes", str(error), most, retry=False) from None
        return lease_pb2.ReadResponse(data=data)

    def release(self, request: lease_pb2.ReleaseRequest) -> lease_pb2.ReleaseResponse:
        """Answer Release."""
        handles = list(request.handles)
        self._sessions.get(request.session_id).table.release(handles)
        self._waiting.look()
        return lease_pb2.ReleaseResponse(released=len(handles))

    def stop(self) -> None:
        """Tell every session, and whoever waits for buffers, that the daemon stops."""
        self._waiting.stop()
        self._farewell.stop()
