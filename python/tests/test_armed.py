"""`skbpool.Armed`: several views on one reference count."""

import pytest
from skbpool import BufferReleased, NotArmed, OutOfRange, Overlap, Pool, TooManyReferences


def test_views_share_one_buffer_that_goes_home_with_the_last(pool: Pool) -> None:
    armed = pool.alloc().arm(3)
    skbs = [armed.skb(64 * number, 60, headroom=4 if number else 0) for number in range(3)]
    assert armed.left == 0
    assert [skb.truesize for skb in skbs] == [4096 // 3] * 3
    assert [skb.headroom for skb in skbs] == [0, 4, 4]
    assert {skb.references for skb in skbs} == {3}
    for skb in skbs:
        assert pool.stats().in_flight == 1
        skb.release()
    assert pool.stats().in_flight == 0


def test_views_that_were_not_cut_are_given_back(pool: Pool) -> None:
    with pool.alloc().arm(10) as armed:
        skb = armed.skb(0, 60)
        assert (armed.left, skb.references) == (9, 10)
    assert (armed.left, skb.references) == (0, 1)
    armed.release()
    skb.release()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"offset": 4096, "length": 1}, OutOfRange),
        ({"offset": 4000, "length": 97}, OutOfRange),
        ({"offset": 200, "length": 60, "headroom": 201}, OutOfRange),
        ({"offset": 200, "length": 60, "tailroom": 4000}, OutOfRange),
        ({"offset": 2**32 - 1, "length": 2**32 - 1, "tailroom": 2**32 - 1}, OutOfRange),
        ({"offset": -1, "length": 1}, OutOfRange),
        ({"offset": 99, "length": 1}, Overlap),
        ({"offset": 110, "length": 1, "headroom": 11}, Overlap),
    ],
)
def test_a_view_that_cannot_be_changes_nothing(
    pool: Pool, arguments: dict[str, int], error: type[Exception]
) -> None:
    with pool.alloc().arm(2) as armed:
        first = armed.skb(0, 100)
        with pytest.raises(error):
            armed.skb(**arguments)
        assert armed.left == 1
        armed.skb(100, 60).release()
        first.release()


def test_a_count_at_its_limit_is_refused_another(pool: Pool) -> None:
    armed = pool.alloc().arm((1 << 30) - 1)
    view = armed.skb(0, 10)
    last = view.clone()
    with pytest.raises(TooManyReferences):
        view.clone()
    with pytest.raises(TooManyReferences):
        view[2:4]
    last.release()
    view.clone().release()
    view.release()
    armed.release()
    assert pool.stats().in_flight == 0


def test_no_more_views_than_armed(pool: Pool) -> None:
    armed = pool.alloc().arm(1)
    with armed.skb(0, 1), pytest.raises(NotArmed):
        armed.skb(1, 1)
    armed.release()
    with pytest.raises(BufferReleased):
        armed.skb(2, 1)
