"""PoolService: pools with watermarks, and closing them."""

from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from daemon_support import Stubs, eventually, refusal
from lease_support import Lease
from skbpool.v1 import pool_pb2

Code = grpc.StatusCode
Huge = pool_pb2.HugePages


def create(stubs: Stubs, name: str, buffers: int = 10, **more: Any) -> pool_pb2.Pool:
    return stubs.pool.CreatePool(
        pool_pb2.CreatePoolRequest(name=name, buffers=buffers, **more)
    ).pool


def close(stubs: Stubs, name: str) -> pool_pb2.Pool:
    return stubs.pool.ClosePool(pool_pb2.ClosePoolRequest(name=name)).pool


def listed(stubs: Stubs) -> dict[str, pool_pb2.Pool]:
    pools = stubs.pool.ListPools(pool_pb2.ListPoolsRequest()).pools
    return {pool.name: pool for pool in pools}


def huge_pages_free() -> bool:
    return "HugePages_Free:        0\n" not in Path("/proc/meminfo").read_text()


def marks(low: int, high: int) -> pool_pb2.Watermarks:
    return pool_pb2.Watermarks(low=low, high=high)


def test_a_pool_has_the_watermarks_it_was_given(stubs: Stubs) -> None:
    assert create(stubs, "plain", 32).watermarks == marks(2, 4)
    made = create(stubs, "marked", watermarks=marks(8, 9))
    assert (made.watermarks, made.is_low, made.in_flight) == (marks(8, 9), False, 0)
    assert create(stubs, "none", watermarks=marks(0, 0)).watermarks == marks(0, 0)
    lease = Lease(stubs)
    held = lease.allocate(3, pool="marked")
    now = listed(stubs)["marked"]
    assert (now.is_low, now.in_flight) == (True, 3)
    lease.release(*held)
    assert not listed(stubs)["marked"].is_low
    assert not listed(stubs)["marked"].HasField("closed_at")
    lease.stream.cancel()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"watermarks": marks(3, 2)}, Code.OUT_OF_RANGE),
        ({"watermarks": marks(0, 11)}, Code.OUT_OF_RANGE),
        ({"watermarks": marks((1 << 32) - 1, (1 << 32) - 1)}, Code.OUT_OF_RANGE),
        ({"huge_pages": 77}, Code.INVALID_ARGUMENT),
    ],
)
def test_settings_that_no_pool_has_are_refused(
    stubs: Stubs, changes: dict[str, Any], code: grpc.StatusCode
) -> None:
    assert refusal(lambda: create(stubs, "p", **changes))[0] == code
    assert list(listed(stubs)) == ["default"]
    create(stubs, "p")


def test_huge_pages_are_had_or_not_as_asked(start) -> None:
    _, stubs = start(limits={"max_pool_bytes": 4 << 20})
    assert not create(stubs, "never", huge_pages=Huge.HUGE_PAGES_NEVER).is_huge
    # What is rounded up to whole huge pages counts as such.
    create(stubs, "try", 1, huge_pages=Huge.HUGE_PAGES_TRY)
    code, text = refusal(lambda: create(stubs, "more", 1, huge_pages=Huge.HUGE_PAGES_TRY))
    assert (code, "have 2138112 already" in text) == (Code.RESOURCE_EXHAUSTED, True)
    close(stubs, "try")
    if huge_pages_free():
        assert create(stubs, "require", 1, huge_pages=Huge.HUGE_PAGES_REQUIRE).is_huge
    else:
        wanted = {"huge_pages": Huge.HUGE_PAGES_REQUIRE}
        assert refusal(lambda: create(stubs, "require", 1, **wanted))[0] == Code.RESOURCE_EXHAUSTED
        assert "require" not in listed(stubs)


def test_a_pool_that_is_whole_is_gone_at_once(start) -> None:
    _, stubs = start(limits={"max_pools": 2, "max_pool_bytes": 10 * 4096})
    for _ in range(3):  # name, place and bytes are free each time
        create(stubs, "p")
        gone = close(stubs, "p")
        assert (gone.state, gone.in_flight) == (pool_pb2.POOL_STATE_CLOSED, 0)
        assert gone.HasField("closed_at")
        assert list(listed(stubs)) == ["default"]
        assert refusal(lambda: close(stubs, "p"))[0] == Code.NOT_FOUND


def test_an_orphaned_pool_is_listed_until_its_last_buffer_is_home(start) -> None:
    _, stubs = start(limits={"max_pools": 2, "max_pool_bytes": 10 * 4096})
    create(stubs, "p")
    lease, other = Lease(stubs), Lease(stubs)
    buffer, spare = lease.allocate(2, pool="p")
    (theirs,) = other.allocate(1, pool="p")
    orphan = close(stubs, "p")
    assert (orphan.state, orphan.in_flight) == (pool_pb2.POOL_STATE_ORPHANED, 3)
    assert close(stubs, "p").closed_at == orphan.closed_at
    assert listed(stubs)["p"].closed_at == orphan.closed_at
    assert stubs.statistics("p").pool == listed(stubs)["p"]
    assert refusal(lambda: create(stubs, "p"))[0] == Code.ALREADY_EXISTS
    assert refusal(lambda: create(stubs, "q", 1))[0] == Code.RESOURCE_EXHAUSTED
    # Nothing more is handed out; what was is used as before.
    for count in (1, 9):
        wanted = partial(lease.allocate, count, pool="p")
        assert refusal(wanted)[0] == Code.FAILED_PRECONDITION
    lease.write((buffer, 0, b"still here"))
    lease.release(spare)
    assert listed(stubs)["p"].in_flight == 2
    (view,) = lease.make((buffer, 0, 10))
    assert lease.read((view, 0, 0)) == [b"still here"]
    lease.release(view)
    assert listed(stubs)["p"].in_flight == 1
    other.stream.cancel()
    eventually(lambda: "p" not in listed(stubs))
    assert refusal(lambda: other.release(theirs))[0] == Code.NOT_FOUND
    assert create(stubs, "p").state == pool_pb2.POOL_STATE_OPEN
    lease.stream.cancel()


def test_whoever_waits_for_its_buffers_is_told(start) -> None:
    daemon, stubs = start()
    create(stubs, "p", 1)
    lease = Lease(stubs)
    lease.allocate(1, pool="p")
    request = lease.request(1, wait=30, pool="p")
    waiting = [stubs.lease.Allocate.future(request, timeout=20) for _ in range(2)]
    eventually(lambda: daemon._leases._waiting.inside == 2)
    close(stubs, "p")
    assert {call.code() for call in waiting} == {Code.FAILED_PRECONDITION}
    lease.stream.cancel()


@pytest.mark.parametrize("name", ["default", ""])
def test_the_first_pool_stays(stubs: Stubs, name: str) -> None:
    code, text = refusal(lambda: close(stubs, name))
    assert (code, "drivers and consumers share" in text) == (Code.FAILED_PRECONDITION, True)
    assert listed(stubs)["default"].state == pool_pb2.POOL_STATE_OPEN


def test_the_first_pool_has_the_configured_watermarks(start) -> None:
    _, stubs = start(pool={"buffers": 8192, "low_watermark": 100, "high_watermark": 200})
    assert listed(stubs)["default"].watermarks == marks(100, 200)
