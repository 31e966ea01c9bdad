"""PoolService."""

from functools import partial

import grpc
import pytest
from daemon_support import Stubs, refusal
from skbpool.v1 import lease_pb2, pool_pb2

Code = grpc.StatusCode


def test_a_pool_is_made_listed_and_told_about(stubs: Stubs) -> None:
    made = stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="jumbo", buffers=10, order=2)).pool
    assert (made.name, made.buffers, made.order, made.buffer_bytes) == ("jumbo", 10, 2, 16_384)
    assert made.state == pool_pb2.POOL_STATE_OPEN
    listed = stubs.pool.ListPools(pool_pb2.ListPoolsRequest()).pools
    assert [pool.name for pool in listed] == ["default", "jumbo"]
    figures = stubs.statistics("jumbo")
    assert (figures.free, figures.cached, figures.in_flight) == (10, 0, 0)


def test_sessions_borrow_from_it(stubs: Stubs) -> None:
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="jumbo", buffers=10, order=2))
    session = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest())
    session_id = next(session).session_id
    answer = stubs.lease.Allocate(
        lease_pb2.AllocateRequest(session_id=session_id, pool="jumbo", count=4)
    )
    assert (len(answer.buffers), answer.buffer_bytes) == (4, 16_384)
    figures = stubs.statistics("jumbo")
    assert (figures.in_flight, figures.is_low) == (4, False)
    assert (figures.low_watermark, figures.high_watermark) == (1, 2)
    assert stubs.statistics().in_flight == 0
    stubs.lease.Allocate(lease_pb2.AllocateRequest(session_id=session_id, pool="jumbo", count=6))
    figures = stubs.statistics("jumbo")
    assert (figures.is_low, figures.low_crossings, figures.high_crossings) == (True, 1, 0)
    assert figures.exhaustions == 0
    session.cancel()
    stubs.await_home("jumbo")
    figures = stubs.statistics("jumbo")
    assert (figures.is_low, figures.high_crossings) == (False, 1)


@pytest.mark.parametrize(
    ("name", "buffers", "order", "code"),
    [
        ("default", 1, 0, Code.ALREADY_EXISTS),
        ("", 1, 0, Code.INVALID_ARGUMENT),
        ("with space", 1, 0, Code.INVALID_ARGUMENT),
        ("n" * 64, 1, 0, Code.INVALID_ARGUMENT),
        ("p", 0, 0, Code.OUT_OF_RANGE),
        ("p", 1 << 24, 0, Code.OUT_OF_RANGE),
        ("p", 1, 11, Code.OUT_OF_RANGE),
        ("p", 1, (1 << 32) - 1, Code.OUT_OF_RANGE),
        ("p", (1 << 24) - 1, 10, Code.RESOURCE_EXHAUSTED),
    ],
)
def test_a_pool_that_cannot_be_is_refused(
    stubs: Stubs, name: str, buffers: int, order: int, code: grpc.StatusCode
) -> None:
    wanted = pool_pb2.CreatePoolRequest(name=name, buffers=buffers, order=order)
    assert refusal(lambda: stubs.pool.CreatePool(wanted))[0] == code
    assert len(stubs.pool.ListPools(pool_pb2.ListPoolsRequest()).pools) == 1


def test_memory_that_is_not_to_be_had_is_refused_and_the_name_is_free_again(start) -> None:
    _, stubs = start(limits={"max_pool_bytes": 1 << 60})
    # 64 TiB: more than the machine has, whatever the configuration allows.
    huge = pool_pb2.CreatePoolRequest(name="p", buffers=(1 << 24) - 1, order=10)
    code, text = refusal(lambda: stubs.pool.CreatePool(huge))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "memory" in text
    small = pool_pb2.CreatePoolRequest(name="p", buffers=1, order=0)
    assert stubs.pool.CreatePool(small).pool.buffers == 1


def test_the_number_of_pools_is_limited(start) -> None:
    _, stubs = start(limits={"max_pools": 2})
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="a", buffers=1))
    code, text = refusal(
        lambda: stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="b", buffers=1))
    )
    assert code == Code.RESOURCE_EXHAUSTED
    assert "limits.max_pools = 2" in text


def test_an_unknown_pool_is_not_found(stubs: Stubs) -> None:
    for name in ("nothing", ""):
        wanted = pool_pb2.GetPoolStatisticsRequest(name=name or "x" * 5000)
        code, text = refusal(partial(stubs.pool.GetPoolStatistics, wanted))
        assert code == Code.NOT_FOUND
        assert len(text) < 200
