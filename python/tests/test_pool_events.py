"""Watermarks and events of a pool: what is told, in which order, and how a wait ends."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from skbpool import BadPool, Pool, PoolEvents, PoolExhausted, WatermarkStats


def low_and_back(pool: Pool) -> None:
    """Cross both watermarks once."""
    held = pool.alloc_bulk(pool.count)
    for buffer in held:
        buffer.release()


def test_crossings_are_told_and_counted() -> None:
    pool = Pool(16, watermarks=(4, 8))
    events = pool.events()
    held = pool.alloc_bulk(12)
    assert (pool.is_low, events.wait(0)) == (False, None), "4 are free"
    held += pool.alloc_bulk(4)
    with pytest.raises(PoolExhausted):
        pool.alloc()
    assert pool.is_low
    assert [events.wait(0), events.wait(0), events.wait(0)] == ["low_watermark", "exhausted", None]
    for buffer in held[:7]:
        buffer.release()
    assert (pool.is_low, events.wait(0)) == (True, None), "7 are free"
    held[7].release()
    assert (pool.is_low, events.wait(0)) == (False, "high_watermark")
    assert pool.watermarks() == WatermarkStats(
        low=4, high=8, is_low=False, low_crossings=1, high_crossings=1, exhaustions=1
    )


def test_without_watermarks_a_pool_has_some() -> None:
    marks = Pool(64).watermarks()
    assert (marks.low, marks.high, marks.is_low) == (4, 8, False)


@pytest.mark.parametrize("marks", [5, (4,), (1, 2, 3), "48"])
def test_watermarks_that_are_no_pair_are_told_what_to_give(marks: Any) -> None:
    with pytest.raises(TypeError, match=r"\(low, high\), such as \(4, 8\), or None; not "):
        Pool(64, watermarks=marks)


def test_the_end_is_told_and_ends_the_iteration() -> None:
    pool = Pool(4)
    events = pool.events()
    buffer = pool.alloc()
    pool.close()
    assert events.wait(0) == "orphaned"
    buffer.release()
    assert list(events) == ["gone"]
    assert list(events) == []
    assert events.wait(None) is None


def test_the_events_outlive_the_pool() -> None:
    events = Pool(4).events()
    assert list(events) == ["gone"]


def test_what_nobody_asked_for_is_skipped_in_pairs() -> None:
    pool = Pool(16, watermarks=(4, 8))
    events = pool.events()
    for _ in range(3):
        low_and_back(pool)
    assert [events.wait(0), events.wait(0), events.wait(0)] == [
        "low_watermark",
        "high_watermark",
        None,
    ]
    assert events.missed == 4


def test_each_watcher_is_told() -> None:
    pool = Pool(16, watermarks=(4, 8))
    watchers = [pool.events(), pool.events()]
    low_and_back(pool)
    assert [watcher.wait(0) for watcher in watchers] == ["low_watermark"] * 2
    assert pool.events().wait(0) is None, "it began later"


def test_other_threads_run_while_one_waits() -> None:
    pool = Pool(16, watermarks=(4, 8))
    events = pool.events()
    told: list[str | None] = []
    threads = [threading.Thread(target=lambda: told.append(events.wait(60))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert events.missed == 0, "asked while others wait"
    low_and_back(pool)
    for thread in threads:
        thread.join()
    assert sorted(map(str, told)) == ["high_watermark", "low_watermark"], (
        "each event to one of them"
    )


@pytest.mark.parametrize(
    "wait", [lambda events: events.wait(None), next], ids=["wait", "iteration"]
)
def test_ctrl_c_ends_the_wait(wait: Callable[[PoolEvents], object]) -> None:
    pool = Pool(4)
    events = pool.events()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait(events)
    timer.join()
    assert not pool.is_closed


@pytest.mark.parametrize(
    "watermarks", [(2, 1), (1, 17), (-1, 2), (1, 1 << 40), (1 << 200, 1 << 200)]
)
def test_watermarks_that_cannot_be_reached_are_refused(watermarks: tuple[int, int]) -> None:
    with pytest.raises(BadPool, match="watermark"):
        Pool(16, watermarks=watermarks)


@pytest.mark.parametrize("watermarks", [1, (1,), (1, 2, 3), ("1", "2"), (1.0, 2.0)])
def test_watermarks_are_two_integers(watermarks: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Pool(16, watermarks=watermarks)


@pytest.mark.parametrize("shards", [1, 3, 64])
def test_a_depot_of_any_shards_gives_out_every_buffer(shards: int) -> None:
    pool = Pool(200, depot_shards=shards)
    held = pool.alloc_bulk(200)
    assert len({buffer.index for buffer in held}) == 200
    with pytest.raises(PoolExhausted):
        pool.alloc()
    del held
    assert pool.audit().free == 200


@pytest.mark.parametrize("shards", [0, 65, -1, 1 << 40])
def test_a_depot_has_a_bounded_number_of_shards(shards: int) -> None:
    with pytest.raises(BadPool, match="shards"):
        Pool(16, depot_shards=shards)
