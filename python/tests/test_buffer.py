"""`skbpool.Buffer`: written through the buffer protocol, then used up."""

import io
from typing import Any

import pytest
from skbpool import (
    Buffer,
    BufferReleased,
    Exported,
    NoViews,
    OutOfRange,
    Pool,
    ReadOnly,
    SkbpoolError,
    TooManyReferences,
    adopt,
)

USES = {
    "into_skb": lambda buffer: buffer.into_skb(0, 60),
    "arm": lambda buffer: buffer.arm(1),
    "fill": lambda buffer: buffer.fill(),
    "release": lambda buffer: buffer.release(),
}


def test_it_is_written_by_whatever_writes_to_buffers(pool: Pool) -> None:
    with pool.alloc() as buffer:
        assert io.BytesIO(b"from a file").readinto(buffer) == 11
        view = memoryview(buffer)
        assert (view.format, view.itemsize, view.shape, view.readonly) == ("B", 1, (4096,), False)
        assert bytes(view[:11]) == b"from a file"
        view.release()


@pytest.mark.parametrize("use", USES)
def test_while_memoryviews_are_alive_it_is_not_used_up(pool: Pool, use: str) -> None:
    buffer = pool.alloc()
    first, second = memoryview(buffer), memoryview(buffer)
    for view in (first, second):
        with pytest.raises(Exported, match="release them") as caught:
            USES[use](buffer)
        assert isinstance(caught.value, BufferError)
        assert not buffer.is_released
        view.release()
    assert caught.value.exports == 1
    USES[use](buffer)


@pytest.mark.parametrize("first", USES)
def test_used_up_it_says_so(pool: Pool, first: str) -> None:
    buffer = pool.alloc()
    result = USES[first](buffer)
    assert buffer.is_released
    buffer.release()
    for use in ("into_skb", "arm", "fill"):
        with pytest.raises(BufferReleased):
            USES[use](buffer)
    for attribute in ("address", "index", "order", "is_writable"):
        with pytest.raises(BufferReleased):
            getattr(buffer, attribute)
    with pytest.raises(BufferReleased):
        len(buffer)
    with pytest.raises(BufferError):
        memoryview(buffer)
    assert "used up" in repr(buffer)
    del result


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 4097), (4097, 4097), (10, 9), (-1, 5), (0, 2**32), (2**40, None)]
)
def test_bytes_outside_are_refused_and_the_buffer_stays(
    pool: Pool, start: int, stop: int | None
) -> None:
    with pool.alloc() as buffer:
        with pytest.raises(OutOfRange):
            buffer.into_skb(start, stop)
        assert not buffer.is_released
        assert pool.stats().in_flight == 1


def test_the_rest_of_the_buffer_is_headroom_and_tailroom(pool: Pool) -> None:
    with pool.alloc().into_skb(100, 160) as skb:
        assert (skb.headroom, len(skb), skb.tailroom, skb.truesize) == (100, 60, 3936, 4096)
    with pool.alloc().into_skb() as skb:
        assert (skb.headroom, len(skb), skb.tailroom) == (0, 4096, 0)
    with pool.alloc().into_skb(4096) as skb:
        assert len(skb) == 0


@pytest.mark.parametrize(("views", "refusal"), [(0, NoViews), (2**30 + 1, TooManyReferences)])
def test_it_is_armed_for_one_to_many_views(
    pool: Pool, views: int, refusal: type[SkbpoolError]
) -> None:
    with pool.alloc() as buffer:
        with pytest.raises(refusal):
            buffer.arm(views)
        assert not buffer.is_released


@pytest.mark.parametrize("number", ["1", 1.0, None, b"1"])
def test_numbers_are_integers(pool: Pool, number: Any) -> None:
    with pool.alloc() as buffer:
        with pytest.raises(TypeError):
            buffer.arm(number)
        with pytest.raises(TypeError):
            buffer.into_skb(number)


def test_adopted_memory_is_read_only() -> None:
    with adopt(b"frame") as buffer:
        assert not buffer.is_writable
        view = memoryview(buffer)
        assert view.readonly
        assert view == b"frame"
        view.release()
        with pytest.raises(TypeError, match="read-write"):
            io.BytesIO(b"x").readinto(buffer)
        with pytest.raises(ReadOnly):
            buffer.fill()
        assert not buffer.is_released


def test_dropping_it_brings_it_home(pool: Pool) -> None:
    buffer = pool.alloc()
    view = memoryview(buffer)
    del buffer
    assert pool.stats().in_flight == 1, "the memoryview keeps the object"
    del view
    assert pool.stats().in_flight == 0


def test_it_is_made_by_pools_only() -> None:
    with pytest.raises(TypeError):
        Buffer()
