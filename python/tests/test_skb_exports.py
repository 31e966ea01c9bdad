"""Memoryviews of an `Skb`: read-only, counted, and what they hold up."""

import struct
from collections.abc import Callable

import pytest
from skbpool import BufferReleased, Exported, OutOfRange, Pool, Shared, Skb, SkbBatch, adopt


@pytest.fixture
def skb(pool: Pool) -> Skb:
    buffer = pool.alloc()
    memoryview(buffer)[16:24] = b"12345678"
    return buffer.into_skb(16, 24)


def test_any_reader_of_buffers_reads_it_in_place(skb: Skb) -> None:
    assert struct.unpack("!HH", memoryview(skb)[:4]) == (0x3132, 0x3334)
    assert bytes(bytearray(skb)) == b"12345678"
    assert b"".join([skb, skb]) == b"1234567812345678"
    view = memoryview(skb)
    assert (view.readonly, view.format, view.shape, view.strides) == (True, "B", (8,), (1,))
    assert view.c_contiguous
    with pytest.raises(TypeError):
        view[0] = 1
    view.release()
    skb.release()


def test_a_writer_that_asks_for_the_bytes_is_refused(skb: Skb) -> None:
    with pytest.raises((BufferError, TypeError)):
        struct.pack_into("!H", skb, 0, 1)
    assert bytes(skb) == b"12345678"
    skb.release()


@pytest.mark.parametrize(
    "act",
    [
        lambda skb: skb.release(),
        lambda skb: skb.__exit__(None, None, None),
        lambda skb: skb.unshare(),
        lambda skb: skb.linearize(),
        lambda skb: skb.pull_up(1),
        lambda skb: SkbBatch().append(skb),
        lambda skb: SkbBatch([skb]),
        lambda skb: adopt(b"x").into_skb().append_frag(skb),
    ],
)
def test_exports_hold_up_what_would_take_the_bytes_away(
    skb: Skb, act: Callable[[Skb], object]
) -> None:
    views = [memoryview(skb), memoryview(skb)]
    while views:
        with pytest.raises(Exported) as caught:
            act(skb)
        assert isinstance(caught.value, BufferError)
        assert caught.value.exports == len(views)
        assert views[-1] == b"12345678"
        views.pop().release()
    act(skb)
    skb.release()


def test_the_pool_is_looked_at_before_the_exports(skb: Skb) -> None:
    with memoryview(skb):
        for act in (skb.unshare, skb.linearize, lambda pool: skb.pull_up(1, pool)):
            with pytest.raises(TypeError):
                act(object())  # type: ignore[arg-type]
    skb.release()


def test_borders_may_move_under_an_export(skb: Skb) -> None:
    view = memoryview(skb)
    skb.pull(4)
    skb.trim(2)
    assert (bytes(skb), bytes(view)) == (b"56", b"12345678")
    view.release()
    skb.release()


def test_writable_bytes_are_not_shared_meanwhile(skb: Skb) -> None:
    for writable in (skb.data_mut, lambda: skb.push(2), lambda: skb.put(2)):
        with writable() as view:
            view[0] = ord("x")
            for share in (skb.clone, skb.release, lambda: skb[0:1], lambda: skb.slice(0, 1)):
                with pytest.raises(Exported):
                    share()
            assert skb.references == 1
        skb.clone().release()
    assert bytes(skb) == b"x\x00x2345678x\x00"
    skb.release()


def test_no_second_writer(skb: Skb) -> None:
    with skb.data_mut(), pytest.raises(Exported):
        skb.data_mut()
    with skb.clone(), pytest.raises(Shared):
        skb.data_mut()
    skb.release()


def test_writable_bytes_are_asked_for_again_only_while_they_are_there(skb: Skb) -> None:
    with skb.data_mut() as view:
        again = view.obj
    with memoryview(again) as view:
        view[0] = ord("x")
        assert skb.references == 1
        with pytest.raises(Exported):
            skb.release()
    skb.trim(4)
    with pytest.raises(BufferError, match="not among"):
        memoryview(again)
    skb.put(4)[:] = b"5678"
    skb.pull(1)
    with pytest.raises(BufferError, match="not among"):
        memoryview(again)
    skb.push(1)[:] = b"y"
    with skb.clone(), pytest.raises(Shared):
        memoryview(again)
    assert bytes(memoryview(again)) == bytes(skb) == b"y2345678"
    skb.release()
    with pytest.raises(BufferReleased):
        memoryview(again)


def test_bytes_that_were_copied_elsewhere_are_not_written(pool: Pool, skb: Skb) -> None:
    with skb.data_mut() as view:
        again = view.obj
    with skb.clone() as clone:
        skb.unshare(pool)
        with pytest.raises(BufferError, match="not among"):
            memoryview(again)
        assert bytes(clone) == b"12345678"
    skb.release()


@pytest.mark.parametrize("end", ["release", "trim"])
def test_an_index_may_use_the_view_up(skb: Skb, end: str) -> None:
    class Evil:
        def __index__(self) -> int:
            skb.release() if end == "release" else skb.trim(2)
            return -3

    told = BufferReleased if end == "release" else OutOfRange
    with pytest.raises(told):
        skb[Evil()]  # type: ignore[call-overload]
    if end == "release":
        with pytest.raises(BufferReleased):
            skb[Evil() :]
    else:
        assert bytes(skb[Evil() :]) == b"12"
    skb.release()


def test_a_memoryview_keeps_the_view_alive(pool: Pool) -> None:
    buffer = pool.alloc()
    memoryview(buffer)[2:4] = b"34"
    view = memoryview(buffer.into_skb(0, 8))[2:4]
    assert view == b"34"
    assert pool.stats().in_flight == 1
    del view
    assert pool.stats().in_flight == 0


def test_an_exception_in_the_block_is_not_hidden(skb: Skb) -> None:
    with pytest.raises(KeyError), skb:
        raise KeyError
    assert skb.is_released
