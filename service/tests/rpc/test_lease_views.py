"""LeaseService: clones and slices."""

from collections.abc import Iterator

import grpc
import pytest
from daemon_support import Stubs, refusal
from lease_support import Lease

Code = grpc.StatusCode


@pytest.fixture
def lease(stubs: Stubs) -> Iterator[Lease]:
    lease = Lease(stubs)
    yield lease
    lease.stream.cancel()


def test_clones_and_slices_are_views_of_the_same_bytes(lease: Lease, stubs: Stubs) -> None:
    (buffer,) = lease.allocate(1)
    lease.write((buffer, 0, b"abcdefgh"))
    (skb,) = lease.make((buffer, 0, 8))
    one, two = lease.clone(skb, skb)
    head, tail, none = lease.slice((skb, 0, 3), (one, 6, 2), (two, 8, 0))
    lease.release(skb, one)
    assert lease.read((two, 0, 0), (head, 0, 0), (tail, 0, 0), (none, 0, 0)) == [
        b"abcdefgh",
        b"abc",
        b"gh",
        b"",
    ]
    assert (stubs.statistics().in_flight, stubs.statistics().reserved) == (1, 1)
    assert lease.deliver([two, head]).unclaimed == 2
    lease.release(tail, none)
    assert (stubs.statistics().in_flight, stubs.statistics().reserved) == (0, 0)


def test_what_cannot_be_shared_changes_nothing(lease: Lease, stubs: Stubs) -> None:
    buffer, other = lease.allocate(2)
    (skb,) = lease.make((other, 0, 10))
    for call, code in (
        (lambda: lease.clone(skb, buffer), Code.INVALID_ARGUMENT),
        (lambda: lease.clone(skb, 5), Code.NOT_FOUND),
        (lambda: lease.slice((buffer, 0, 1)), Code.INVALID_ARGUMENT),
        (lambda: lease.slice((skb, 0, 1), (skb, 8, 3)), Code.OUT_OF_RANGE),
        (lambda: lease.slice((skb, (1 << 32) - 1, (1 << 32) - 1)), Code.OUT_OF_RANGE),
        (lambda: lease.slice((0, 0, 0)), Code.NOT_FOUND),
    ):
        assert refusal(call)[0] == code
    assert lease.release(buffer, skb) == 2
    assert stubs.statistics().in_flight == 0


def test_clones_count_as_handles(start) -> None:
    _, stubs = start(limits={"max_handles_per_session": 4})
    lease = Lease(stubs)
    (buffer,) = lease.allocate(1)
    (skb,) = lease.make((buffer, 0, 10))
    assert len(lease.clone(skb, skb)) == 2
    for call in (lambda: lease.clone(skb, skb), lambda: lease.slice((skb, 0, 1), (skb, 0, 1))):
        code, text = refusal(call)
        assert (code, "limits.max_handles_per_session = 4" in text) == (
            Code.RESOURCE_EXHAUSTED,
            True,
        )
    assert len(lease.clone(skb)) == 1
    lease.stream.cancel()
