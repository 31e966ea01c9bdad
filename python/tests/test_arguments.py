"""Numbers that Python code gives when it is asked for them."""

from collections.abc import Callable
from typing import Any

import pytest
from skbpool import BadPool, OutOfRange, Pool, SkbBatch
from skbpool._native import EmulatedNic


class Raises:
    """A number that fails to become one."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __index__(self) -> int:
        raise self.error

    def __float__(self) -> float:
        raise self.error


MAKES_A_POOL: dict[str, Callable[[Any], object]] = {
    "a pool's count": lambda number: Pool(number),
    "a pool's order": lambda number: Pool(1, number),
    "a card's buffers": lambda number: EmulatedNic(rate="max", buffers=number),
    "a card's order": lambda number: EmulatedNic(rate="max", order=number),
}

NO_VERB = ("a pool's count", "a pool's order", "a timeout")

TAKES_A_NUMBER: dict[str, Callable[[Pool, Any], object]] = {
    "a pool's count": lambda pool, number: Pool(number),
    "a pool's order": lambda pool, number: Pool(1, number),
    "a timeout": lambda pool, number: pool.alloc(number),
    "buffers": lambda pool, number: pool.alloc_bulk(number),
    "a reservation": lambda pool, number: pool.reserve(number, "somebody"),
    "a view's start": lambda pool, number: pool.alloc().into_skb(number),
    "a view's stop": lambda pool, number: pool.alloc().into_skb(0, number),
    "views": lambda pool, number: pool.alloc().arm(number),
    "an offset": lambda pool, number: pool.alloc().arm(1).skb(number, 1),
    "a tail's offset": lambda pool, number: pool.alloc().fill().write(b"", number),
    "bytes pushed": lambda pool, number: pool.alloc().into_skb().push(number),
    "bytes put": lambda pool, number: pool.alloc().into_skb().put(number),
    "bytes pulled": lambda pool, number: pool.alloc().into_skb().pull(number),
    "a length kept": lambda pool, number: pool.alloc().into_skb().trim(number),
    "bytes reserved": lambda pool, number: pool.alloc().into_skb(0, 0).reserve(number),
    "bytes pulled up": lambda pool, number: pool.alloc().into_skb().pull_up(number),
    "a slice": lambda pool, number: pool.alloc().into_skb().slice(0, number),
    "a slice's offset": lambda pool, number: pool.alloc().into_skb().slice(number, 0),
}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError, TypeError])
@pytest.mark.parametrize("name", TAKES_A_NUMBER)
def test_what_a_number_raises_reaches_the_caller(
    pool: Pool, name: str, kind: type[BaseException]
) -> None:
    error = kind("of its own")
    with pytest.raises(kind) as caught:
        TAKES_A_NUMBER[name](pool, Raises(error))
    assert caught.value is error
    assert pool.stats().in_flight == 0


@pytest.mark.parametrize(
    ("number", "named"),
    [
        (-1, "-1"),
        (1 << 32, "4294967296"),
        ((1 << 127) - 1, str((1 << 127) - 1)),
        (1 << 127, "127 bits"),
        (1 << 20_000, "127 bits"),  # more digits than Python writes
    ],
    ids=lambda value: "",
)
def test_numbers_of_any_size_are_refused_and_named(pool: Pool, number: int, named: str) -> None:
    for make in MAKES_A_POOL.values():
        with pytest.raises(BadPool, match=named):
            make(number)
    for name, verb in TAKES_A_NUMBER.items():
        if name not in NO_VERB:
            with pytest.raises(OutOfRange, match=named):
                verb(pool, number)
    assert pool.stats().in_flight == 0


def test_an_index_of_any_size_is_out_of_range(pool: Pool) -> None:
    batch = SkbBatch([pool.alloc().into_skb(0, 1)])
    for index in (1, -2, 1 << 31, 1 << 63, -(1 << 63) - 1, 1 << 20_000):
        with pytest.raises(OutOfRange):
            batch[0][index]
        with pytest.raises(IndexError):
            batch[index]


@pytest.mark.parametrize("name", TAKES_A_NUMBER)
def test_what_is_no_number_is_a_type_error(pool: Pool, name: str) -> None:
    with pytest.raises(TypeError):
        TAKES_A_NUMBER[name](pool, "1")


def test_views_take_integers_by_their_index(pool: Pool) -> None:
    class Two:
        """An integer by its value only."""

        def __index__(self) -> int:
            return 2

    two: Any = Two()
    half: Any = 1.5
    with pool.alloc().into_skb(16, 32) as skb:
        skb.push(two).release()
        skb.pull(two)
        assert len(skb) == 16
        with pytest.raises(TypeError):
            skb.push(half)
