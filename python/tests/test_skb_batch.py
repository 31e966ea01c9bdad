"""`skbpool.SkbBatch`: a sequence that owns its views."""

from typing import Any

import pytest
from skbpool import BufferReleased, Exported, Pool, SkbBatch


def batch_of(pool: Pool, *frames: bytes) -> SkbBatch:
    with pool.alloc().fill() as fill:
        return SkbBatch(fill.append(frame) for frame in frames)


def test_it_is_a_sequence(pool: Pool) -> None:
    with batch_of(pool, b"a", b"bc", b"def") as batch:
        assert (len(batch), batch.nbytes) == (3, 6)
        assert [bytes(skb) for skb in batch] == [b"a", b"bc", b"def"]
        assert (bytes(batch[0]), bytes(batch[-1])) == (b"a", b"def")
        assert [bytes(skb) for skb in batch[::-2]] == [b"def", b"a"]
        lengths = batch.lengths()
        assert (lengths.typecode, lengths.itemsize, list(lengths)) == ("I", 4, [1, 2, 3])
        assert len(batch) == 3, "looking takes nothing out"
        for outside in (3, -4):
            with pytest.raises(IndexError):
                batch[outside]
    assert (len(batch), batch.nbytes, list(batch), list(batch.lengths())) == (0, 0, [], [])


def test_putting_in_moves(pool: Pool) -> None:
    skb = pool.alloc().into_skb(0, 60)
    batch = SkbBatch([skb])
    assert skb.is_released
    with pytest.raises(BufferReleased):
        batch.append(skb)
    assert pool.stats().in_flight == 1
    batch.release()
    assert pool.stats().in_flight == 0


def test_what_is_looked_at_is_shared_and_what_is_taken_out_is_not(pool: Pool) -> None:
    batch = SkbBatch([pool.alloc().into_skb(0, 60)])
    with batch[0] as looked:
        assert looked.is_shared
    taken = batch.pop()
    assert taken.is_writable
    taken.release()
    with pytest.raises(IndexError):
        batch.pop()


def test_draining_moves_all_out_in_order(pool: Pool) -> None:
    batch = batch_of(pool, b"a", b"b", b"c", b"d")
    drain = batch.drain()
    assert len(batch) == 0
    assert [bytes(next(drain)), bytes(next(drain))] == [b"a", b"b"]
    assert pool.stats().in_flight == 1
    del drain
    assert pool.stats().in_flight == 0, "what was not taken is released"
    with batch_of(pool, b"a", b"b", b"c") as batch:
        assert [bytes(skb) for skb in batch.drain()] == [b"a", b"b", b"c"]
        batch.extend([])


def test_extending_by_a_batch_empties_it(pool: Pool) -> None:
    first, second = batch_of(pool, b"a"), batch_of(pool, b"b", b"c")
    first.extend(second)
    assert (len(first), len(second)) == (3, 0)
    first.extend(first)
    assert [bytes(skb) for skb in first] == [b"a", b"b", b"c"]
    with first.clone() as clone:
        assert [bytes(skb) for skb in clone] == [b"a", b"b", b"c"]
        first.release()
        assert pool.stats().in_flight == 2
    assert pool.stats().in_flight == 0


def test_a_view_that_cannot_be_moved_stops_there(pool: Pool) -> None:
    good, exported = pool.alloc().into_skb(0, 1), pool.alloc().into_skb(0, 2)
    batch = SkbBatch()
    with memoryview(exported), pytest.raises(Exported):
        batch.extend([good, exported])
    assert (len(batch), good.is_released, exported.is_released) == (1, True, False)
    exported.release()
    batch.release()


@pytest.mark.parametrize("wrong", [[None], [b"bytes"], 7, None, ["skb"]])
def test_only_views_go_in(wrong: Any) -> None:
    with pytest.raises(TypeError):
        SkbBatch(wrong)


def test_changing_it_while_iterating_is_harmless(pool: Pool) -> None:
    batch = batch_of(pool, b"a", b"b", b"c")
    seen = []
    for skb in batch:
        seen.append(bytes(skb))
        batch.release()
    assert seen == [b"a"]


def test_dropping_it_releases_the_views(pool: Pool) -> None:
    batch = batch_of(pool, b"a", b"b")
    assert "2 views" in repr(batch)
    del batch
    assert pool.stats().in_flight == 0


def test_an_index_may_empty_the_batch(pool: Pool) -> None:
    class Evil:
        def __index__(self) -> int:
            batch.release()
            return 0

    for key in (Evil(), slice(Evil(), None), slice(None, None, Evil())):
        batch = batch_of(pool, b"a", b"bc")
        if isinstance(key, Evil):
            with pytest.raises(IndexError):
                batch[key]  # type: ignore[call-overload]
        elif key.step is None:
            assert len(batch[key]) == 0
        else:
            with pytest.raises(ValueError, match="zero"):
                batch[key]
        assert len(batch) == 0
    assert pool.stats().in_flight == 0


def test_an_index_may_move_the_batch_elsewhere(pool: Pool) -> None:
    class Evil:
        def __index__(self) -> int:
            # Enough for the views to move to a larger piece of memory.
            batch.extend(batch_of(pool, *[b"xyz"] * 1000))
            return -1

    batch = batch_of(pool, b"a", b"bc")
    with batch[Evil()] as last:  # type: ignore[call-overload]
        assert bytes(last) == b"xyz"
    with batch[Evil() :] as part:
        assert [bytes(skb) for skb in part] == [b"xyz"]
    assert len(batch) == 2002
    batch.release()


def test_an_iterator_made_by_its_type_iterates_over_nothing(pool: Pool) -> None:
    for iterator in (iter(SkbBatch()), SkbBatch().drain()):
        with pytest.raises((AttributeError, TypeError)):
            next(type(iterator)())
