"""A lease session for tests."""

from collections.abc import Sequence

from daemon_support import Stubs
from skbpool.v1 import lease_pb2

BUFFER = 4096
"""Bytes of a buffer of the tests' pools."""


class Lease:
    """A session and its verbs, short enough for tests."""

    def __init__(self, stubs: Stubs, name: str = ""):
        self.stubs = stubs
        self.stream = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(name=name))
        self.opened = next(self.stream)
        self.id = self.opened.session_id

    def request(self, count: int, wait: float = 0.0, pool: str = "") -> lease_pb2.AllocateRequest:
        """Return the request for some buffers."""
        request = lease_pb2.AllocateRequest(session_id=self.id, count=count, pool=pool)
        if wait:
            request.wait.FromNanoseconds(int(wait * 1e9))
        return request

    def allocate(self, count: int, wait: float = 0.0, pool: str = "") -> list[int]:
        return list(self.stubs.lease.Allocate(self.request(count, wait, pool)).buffers)

    def write(self, *writes: tuple[int, int, bytes]) -> None:
        parts = [lease_pb2.BufferWrite(buffer=b, offset=o, data=d) for b, o, d in writes]
        self.stubs.lease.Write(lease_pb2.WriteRequest(session_id=self.id, writes=parts))

    def make(self, *views: tuple[int, int, int], **fields: int) -> list[int]:
        specs = [
            lease_pb2.SkbSpec(buffer=b, offset=o, length=n, **{"link_type": 1, **fields})
            for b, o, n in views
        ]
        request = lease_pb2.MakeSkbRequest(session_id=self.id, skbs=specs)
        return list(self.stubs.lease.MakeSkb(request).skbs)

    def deliver(self, skbs: Sequence[int]) -> lease_pb2.DeliverResponse:
        request = lease_pb2.DeliverRequest(session_id=self.id, skbs=skbs)
        return self.stubs.lease.Deliver(request)

    def read(self, *ranges: tuple[int, int, int]) -> list[bytes]:
        parts = [lease_pb2.ReadRange(handle=h, offset=o, length=n) for h, o, n in ranges]
        request = lease_pb2.ReadRequest(session_id=self.id, ranges=parts)
        return list(self.stubs.lease.Read(request).data)

    def clone(self, *skbs: int) -> list[int]:
        request = lease_pb2.CloneRequest(session_id=self.id, skbs=skbs)
        return list(self.stubs.lease.Clone(request).skbs)

    def slice(self, *slices: tuple[int, int, int]) -> list[int]:
        parts = [lease_pb2.SliceSpec(skb=s, offset=o, length=n) for s, o, n in slices]
        request = lease_pb2.SliceRequest(session_id=self.id, slices=parts)
        return list(self.stubs.lease.Slice(request).skbs)

    def release(self, *handles: int) -> int:
        request = lease_pb2.ReleaseRequest(session_id=self.id, handles=handles)
        return self.stubs.lease.Release(request).released
