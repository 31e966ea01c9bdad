"""LeaseService: waiting for buffers, and what is told of a pool that has none."""

import time
from typing import Any

import grpc
import pytest
from daemon_support import PATIENCE, Stubs, eventually, refusal
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from lease_support import Lease
from skbpool.v1 import holder_pb2, lease_pb2, server_pb2

Code = grpc.StatusCode
BUFFERS = 256


@pytest.fixture
def small(start: Any) -> Any:
    """Return a daemon with a small pool, and its stubs."""
    return start(pool={"buffers": BUFFERS}, limits={"default_quota": 16, "max_waiting_calls": 3})


def waiters(daemon: Any) -> int:
    """Return how many calls wait."""
    return int(daemon._leases._waiting.inside)


def waiting(lease: Lease, daemon: Any, count: int, wait: float = PATIENCE) -> Any:
    """Start a call that waits, and return its future once it does."""
    before = waiters(daemon)
    future = lease.stubs.lease.Allocate.future(lease.request(count, wait), timeout=PATIENCE)
    eventually(lambda: waiters(daemon) == before + 1)
    return future


def test_a_call_waits_for_what_another_session_lets_go(small: Any) -> None:
    daemon, stubs = small
    one, two = Lease(stubs), Lease(stubs)
    held = one.allocate(BUFFERS)
    call = waiting(two, daemon, 2)
    one.release(held[0])  # one is not enough, and not taken
    assert stubs.statistics().in_flight == BUFFERS - 1
    one.release(held[1])
    assert len(call.result().buffers) == 2
    assert waiters(daemon) == 0
    # The end of a session is enough as well.
    call = waiting(two, daemon, 100)
    one.stream.cancel()
    assert len(call.result().buffers) == 100
    two.stream.cancel()


def test_who_came_first_is_served_first(small: Any) -> None:
    daemon, stubs = small
    one, two = Lease(stubs), Lease(stubs)
    held = one.allocate(BUFFERS)
    large = waiting(two, daemon, 4)
    little = waiting(two, daemon, 1)
    one.release(*held[:3])
    assert not little.done()
    one.release(held[3])
    assert len(large.result().buffers) == 4
    assert not little.done()
    one.release(held[4])
    assert len(little.result().buffers) == 1


def test_a_late_comer_does_not_overtake_those_who_wait(start: Any) -> None:
    limits = {"default_quota": 16, "max_waiting_calls": 2}
    daemon, stubs = start(pool={"buffers": BUFFERS}, limits=limits)
    one, two, three = Lease(stubs), Lease(stubs), Lease(stubs)
    held = one.allocate(BUFFERS)
    first = waiting(two, daemon, 4)
    one.release(*held[:3])
    # There are three, and they are not for who comes now, be it at the end of its time.
    code, text = refusal(lambda: three.allocate(1, 0.05))
    assert (code, "1 buffers were asked for" in text) == (Code.RESOURCE_EXHAUSTED, True)
    second = waiting(three, daemon, 1)
    assert not second.done()
    # Without a wait there is no line.
    three.release(*three.allocate(1))
    assert not first.done()
    one.release(held[3])
    assert len(first.result().buffers) == 4
    one.release(held[4])
    assert len(second.result().buffers) == 1
    # And what is there for a call that needs not wait is not counted.
    one.release(*held[5:])
    assert [len(three.allocate(1, PATIENCE)) for _ in range(3)] == [1, 1, 1]


def test_the_calls_of_one_session_leave_room_for_others(start: Any) -> None:
    limits = {"default_quota": 16, "max_waiting_calls": 3, "max_waiting_calls_per_session": 2}
    daemon, stubs = start(pool={"buffers": BUFFERS}, limits=limits)
    one, two = Lease(stubs), Lease(stubs)
    held = one.allocate(BUFFERS)
    calls = [waiting(one, daemon, 1) for _ in range(2)]
    code, text = refusal(lambda: one.allocate(1, PATIENCE))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "limits.max_waiting_calls_per_session = 2" in text
    calls.append(waiting(two, daemon, 1))
    one.release(*held[:3])
    assert [len(call.result().buffers) for call in calls] == [1, 1, 1]
    # Those that are over count no longer.
    for call in [waiting(one, daemon, 1) for _ in range(2)]:
        call.cancel()


