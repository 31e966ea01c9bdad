"""`skbpool.Fill`: one buffer over several bursts."""

import pytest
from skbpool import BufferReleased, OutOfRange, Pool


def test_views_are_out_while_the_tail_is_written(pool: Pool) -> None:
    fill = pool.alloc().fill()
    skbs = []
    for number in range(100):
        frame = bytes([number]) * 30
        skbs.append(fill.append(frame, headroom=2, tailroom=3))
    assert (fill.views, fill.position, fill.room) == (100, 3500, 596)
    for number, skb in enumerate(skbs):
        assert bytes(skb) == bytes([number]) * 30
        assert (skb.headroom, skb.tailroom, skb.truesize) == (2, 3, 35)
    for skb in skbs:
        skb.release()
    assert pool.stats().in_flight == 1, "it is still being filled"
    fill.release()
    fill.release()
    assert pool.stats().in_flight == 0


def test_write_and_cut_are_two_steps(pool: Pool) -> None:
    with pool.alloc().fill() as fill:
        fill.write(memoryview(b"head"), offset=4)
        fill.write(b"er", offset=8)
        with fill.cut(6, headroom=4) as skb:
            assert bytes(skb) == b"header"
        fill.skip(6)
        assert fill.position == 16
        fill.skip(10_000)
        assert fill.room == 0


@pytest.mark.parametrize(
    ("size", "headroom", "tailroom"), [(4097, 0, 0), (4096, 1, 0), (1, 4096, 0), (1, 0, 4096)]
)
def test_a_tail_too_short_is_refused(pool: Pool, size: int, headroom: int, tailroom: int) -> None:
    with pool.alloc().fill() as fill:
        with pytest.raises(OutOfRange):
            fill.append(bytes(size), headroom=headroom, tailroom=tailroom)
        with pytest.raises(OutOfRange):
            fill.cut(size, headroom=headroom, tailroom=tailroom)
        assert (fill.position, fill.views) == (0, 0)
        with pytest.raises(OutOfRange):
            fill.write(b"x", offset=2**32 - 1)


def test_released_it_says_so(pool: Pool) -> None:
    fill = pool.alloc().fill()
    fill.release()
    assert fill.room == 0
    for use in (
        lambda: fill.write(b""),
        lambda: fill.cut(1),
        lambda: fill.append(b"x"),
        lambda: fill.skip(1),
        lambda: fill.position,
        lambda: fill.views,
    ):
        with pytest.raises(BufferReleased):
            use()


def test_frames_are_bytes(pool: Pool) -> None:
    with pool.alloc().fill() as fill, pytest.raises(TypeError):
        fill.append("text")  # type: ignore[arg-type]
