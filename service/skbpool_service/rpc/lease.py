"""skbpool.v1.LeaseService: buffers and skbs lent to clients.

Every verb looks at all of its arguments before it changes anything.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator

import skbpool
import structlog
from skbpool._native import LeasePort, Reservation
from skbpool.v1 import lease_pb2

from skbpool_service.engine import Engine
from skbpool_service.ledger import DRIVER
from skbpool_service.refusal import bad_request, exhausted, out_of_range, over_limit
from skbpool_service.rpc.call import Gate, Stream, first, parse
from skbpool_service.rpc.convert import drops
from skbpool_service.rpc.farewell import Farewell
from skbpool_service.rpc.table import MethodTable
from skbpool_service.sessions import Session, Sessions, distinct

log = structlog.get_logger()

SERVICE = lease_pb2.DESCRIPTOR.services_by_name["LeaseService"].full_name

MAX_LINK_TYPE = 65_535
MAX_INTERFACE = 65_535


class LeaseService:
    """The service over the sessions of one daemon."""

    def __init__(self, engine: Engine, sessions: Sessions, gate: Gate):
        self._engine = engine
        self._sessions = sessions
        self._gate = gate
        self._limits = engine.settings.limits
        self._farewell = Farewell()
        self._ports: dict[str, LeasePort] = {}

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_streaming(SERVICE, "OpenSession", self._gate, self.open_session)
        table.add_unary(SERVICE, "Allocate", lease_pb2.AllocateRequest, self.allocate)
        table.add_unary(SERVICE, "Write", lease_pb2.WriteRequest, self.write)
        table.add_unary(SERVICE, "MakeSkb", lease_pb2.MakeSkbRequest, self.make_skb)
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
        session = self._sessions.open(name)

        def close() -> None:
            handles = self._sessions.close(session)
            # After the session closed, no call can make another one.
            port = self._ports.pop(session.id, None)
            if port is not None:
                self._engine.detach(port, DRIVER, name)
            log.info("session ends", session=name, handles_brought_home=handles)

        stream.on_end(close)
        log.info("session begins", session=name)
        response = lease_pb2.OpenSessionResponse(session_id=session.id, name=name)
        stream.send(response.SerializeToString())

    def allocate(self, request: lease_pb2.AllocateRequest) -> lease_pb2.AllocateResponse:
        """Answer Allocate."""
        if request.count == 0:
            raise bad_request("count is at least 1")
        with self._session(request.session_id) as session:
            session.check_room(request.count)
            pool = self._engine.pools.get(request.pool)
            # Leases take no buffer that was promised to a driver or consumer, nor do those get a
            # promise of one that is lent.
            try:
                loans = pool.reserve(request.count, f'the leases of session "{session.name}"')
            except skbpool.PoolTooSmall as error:
                raise exhausted(
                    f"{error.needed} buffers were asked for, and of {error.buffers} buffers of the "
                    f"pool {error.reserved} are promised to drivers and consumers or lent; release "
                    "some, or try again when others did"
                ) from None
            # Nobody reads what somebody else wrote.
            buffers = pool.alloc_bulk(request.count, zero=True)
            return lease_pb2.AllocateResponse(
                buffers=session.add(zip(buffers, loans, strict=True)),
                buffer_bytes=pool.buffer_bytes,
            )

    def write(self, request: lease_pb2.WriteRequest) -> lease_pb2.WriteResponse:
        """Answer Write."""
        with self._session(request.session_id) as session:
            places = []
            for write in request.writes:
                buffer = session.buffer(write.buffer)
                end = write.offset + len(write.data)
                if end > len(buffer):
                    raise out_of_range(
                        f"{len(write.data)} bytes at offset {write.offset} end at {end}, beyond "
                        f"the {len(buffer)} bytes of buffer {write.buffer}"
                    )
                places.append((buffer, write.offset, end, write.data))
            for buffer, begin, end, data in places:
                with memoryview(buffer) as memory:
                    memory[begin:end] = data
        return lease_pb2.WriteResponse()

    def make_skb(self, request: lease_pb2.MakeSkbRequest) -> lease_pb2.MakeSkbResponse:
        """Answer MakeSkb."""
        now = time.time_ns()
        with self._session(request.session_id) as session:
            by_buffer: dict[int, list[tuple[int, lease_pb2.SkbSpec]]] = {}
            for place, spec in enumerate(request.skbs):
                _check_spec(session, spec)
                by_buffer.setdefault(spec.buffer, []).append((place, spec))
            for specs in by_buffer.values():
                # Views are cut from the front to the back of a buffer.
                specs.sort(key=lambda entry: (entry[1].offset, entry[1].length))
                for (_, one), (_, two) in itertools.pairwise(specs):
                    if two.offset < one.offset + one.length:
                        raise bad_request(
                            f"views of buffer {one.buffer} overlap at offset {two.offset}"
                        )
            session.check_room(len(request.skbs) - len(by_buffer))
            made: dict[int, tuple[skbpool.Skb, Reservation]] = {}
            for handle, specs in by_buffer.items():
                loan = session.loan(handle)
                with session.buffer(handle).arm(len(specs)) as armed:
                    for place, spec in specs:
                        skb = _describe(armed.skb(spec.offset, spec.length), spec, now)
                        made[place] = skb, loan
            session.drop(by_buffer)
            handles = session.add(made[place] for place in range(len(made)))
        return lease_pb2.MakeSkbResponse(skbs=handles)

    def deliver(self, request: lease_pb2.DeliverRequest) -> lease_pb2.DeliverResponse:
        """Answer Deliver."""
        with self._session(request.session_id) as session:
            skbs = session.skbs(request.skbs)
            port = self._ports.get(session.id)
            if port is None:
                port = self._ports[session.id] = LeasePort(self._engine.hub, session.name)
            try:
                delivered = port.deliver(skbs)
            finally:
                session.drop(request.skbs)
        return lease_pb2.DeliverResponse(
            delivered=delivered["delivered"],
            unclaimed=delivered["unclaimed"],
            dropped=drops(delivered["dropped"]),
        )

    def read(self, request: lease_pb2.ReadRequest) -> lease_pb2.ReadResponse:
        """Answer Read."""
        with self._session(request.session_id) as session:
            places = []
            total = 0
            for part in request.ranges:
                held = session.get(part.handle)
                size = len(held)
                end = part.offset + part.length if part.length else size
                if max(part.offset, end) > size:
                    raise out_of_range(
                        f"the range {part.offset}..{max(part.offset, end)} ends beyond the {size} "
                        f"bytes of handle {part.handle}"
                    )
                total += end - part.offset
                places.append((held, part.offset, end))
            most = self._limits.max_message_bytes
            if total > most:
                text = f"the ranges have {total} bytes together; read them in several calls"
                raise over_limit("max_message_bytes", text, most, retry=False)
            data = []
            for held, begin, end in places:
                with memoryview(held) as memory:
                    data.append(bytes(memory[begin:end]))
        return lease_pb2.ReadResponse(data=data)

    def release(self, request: lease_pb2.ReleaseRequest) -> lease_pb2.ReleaseResponse:
        """Answer Release."""
        with self._session(request.session_id) as session:
            held = [session.get(handle) for handle in distinct(request.handles)]
            for thing in held:
                thing.release()
            session.drop(request.handles)
        return lease_pb2.ReleaseResponse(released=len(held))

    def stop(self) -> None:
        """Tell every session that the daemon stops."""
        self._farewell.stop()

    @contextlib.contextmanager
    def _session(self, session_id: str) -> Iterator[Session]:
        """Give one call at a time the session, while it is open."""
        session = self._sessions.get(session_id)
        with session.lock:
            session.check_open()
            yield session


def _check_spec(session: Session, spec: lease_pb2.SkbSpec) -> None:
    """Raise Refusal if `spec` is no view of a buffer of the session."""
    size = len(session.buffer(spec.buffer))
    if spec.offset + spec.length > size:
        raise out_of_range(
            f"{spec.length} bytes at offset {spec.offset} end beyond the {size} bytes of buffer "
            f"{spec.buffer}"
        )
    if spec.original_length and spec.original_length < spec.length:
        raise bad_request(
            f"original_length is {spec.original_length}, less than the view's {spec.length} bytes"
        )
    if spec.link_type > MAX_LINK_TYPE:
        raise out_of_range(f"link_type is 0 to {MAX_LINK_TYPE}, not {spec.link_type}")
    if spec.interface > MAX_INTERFACE:
        raise out_of_range(f"interface is 0 to {MAX_INTERFACE}, not {spec.interface}")


def _describe(skb: skbpool.Skb, spec: lease_pb2.SkbSpec, now: int) -> skbpool.Skb:
    """Set what `spec` says about the frame beside its bytes."""
    skb.timestamp_ns = spec.timestamp_ns or now
    skb.original_length = spec.original_length or spec.length
    skb.link_type = spec.link_type
    skb.port = spec.interface
    return skb
