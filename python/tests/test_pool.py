"""`skbpool.Pool`: making, allocating, closing, figures."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from skbpool import (
    Audit,
    BadPool,
    OutOfRange,
    Pool,
    PoolClosed,
    PoolExhausted,
    PoolMemory,
    PoolStats,
    Skb,
)


def test_smoke(pool: Pool) -> None:
    buffer = pool.alloc()
    assert len(buffer) == pool.buffer_bytes == 4096
    assert buffer.index is not None
    assert buffer.index < pool.count == 16
    assert pool.stats().in_flight == 1
    buffer.release()
    assert pool.audit() == Audit(free=16, cached=0, in_flight=0, quarantined=0)


@pytest.mark.parametrize("order", range(5))
def test_buffers_have_the_size_of_their_order(order: int) -> None:
    with Pool(2, order) as pool:
        assert len(pool.alloc()) == pool.buffer_bytes == 4096 << order
        assert pool.order == order


def test_figures_have_the_documented_names() -> None:
    with Pool(3, name="figures") as pool:
        kept = [pool.alloc(), pool.alloc()]
        kept.pop().release()
        assert pool.stats() == PoolStats(
            name="figures",
            buffers=3,
            buffer_bytes=4096,
            free=2,
            cached=0,
            in_flight=1,
            reserved=0,
            state="open",
            alloc_fast=0,
            alloc_slow=2,
            alloc_empty=0,
            refills=0,
            releases=1,
            violations=0,
        )
        assert "1 in flight" in repr(pool)


def test_exhaustion_says_who_has_the_buffers() -> None:
    with Pool(2) as pool:
        buffers = [pool.alloc(), pool.alloc()]
        with pytest.raises(PoolExhausted, match="2 are in flight") as caught:
            pool.alloc()
        assert (caught.value.buffers, caught.value.in_flight, caught.value.cached) == (2, 2, 0)
        buffers.pop().release()
        pool.alloc().release()


def test_bulk_is_all_or_none(pool: Pool) -> None:
    assert pool.alloc_bulk(0) == []
    buffers = pool.alloc_bulk(16)
    assert len({buffer.address for buffer in buffers}) == 16
    buffers.pop().release()
    for count in (2, 17, 2**32 - 1):
        with pytest.raises(PoolExhausted):
            pool.alloc_bulk(count)
        assert pool.stats().free == 1
    buffers.clear()
    for wrong in (-1, 2**32):
        with pytest.raises(OutOfRange):
            pool.alloc_bulk(wrong)


def test_closing_leaves_views_valid() -> None:
    pool = Pool(4)
    buffer = pool.alloc()
    memoryview(buffer)[:5] = b"alive"
    skb = buffer.into_skb(0, 5)
    assert pool.close() == 1
    assert pool.stats().state == "orphaned"
    assert pool.is_closed
    for allocate in (pool.alloc, lambda: pool.alloc(timeout=None), lambda: pool.alloc_bulk(1)):
        with pytest.raises(PoolClosed, match="stay valid"):
            allocate()
    assert bytes(skb) == b"alive"
    skb.release()
    assert pool.close() == 0
    assert pool.stats().state == "closed"


def test_the_pool_object_may_go_before_its_views() -> None:
    pool = Pool(4)
    buffer = pool.alloc()
    written = memoryview(buffer)
    written[:5] = b"alive"
    skb = pool.alloc().into_skb(0, 5)
    skb.data_mut()[:] = b"views"
    del pool, buffer
    gc.collect()
    assert written[:5] == b"alive"
    copy: Skb = skb.copy()
    view = memoryview(skb)
    del skb
    gc.collect()
    assert view == b"views"
    assert bytes(copy) == b"views"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "1 to"),
        ({"count": -1}, "not -1"),
        ({"count": 2**24}, "16777215"),
        ({"count": 2**70}, "1180591620717411303424"),
        ({"count": 1, "order": 11}, "0 to 10"),
        ({"count": 1, "order": 300}, "not 300"),
        ({"count": 1, "huge_pages": "always"}, '"always"'),
    ],
)
def test_a_pool_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadPool, match=message):
        Pool(**arguments)


@pytest.mark.parametrize("count", ["8", 8.0, None])
def test_a_count_is_an_integer(count: Any) -> None:
    with pytest.raises(TypeError):
        Pool(count)


def test_a_pool_larger_than_the_machine_says_what_to_do() -> None:
    with pytest.raises(PoolMemory, match="make it smaller") as caught:
        Pool(2**23, 10)
    assert caught.value.needed == 2**45
    assert 0 < caught.value.available < caught.value.needed


@pytest.mark.parametrize(
    "refused", [lambda: Pool(1, huge_pages="require", name="no huge pages here")]
)
def test_huge_pages_are_had_or_refused(refused: Callable[[], Pool]) -> None:
    try:
        assert refused().is_huge
    except PoolMemory:
        with Pool(1, huge_pages="try") as pool:
            assert not pool.is_huge
