"""What Python code takes has a holder: the process, or a name that a part of it gave itself."""

import gc
from collections.abc import Callable

import pytest
import skbpool
from skbpool import BufferReleased, Holder, Hub, Pool, SkbBatch, adopt, holders


def process() -> tuple[int, int]:
    """Return the views and bytes of this program itself."""
    found = [holder for holder in holders() if (holder.kind, holder.name) == ("process", "python")]
    assert len(found) <= 1
    return (found[0].views, found[0].bytes) if found else (0, 0)


def grown(since: tuple[int, int]) -> tuple[int, int]:
    views, size = process()
    return views - since[0], size - since[1]


def whole(pool: Pool) -> list[object]:
    return [pool.alloc().into_skb(0, 64)]


def armed(pool: Pool) -> list[object]:
    parts = pool.alloc().arm(2)
    return [parts.skb(0, 64), parts.skb(64, 64)]


def filled(pool: Pool) -> list[object]:
    with pool.alloc().fill() as fill:
        return [fill.append(b"x" * 2048), fill.append(b"y" * 2048)]


def bulk(pool: Pool) -> list[object]:
    return list(pool.alloc_bulk(2))


@pytest.mark.parametrize(
    ("take", "held"),
    [
        (whole, (1, 4096)),
        (armed, (2, 4096)),
        (filled, (2, 4096)),
        (bulk, (2, 8192)),
        (lambda _: [adopt(bytes(1000))], (1, 1000)),
        (lambda _: [adopt(bytes(1000)).into_skb()], (1, 1000)),
    ],
)
def test_what_python_takes_is_its_processs(
    take: Callable[[Pool], list[object]], held: tuple[int, int]
) -> None:
    before = process()
    with Pool(8) as pool:
        kept = take(pool)
        assert grown(before) == held
        kept.clear()
    assert grown(before) == (0, 0)


def test_a_refused_view_leaves_the_charge_where_it_was() -> None:
    before = process()
    with Pool(1) as pool:
        buffer = pool.alloc()
        with pytest.raises(skbpool.OutOfRange):
            buffer.into_skb(0, 5000)
        assert grown(before) == (1, 4096)
        buffer.release()
        assert grown(before) == (0, 0)


def test_what_is_delivered_is_the_consumers() -> None:
    before = process()
    with Pool(8) as pool:
        hub = Hub(pool)
        consumer, port = hub.attach_consumer("reader", quota=4), hub.attach_driver("writer")
        batch = SkbBatch([pool.alloc().into_skb(0, 64)])
        assert grown(before) == (1, 4096)
        port.deliver(batch)
        assert grown(before) == (0, 0)
        (reader,) = [holder for holder in holders() if holder.name == "reader"]
        assert (reader.kind, reader.views, reader.bytes) == ("consumer", 1, 4096)
        consumer.close()


def test_a_part_of_a_program_names_itself() -> None:
    cache = Holder("cache")
    before = process()
    with Pool(8) as pool:
        skb = pool.alloc().into_skb(0, 64)
        batch = SkbBatch([skb.clone(), skb[:10]])
        cache.take(batch)
        cache.take(skb)
        assert grown(before) == (0, 0)
        assert (cache.name, cache.views, cache.bytes) == ("cache", 3, 3 * 4096)
        (found,) = [holder for holder in holders() if holder.name == "cache"]
        assert (found.kind, found.views, found.peak_views) == ("process", 3, 3)
        assert repr(cache) == '<skbpool.Holder "cache" of 3 views, 12288 bytes>'
        other = Holder("other")
        other.take(skb)
        assert (cache.views, other.views) == (2, 1)
        skb.release()
        batch.release()
        assert (cache.views, cache.bytes, other.views, other.bytes) == (0, 0, 0, 0)


def test_a_holder_that_is_gone_holds_what_it_held() -> None:
    with Pool(8) as pool:
        skb = pool.alloc().into_skb(0, 64)
        Holder("short").take(skb)
        gc.collect()
        (found,) = [holder for holder in holders() if holder.name == "short"]
        assert (found.retired, found.views) == (True, 1)
        skb.release()
        assert not [holder for holder in holders() if holder.name == "short"]


def test_what_no_holder_can_take() -> None:
    holder = Holder("nothing")
    with Pool(8) as pool:
        skb = pool.alloc().into_skb(0, 64)
        skb.release()
        with pytest.raises(BufferReleased):
            holder.take(skb)
        for wrong in (pool, b"bytes", None):
            with pytest.raises(TypeError, match="an Skb or an SkbBatch is needed"):
                holder.take(wrong)  # type: ignore[arg-type]
    assert holder.views == 0


def test_more_names_than_there_are_numbers() -> None:
    kept: list[Holder] = []
    with pytest.raises(skbpool.TooManyHolders):
        kept.extend(Holder(f"h{number}") for number in range(300))
    kept.clear()
    gc.collect()
    Holder("again")


def test_reports_name_the_process() -> None:
    with Pool(8) as pool:
        pool.set_provenance("full")
        buffer = pool.alloc()
        (site,) = pool.leak_report().sites
        assert (site.holder, site.holder_kind) == ("python", "process")
        skb = buffer.into_skb(0, 64)
        (site,) = pool.leak_report().sites
        assert (site.holder, site.examples[0].transitions) == ("python", [])
        assert f"{__file__}:{site.line}" in str(pool.leak_report())
        assert "process python" in str(pool.outstanding())
        cache = Holder("cache")
        cache.take(skb)
        (site,) = pool.leak_report().sites
        (transition,) = site.examples[0].transitions
        assert (site.holder, transition.kind, transition.holder) == ("cache", "delivered", "cache")
        skb.release()


@pytest.mark.parametrize("name", ["", "a b", "a\n", "a\0", "ü", "x" * 64])
def test_a_holders_name_is_made_as_the_daemon_has_it(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 63 printable ASCII"):
        Holder(name)
    assert Holder("x" * 63).name == "x" * 63
