"""`skbpool.Skb`: the verbs, and what they refuse."""

import pickle
from collections.abc import Callable

import pytest
from skbpool import (
    BufferReleased,
    NoHeadroom,
    NoPool,
    NoTailroom,
    NotEmpty,
    OutOfRange,
    Pool,
    ReadOnly,
    Shared,
    Skb,
    TooShort,
    adopt,
)


def view_of(pool: Pool, data: bytes, headroom: int = 0) -> Skb:
    buffer = pool.alloc()
    memoryview(buffer)[headroom : headroom + len(data)] = data
    return buffer.into_skb(headroom, headroom + len(data))


def test_push_pull_put_trim(pool: Pool) -> None:
    with view_of(pool, b"payload", headroom=16) as skb:
        skb.push(4)[:] = b"head"
        skb.put(4)[:] = b"tail"
        assert bytes(skb) == b"headpayloadtail"
        assert (skb.headroom, skb.length, skb.tailroom) == (12, 15, 4096 - 27)
        skb.pull(4)
        skb.trim(7)
        assert bytes(skb) == b"payload"
        assert (skb.headroom, len(skb)) == (16, 7)


def test_reserve_makes_headroom_before_data(pool: Pool) -> None:
    with pool.alloc().into_skb(0, 0) as skb:
        skb.reserve(64)
        skb.put(3)[:] = b"abc"
        assert (skb.headroom, bytes(skb)) == (64, b"abc")


@pytest.mark.parametrize(
    ("verb", "error", "figures"),
    [
        (lambda skb: skb.push(17), NoHeadroom, {"needed": 17, "have": 16}),
        (lambda skb: skb.put(4076), NoTailroom, {"needed": 4076, "have": 4075}),
        (lambda skb: skb.pull(6), TooShort, {"needed": 6, "have": 5}),
        (lambda skb: skb.trim(6), TooShort, {"needed": 6, "have": 5}),
        (lambda skb: skb.pull_up(6), TooShort, {"needed": 6, "have": 5}),
        (lambda skb: skb.reserve(1), NotEmpty, {}),
        (lambda skb: skb.slice(3, 3), OutOfRange, {"start": 3, "end": 6, "size": 5}),
        (lambda skb: skb.slice(2**32 - 1, 2**32 - 1), OutOfRange, {"size": 5}),
        (lambda skb: skb[5], OutOfRange, {}),
        (lambda skb: skb[-6], OutOfRange, {}),
        (lambda skb: skb.push(-1), OutOfRange, {}),
        (lambda skb: skb.push(2**32), OutOfRange, {}),
        (lambda skb: skb["x"], TypeError, {}),
        (lambda skb: skb[::2], ValueError, {}),
        (lambda skb: skb.append_frag(None), TypeError, {}),
        (lambda skb: skb.append_frag(skb), ValueError, {}),
        (lambda skb: skb.copy("pool"), TypeError, {}),
        (lambda skb: pickle.dumps(skb), TypeError, {}),
    ],
)
def test_what_is_refused_changes_nothing(
    pool: Pool,
    verb: Callable[[Skb], object],
    error: type[Exception],
    figures: dict[str, int],
) -> None:
    with view_of(pool, b"frame", headroom=16) as skb:
        with pytest.raises(error) as caught:
            verb(skb)
        for name, figure in figures.items():
            assert getattr(caught.value, name) == figure
        assert (bytes(skb), skb.headroom, skb.tailroom) == (b"frame", 16, 4075)
        assert skb.references == 1


@pytest.mark.parametrize(
    "verb",
    [
        lambda skb: skb.push(1),
        lambda skb: skb.put(1),
        lambda skb: skb.data_mut(),
    ],
)
def test_only_a_single_view_may_write(pool: Pool, verb: Callable[[Skb], object]) -> None:
    skb = view_of(pool, b"frame", headroom=16)
    clone = skb.clone()
    for view in (skb, clone):
        assert view.is_shared
        assert not view.is_writable
        with pytest.raises(Shared, match="unshare"):
            verb(view)
    clone.release()
    assert skb.is_writable
    verb(skb)
    skb.release()


