"""A slice that is gone lends its reference to the next one, and whoever asks finds it gone."""

import gc

import pytest
from skbpool import BufferReleased, Pool, Shared, Skb, SkbBatch, adopt


def frame(pool: Pool) -> Skb:
    buffer = pool.alloc()
    memoryview(buffer)[:64] = bytes(range(64))
    return buffer.into_skb(0, 64)


def test_slices_one_after_the_other(pool: Pool) -> None:
    with frame(pool) as skb:
        for first in range(64):
            for behind in range(first, 65):
                assert bytes(skb[first:behind]) == bytes(range(first, behind))
        kept = [skb[number : number + 4] for number in range(0, 64, 4)]
        assert b"".join(map(bytes, kept)) == bytes(range(64))
        assert (skb.references, len({part.address for part in kept})) == (17, 16)
        del kept
        assert skb.references == 1
    assert pool.stats().in_flight == 0


def test_a_slice_knows_what_its_view_knows_now(pool: Pool) -> None:
    with frame(pool) as skb:
        skb[0:4].hash = 5
        assert skb[0:4].hash == 0
        skb.hash, skb.port, skb.original_length = 7, 3, 1500
        part = skb[0:4]
        assert (part.hash, part.port, part.original_length) == (7, 3, 4)
        assert (part.headroom, part.tailroom) == (0, 0)
        del part
        skb.pull(10)
        assert bytes(skb[0:2]) == b"\x0a\x0b"


@pytest.mark.parametrize("ask", ["is_writable", "data_mut", "push", "put", "references", "shared"])
def test_whoever_asks_finds_the_slice_gone(pool: Pool, ask: str) -> None:
    skb = pool.alloc().into_skb(16, 60)
    del [skb[0:4], skb[4:8]][:]
    skb[0:4].release()
    skb[0:4]  # this one lends
    answers = {
        "is_writable": lambda: skb.is_writable,
        "data_mut": lambda: len(skb.data_mut()) == 44,
        "push": lambda: len(skb.push(2)) == 2,
        "put": lambda: len(skb.put(2)) == 2,
        "references": lambda: skb.references == 1,
        "shared": lambda: not skb.is_shared,
    }
    assert answers[ask]()
    skb.release()
    assert pool.stats().in_flight == 0


def test_reports_find_the_slice_gone(pool: Pool) -> None:
    pool.set_provenance("full")
    with pool.alloc().into_skb(0, 20) as skb:
        skb[0:4]
        (site,) = pool.leak_report().sites
        assert [example.references for example in site.examples] == [1]
        skb[0:4]
        assert pool.outstanding().references == 1
        kept = skb[0:4]
        assert pool.outstanding().references == 2
        kept.release()


def test_the_last_slice_becomes_the_only_view(pool: Pool) -> None:
    skb = frame(pool)
    part = skb[0:4]
    with pytest.raises(Shared):
        part.data_mut()
    skb[4:8]
    del skb
    assert (part.references, part.is_writable) == (1, True)
    part.data_mut()[:] = b"done"
    part.release()
    assert pool.stats().in_flight == 0


def test_a_lender_that_is_moved_takes_all_along(pool: Pool) -> None:
    for hand_on in (
        lambda skb: SkbBatch([skb]),
        lambda skb: frame(pool).append_frag(skb),
        lambda skb: skb.release(),
        lambda skb: skb.unshare(),
    ):
        skb = frame(pool)
        skb[0:4]
        moved = hand_on(skb)
        del moved, skb
        gc.collect()
        assert pool.stats().in_flight == 0
    batch = SkbBatch([frame(pool)])
    for skb in batch:
        assert bytes(skb[1:3]) == b"\x01\x02"
    del skb
    assert batch.pop().is_writable


def test_a_lender_that_is_gone_does_not_lend(pool: Pool) -> None:
    skb = frame(pool)
    skb[0:4]
    skb.release()
    with pytest.raises(BufferReleased):
        skb[0:4]
    with pytest.raises(BufferReleased):
        skb.slice(0, 4)
    other = frame(pool)
    assert bytes(other[0:2]) == b"\x00\x01"
    with pytest.raises(BufferReleased):
        skb[0:4]


def test_a_writer_keeps_slices_away(pool: Pool) -> None:
    skb = frame(pool)
    skb[0:4]
    with skb.data_mut() as writable:
        with pytest.raises(BufferError):
            skb[0:4]
        writable[:4] = b"new!"
    assert bytes(skb[0:4]) == b"new!"


def test_adopted_memory_is_freed_once_when_an_exception_is_on_its_way() -> None:
    freed = []

    def lose() -> None:
        skb = adopt(b"\x02" * 64, free=lambda memory: freed.append(len(memory))).into_skb(0, 64)
        skb[0:4]
        raise KeyError(skb[2:6] is None)

    with pytest.raises(KeyError):
        lose()
    gc.collect()
    assert freed == [64]


def test_more_views_than_the_free_list_holds(pool: Pool) -> None:
    skb = frame(pool)
    for _ in range(3):
        parts = [skb[number % 60 : number % 60 + 4] for number in range(1000)]
        assert skb.references == 1001
        assert all(bytes(part)[0] == number % 60 for number, part in enumerate(parts))
        del parts
    assert skb.references == 1


@pytest.mark.parametrize("key", [slice(-4, None), slice(None, -60), slice(-100, 100), slice(9, 3)])
def test_slices_of_every_kind(pool: Pool, key: slice) -> None:
    with frame(pool) as skb:
        assert bytes(skb[key]) == bytes(range(64))[key]
        far = slice(key.start, 10**30)
        assert bytes(skb[far]) == bytes(range(64))[far]
        with pytest.raises(ValueError, match="contiguous"):
            skb[key.start : key.stop : 2]
        with pytest.raises(TypeError):
            skb["a":3]
