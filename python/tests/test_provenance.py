"""Leak provenance from Python: frames as sites, modes, reports, what is outstanding."""

import sys
from collections.abc import Iterator

import pytest
from skbpool import Buffer, LeakReport, Pool, Skb, holders


def leaks(pool: Pool) -> Buffer:
    return pool.alloc()


def clean(pool: Pool) -> None:
    pool.alloc().release()


def leaks_in_bulk(pool: Pool) -> list[Buffer]:
    return pool.alloc_bulk(3)


def line_of(function: object) -> int:
    return function.__code__.co_firstlineno + 1  # type: ignore[attr-defined]


@pytest.fixture
def recorded() -> Iterator[Pool]:
    with Pool(1024, name="recorded") as pool:
        pool.set_provenance("full")
        yield pool


def test_the_python_line_that_leaks_is_named(recorded: Pool) -> None:
    kept = []
    for _ in range(20):
        clean(recorded)
        kept.append(leaks(recorded))
        clean(recorded)
    report = recorded.leak_report(examples=2)
    assert isinstance(report, LeakReport)
    (site,) = report.sites
    assert (site.file, site.line, site.function) == (__file__, line_of(leaks), "leaks")
    assert (site.count, site.estimate, site.bytes) == (20, 20, 20 * 4096)
    assert (site.holder, len(site.examples)) == ("python", 2)
    assert {example.index for example in site.examples} <= {buffer.index for buffer in kept}
    assert f"{__file__}:{site.line} leaks, process python" in str(report)
    kept.clear()
    assert recorded.leak_report().sites == []


def test_a_sample_names_it_too() -> None:
    with Pool(1024) as pool:
        pool.set_provenance("sampled", every=5)
        kept = []
        for _ in range(800):
            clean(pool)
            kept.append(leaks(pool))
        (site,) = pool.leak_report().sites
        assert (site.line, site.function) == (line_of(leaks), "leaks")
        assert site.estimate == 8 * site.count
        assert 400 < site.estimate < 1200
        kept.clear()


def test_bulks_and_waiting_calls_are_named(recorded: Pool) -> None:
    kept = [*leaks_in_bulk(recorded), recorded.alloc(timeout=1)]
    lines = {(site.line, site.count) for site in recorded.leak_report().sites}
    assert lines == {(line_of(leaks_in_bulk), 3), (sys._getframe().f_lineno - 2, 1)}
    del kept


def test_switched_off_nothing_new_is_recorded(recorded: Pool) -> None:
    before = leaks(recorded)
    recorded.set_provenance("off")
    after = leaks(recorded)
    (site,) = recorded.leak_report().sites
    assert site.count == 1
    before.release()
    assert recorded.leak_report().sites == []
    after.release()


def test_views_and_their_way(recorded: Pool) -> None:
    skb: Skb = leaks(recorded).into_skb(0, 64)
    clone = skb.clone()
    skb.release()
    (example,) = recorded.leak_report().sites[0].examples
    assert [(step.kind, step.views) for step in example.transitions] == [
        ("cloned", 1),
        ("released", 1),
    ]
    assert example.references == 1
    clone.release()


def test_nothing_younger_than_the_limit(recorded: Pool) -> None:
    kept = leaks(recorded)
    assert recorded.leak_report(3600).sites == []
    kept.release()


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_limits_that_are_none(recorded: Pool, seconds: float) -> None:
    with pytest.raises(ValueError, match="held_longer_than is 0 or more seconds"):
        recorded.leak_report(seconds)


def test_modes_that_are_none(pool: Pool) -> None:
    with pytest.raises(ValueError, match='"off", "sampled" or "full", not "some"'):
        pool.set_provenance("some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every is 1 or more"):
        pool.set_provenance("sampled", every=0)


def test_a_closed_pool_tells_what_is_outstanding() -> None:
    pool = Pool(8, name="closed")
    skb = pool.alloc().into_skb(0, 64)
    clone = skb.clone()
    assert pool.close() == 1
    out = pool.outstanding()
    assert (out.buffers, out.bytes, out.references) == (1, 4096, 2)
    assert out.nobody_named == 2 - sum(holder.views for holder in holders())
    assert "nobody named at least" in str(out)
    skb.release()
    clone.release()
    assert pool.outstanding().buffers == 0