def test_a_wait_that_was_in_vain_tells_who_has_the_buffers(small: Any) -> None:
    _, stubs = small
    one, two = Lease(stubs, "greedy"), Lease(stubs, "modest")
    one.allocate(BUFFERS - 1)
    two.allocate(1)
    for wait in (0.0, 0.05):
        with pytest.raises(grpc.RpcError) as caught:
            two.allocate(7, wait)
        call: Any = caught.value
        assert call.code() == Code.RESOURCE_EXHAUSTED
        assert 'session "greedy" holds most, 255' in call.details()
        info, retry, told = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.RetryInfo(),
            holder_pb2.PoolExhaustion(),
        )
        for packed, detail in zip(
            rpc_status.from_call(call).details, (info, retry, told), strict=True
        ):
            assert packed.Unpack(detail)
        assert (info.reason, retry.retry_delay.ToMilliseconds() > 0) == ("POOL_EXHAUSTED", True)
        assert (told.pool, told.requested, told.in_flight) == ("default", 7, BUFFERS)
        assert [(holder.name, holder.count) for holder in told.holders] == [
            ("greedy", BUFFERS - 1),
            ("modest", 1),
        ]
        assert told.holders[0].kind == server_pb2.HOLDER_KIND_SESSION


def test_as_many_holders_are_named_as_fit(start: Any) -> None:
    _, stubs = start(pool={"buffers": BUFFERS}, limits={"default_quota": 16, "max_sessions": 20})
    leases = [Lease(stubs, "n" * 60 + f"-{number}") for number in range(20)]
    for number, lease in enumerate(leases):
        lease.allocate(number + 1)
    with pytest.raises(grpc.RpcError) as caught:
        leases[0].allocate(BUFFERS)
    told = holder_pb2.PoolExhaustion()
    call: Any = caught.value
    assert any(one.Unpack(told) for one in rpc_status.from_call(call).details)
    assert [holder.count for holder in told.holders] == list(range(20, 12, -1))
    assert told.more_holders == 12


def test_more_than_the_pool_has_is_not_waited_for(small: Any) -> None:
    _, stubs = small
    lease = Lease(stubs)
    begin = time.monotonic()
    assert refusal(lambda: lease.allocate(BUFFERS + 1, PATIENCE))[0] == Code.RESOURCE_EXHAUSTED
    assert time.monotonic() - begin < PATIENCE / 2


def test_a_client_that_gives_up_waits_no_longer_and_gets_nothing(small: Any) -> None:
    daemon, stubs = small
    one, two = Lease(stubs), Lease(stubs)
    held = one.allocate(BUFFERS)
    # Longer than this test waits for the end of the wait.
    calls = [waiting(two, daemon, 1, wait=60.0) for _ in range(2)]
    for call in calls:
        call.cancel()
    eventually(lambda: waiters(daemon) == 0)
    with Stubs(daemon.addresses[0]) as lost:
        third = waiting(Lease(lost), daemon, 1, wait=60.0)
    eventually(lambda: waiters(daemon) == 0)
    assert third.done()
    one.release(*held)
    stubs.await_home()


def test_a_session_that_ends_waits_no_longer(small: Any) -> None:
    daemon, stubs = small
    one, two = Lease(stubs), Lease(stubs)
    one.allocate(BUFFERS)
    first = waiting(one, daemon, 1)
    second = waiting(two, daemon, 1)
    two.stream.cancel()
    assert second.exception().code() == Code.NOT_FOUND
    assert not first.done()
    daemon._leases.stop()
    assert first.exception().code() == Code.UNAVAILABLE


def test_calls_that_wait_are_bounded_and_keep_no_other_call_out(start: Any) -> None:
    daemon, stubs = start(
        pool={"buffers": BUFFERS}, limits={"default_quota": 16, "max_unary_workers": 4}
    )
    lease = Lease(stubs)
    lease.allocate(BUFFERS)
    calls = [waiting(lease, daemon, 1) for _ in range(2)]  # half of the threads
    code, text = refusal(lambda: lease.allocate(1, PATIENCE))
    assert (code, "limits.max_waiting_calls = 2" in text) == (Code.RESOURCE_EXHAUSTED, True)
    assert stubs.statistics().in_flight == BUFFERS
    for call in calls:
        call.cancel()


@pytest.mark.parametrize(
    ("seconds", "nanos", "code"),
    [
        (-1, 0, Code.INVALID_ARGUMENT),
        (0, -1, Code.INVALID_ARGUMENT),
        (0, 1_000_000_000, Code.INVALID_ARGUMENT),
        (-(1 << 63), -(1 << 31), Code.INVALID_ARGUMENT),
        (61, 0, Code.OUT_OF_RANGE),
        (60, 1, Code.OUT_OF_RANGE),
        ((1 << 63) - 1, 0, Code.OUT_OF_RANGE),
    ],
)
def test_a_wait_that_cannot_be_is_refused(
    stubs: Stubs, seconds: int, nanos: int, code: grpc.StatusCode
) -> None:
    lease = Lease(stubs)
    request = lease_pb2.AllocateRequest(session_id=lease.id, count=1)
    request.wait.seconds, request.wait.nanos = seconds, nanos
    assert refusal(lambda: stubs.lease.Allocate(request))[0] == code
    request.wait.seconds, request.wait.nanos = 60, 0
    assert len(stubs.lease.Allocate(request).buffers) == 1
    lease.stream.cancel()
