"""One object used by several threads at once: each call is whole, none is refused for another."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from skbpool import BufferReleased, NotArmed, OutOfRange, Pool, Skb
from skbpool._native import FrameEncoder

TURNS = 2000
THREADS = 4


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    """Have threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def raised_by_threads(turn: Callable[[], object]) -> set[type[Exception]]:
    raised: set[type[Exception]] = set()

    def work() -> None:
        for _ in range(TURNS):
            try:
                turn()
            except Exception as error:
                raised.add(type(error))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_calls_that_fail_fail_for_their_own_reason(pool: Pool) -> None:
    buffer, armed, fill = pool.alloc(), pool.alloc().arm(1), pool.alloc().fill()
    with buffer, armed, fill:
        assert raised_by_threads(lambda: buffer.into_skb(0, 5000)) == {OutOfRange}
        assert raised_by_threads(lambda: armed.skb(0, 5000)) == {OutOfRange}
        assert raised_by_threads(lambda: fill.write(bytes(5000))) == {OutOfRange}
        assert raised_by_threads(lambda: fill.cut(5000)) == {OutOfRange}


def test_every_view_is_cut_once(pool: Pool) -> None:
    views = TURNS * THREADS // 2
    with pool.alloc().arm(views) as armed:
        cut: list[int] = []
        assert raised_by_threads(lambda: cut.append(len(armed.skb(0, 0)))) == {NotArmed}
        assert (len(cut), armed.left) == (views, 0)


def test_every_byte_is_filled_once(pool: Pool) -> None:
    with pool.alloc().fill() as fill:
        addresses: list[int] = []

        def append() -> None:
            with fill.append(b"x") as skb:
                addresses.append(skb.address)

        assert raised_by_threads(append) == {OutOfRange}
        assert len(set(addresses)) == len(addresses) == 4096
        assert fill.room == 0


@pytest.mark.parametrize("attempt", range(8))
def test_it_is_used_up_once(pool: Pool, attempt: int) -> None:
    buffer = pool.alloc()
    skbs: list[Skb] = []
    assert raised_by_threads(lambda: skbs.append(buffer.into_skb())) == {BufferReleased}
    assert len(skbs) == 1


def test_frames_of_several_threads_are_encoded_once_each() -> None:
    encoder = FrameEncoder(1 << 20)
    messages: list[bytes | None] = []

    def turn() -> None:
        messages.append(encoder.push(bytes(1000), 0))
        messages.append(encoder.flush())

    assert raised_by_threads(turn) == set()
    assert encoder.pending == 0
    assert sum(len(message) // 1000 for message in messages if message) == TURNS * THREADS