def test_unshare_makes_a_copy_of_ones_own(pool: Pool) -> None:
    skb = view_of(pool, b"frame", headroom=16)
    clone = skb.clone()
    clone.unshare()
    assert clone.address != skb.address
    clone.data_mut()[:] = b"other"
    assert (bytes(skb), bytes(clone), clone.headroom) == (b"frame", b"other", 16)
    before = skb.address
    skb.unshare()
    assert skb.address == before, "already the only view"
    skb.release()
    clone.release()


def test_read_only_memory_needs_a_pool_for_a_copy(pool: Pool) -> None:
    with adopt(b"frame").into_skb() as skb:
        with pytest.raises(ReadOnly):
            skb.data_mut()
        for verb in (skb.copy, skb.unshare):
            with pytest.raises(NoPool, match="name the pool"):
                verb()
        with skb.copy(pool) as copy:
            assert (bytes(copy), copy.is_writable) == (b"frame", True)
        skb.unshare(pool)
        assert skb.is_writable
        assert pool.stats().in_flight == 1


def test_clones_and_slices_share_bytes(pool: Pool) -> None:
    with view_of(pool, b"0123456789") as skb:
        skb.timestamp_ns, skb.port, skb.link_type, skb.hash = 5, 6, 7, 8
        with skb.clone() as clone, skb[3:7] as part, skb[-2:] as end, skb[7:3] as none:
            assert (clone.address, part.address) == (skb.address, skb.address + 3)
            assert (bytes(part), bytes(end), len(none)) == (b"3456", b"89", 0)
            assert (part.headroom, part.tailroom) == (0, 0)
            assert skb.references == 5
            for view in (clone, part):
                assert (view.timestamp_ns, view.port, view.link_type, view.hash) == (5, 6, 7, 8)
        assert skb.references == 1
        assert (skb[0], skb[-1], skb.slice(2, 3)[1]) == tuple(b"093")


def test_what_is_known_about_the_packet(pool: Pool) -> None:
    with view_of(pool, b"frame") as skb:
        assert (skb.timestamp_ns, skb.port, skb.link_type, skb.hash) == (0, 0, 1, 0)
        assert skb.original_length == 5
        skb.original_length = 1500
        skb.timestamp_ns = 2**64 - 1
        assert (skb.original_length, skb.timestamp_ns) == (1500, 2**64 - 1)
        with pytest.raises(OverflowError):
            skb.port = 65536
        with pytest.raises(AttributeError):
            skb.truesize = 1  # type: ignore[misc]


def test_it_equals_only_itself(pool: Pool) -> None:
    with view_of(pool, b"frame") as skb, skb.clone() as clone:
        assert skb != clone
        assert len({skb, clone, skb}) == 2


def test_released_it_says_so(pool: Pool) -> None:
    skb = view_of(pool, b"frame")
    skb.release()
    skb.release()
    assert skb.is_released
    assert "released" in repr(skb)
    uses: list[Callable[[], object]] = [
        skb.clone,
        skb.copy,
        skb.unshare,
        skb.linearize,
        skb.data_mut,
        lambda: len(skb),
        lambda: bytes(skb),
        lambda: memoryview(skb),
        lambda: skb[0],
        lambda: skb[0:1],
        lambda: skb.slice(0, 1),
        lambda: skb.push(0),
        lambda: skb.put(0),
        lambda: skb.pull(0),
        lambda: skb.trim(0),
        lambda: skb.reserve(0),
        lambda: skb.pull_up(0),
        lambda: setattr(skb, "port", 1),
    ]
    names = (
        "length headroom tailroom truesize is_shared is_writable is_chain references address "
        "timestamp_ns original_length hash port link_type"
    )
    uses += [lambda name=name: getattr(skb, name) for name in names.split()]  # type: ignore[misc]
    for use in uses:
        with pytest.raises(BufferReleased):
            use()


def test_it_is_made_of_buffers_only() -> None:
    with pytest.raises(TypeError, match="made of buffers"):
        Skb()
    hollow = Skb.__new__(Skb)
    assert hollow.is_released
    with pytest.raises(BufferReleased):
        bytes(hollow)
