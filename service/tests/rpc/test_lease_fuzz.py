"""Lease requests made by chance for a session that lives: refused or done, and nothing leaks."""

import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import grpc
from daemon_support import PATIENCE, Stubs, refusal
from google.protobuf.message import Message
from lease_support import BUFFER, Lease
from skbpool.v1 import holder_pb2, lease_pb2, server_pb2

ROUNDS = int(os.environ.get("SKBPOOL_LEASE_REQUESTS", "1500"))
BAD = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
EDGES = (0, 1, 60, BUFFER - 1, BUFFER, BUFFER + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


class Chance:
    """Makes requests that are nearly right."""

    def __init__(self, dice: random.Random, session_id: str, buffers: set[int], skbs: set[int]):
        self.dice = dice
        self.session_id = session_id
        self.buffers = buffers
        self.skbs = skbs
        self.stale = [0]

    def handle(self, good: set[int]) -> int:
        kind = self.dice.randrange(12)
        if kind == 0:
            return self.dice.getrandbits(64)
        if kind == 1:
            return self.dice.choice(self.stale)
        if kind == 2:
            # The next generation, or another slot.
            return (min(good, default=1) + self.dice.choice((1, 1 << 32))) % (1 << 64)
        every = sorted(self.buffers | self.skbs if kind == 3 else good)
        return self.dice.choice(every or [1])

    def number(self) -> int:
        most = 100 if self.dice.random() < 0.8 else 1 << 32
        return self.dice.choice((*EDGES, *(self.dice.randrange(most) for _ in range(12))))

    def some(self, make: Callable[[], Any]) -> list[Any]:
        return [make() for _ in range(self.dice.randrange(4))]

    def handles(self, good: set[int]) -> list[int]:
        return self.some(lambda: self.handle(good))

    def request(self) -> tuple[str, Message]:
        kind = self.dice.randrange(9)
        head: dict[str, Any] = {"session_id": self.session_id}
        if self.dice.random() < 0.02:
            head = {"session_id": self.dice.choice(("", "none", "\u2028"))}
        number, buffers, skbs = self.number, self.buffers, self.skbs
        if kind <= 1:
            request = lease_pb2.AllocateRequest(**head, count=self.dice.choice((1, 1, 2, number())))
            if self.dice.random() < 0.3:
                request.wait.seconds = self.dice.choice((0, 1, -1, (1 << 63) - 1, -(1 << 63)))
                request.wait.nanos = self.dice.choice((0, 10_000, -1, (1 << 31) - 1, -(1 << 31)))
            return "Allocate", request
        if kind == 2:
            writes = self.some(
                lambda: lease_pb2.BufferWrite(
                    buffer=self.handle(buffers), offset=number(), data=bytes(number() % 5000)
                )
            )
            return "Write", lease_pb2.WriteRequest(**head, writes=writes)
        if kind == 3:
            specs = self.some(
                lambda: lease_pb2.SkbSpec(
                    buffer=self.handle(buffers),
                    offset=number(),
                    length=number(),
                    original_length=self.dice.choice((0, 0, number())),
                    timestamp_ns=self.dice.getrandbits(64),
                    link_type=self.dice.choice((1, 1, number())),
                    interface=self.dice.choice((0, 0, number())),
                )
            )
            return "MakeSkb", lease_pb2.MakeSkbRequest(**head, skbs=specs)
        if kind == 4:
            return "Clone", lease_pb2.CloneRequest(**head, skbs=self.handles(skbs))
        if kind == 5:
            slices = self.some(
                lambda: lease_pb2.SliceSpec(skb=self.handle(skbs), offset=number(), length=number())
            )
            return "Slice", lease_pb2.SliceRequest(**head, slices=slices)
        if kind == 6:
            return "Deliver", lease_pb2.DeliverRequest(**head, skbs=self.handles(skbs))
        if kind == 7:
            ranges = self.some(
                lambda: lease_pb2.ReadRange(
                    handle=self.handle(buffers | skbs), offset=number(), length=number()
                )
            )
            return "Read", lease_pb2.ReadRequest(**head, ranges=ranges)
        return "Release", lease_pb2.ReleaseRequest(**head, handles=self.handles(buffers | skbs))

    def learn(self, request: Any, answer: Any) -> None:
        """Take note of the handles that a call made and used up."""
        gone: Sequence[int] = ()
        match request:
            case lease_pb2.AllocateRequest():
                self.buffers.update(answer.buffers)
            case lease_pb2.MakeSkbRequest():
                gone = [spec.buffer for spec in request.skbs]
                self.skbs.update(answer.skbs)
            case lease_pb2.CloneRequest() | lease_pb2.SliceRequest():
                self.skbs.update(answer.skbs)
            case lease_pb2.DeliverRequest():
                gone = request.skbs
            case lease_pb2.ReleaseRequest():
                gone = request.handles
        self.buffers.difference_update(gone)
        self.skbs.difference_update(gone)
        self.stale.extend(gone)


def outcome(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str, Any]:
    """Return how a call ended, with its details and answer."""
    try:
        return grpc.StatusCode.OK, "", call()
    except grpc.RpcError as error:
        return error.code(), error.details() or "", None


def test_requests_made_by_chance(start: Any) -> None:
    limits = {"default_quota": 16, "max_handles_per_session": 40, "max_wait_seconds": 0.001}
    _, stubs = start(pool={"buffers": 256}, limits=limits)
    lease = Lease(stubs, "fuzzed")
    chance = Chance(random.Random(3), lease.id, set(), set())
    seen: dict[str, set[grpc.StatusCode]] = {}
    for _ in range(ROUNDS):
        method, request = chance.request()
        call: Any = getattr(stubs.lease, method)
        code, text, answer = outcome(partial(call, request, timeout=PATIENCE))
        assert code not in BAD, f"{method}: {text}\n{request}"
        if code is grpc.StatusCode.OK:
            chance.learn(request, answer)
        seen.setdefault(method, set()).add(code)
        if len(chance.buffers | chance.skbs) > 30:
            some = sorted(chance.buffers | chance.skbs)[::2]
            lease.release(*some)
            chance.learn(lease_pb2.ReleaseRequest(handles=some), None)
        found = stubs.holder.ListHolders(holder_pb2.ListHoldersRequest()).holders
        counts = [holder.count for holder in found if holder.name == "fuzzed" and holder.session]
        assert counts == [len(chance.buffers | chance.skbs)]
    assert all(grpc.StatusCode.OK in codes for codes in seen.values()), seen
    assert all(grpc.StatusCode.NOT_FOUND in codes for codes in seen.values()), seen
    lease.stream.cancel()
    stubs.await_home()
    assert stubs.statistics().violations == 0


def test_revoking_by_chance(stubs: Stubs) -> None:
    dice = random.Random(4)
    lease = Lease(stubs, "kept")
    for _ in range(200):
        request = holder_pb2.RevokeSessionRequest(
            name="".join(dice.choices("kept\0é ", k=dice.randrange(6))),
            session=dice.choice((0, 0, 1 << 63, dice.getrandbits(64))),
            reason="".join(dice.choices("why\n\0", k=dice.randrange(4))),
        )
        if request.name == "kept":
            continue
        code, _ = refusal(partial(stubs.holder.RevokeSession, request))
        assert code not in BAD, request
    assert stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest()).version
    assert lease.allocate(1)
    lease.stream.cancel()
