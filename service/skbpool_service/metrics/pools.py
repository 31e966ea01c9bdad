"""The figures of pools, and what was copied."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import skbpool
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from skbpool_service.metrics.families import Rows, counter, gauge

STATES = ("open", "orphaned", "closed")


@dataclass(frozen=True)
class PoolFigures:
    """What one pool tells at a time."""

    stats: skbpool.PoolStats
    marks: skbpool.WatermarkStats

    @classmethod
    def of(cls, pool: skbpool.Pool) -> "PoolFigures":
        """Ask a pool."""
        return cls(pool.stats(), pool.watermarks())


def pools(figures: list[PoolFigures]) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """Yield where buffers are, how they were had and came home."""
    stats = [pool.stats for pool in figures]

    def each(value: Callable[[skbpool.PoolStats], float]) -> Rows:
        return [((pool.name,), value(pool)) for pool in stats]

    yield gauge(
        "skbpool_pool_buffers",
        "Buffers by where they are; their sum is the size of the pool.",
        ("pool", "place"),
        [
            ((pool.name, place), getattr(pool, place))
            for pool in stats
            for place in ("free", "cached", "in_flight")
        ],
    )
    yield gauge(
        "skbpool_pool_buffer_size_bytes",
        "Size of one buffer.",
        ("pool",),
        each(lambda pool: pool.buffer_bytes),
    )
    yield gauge(
        "skbpool_pool_size_bytes",
        "Memory of the pool.",
        ("pool",),
        each(lambda pool: pool.buffers * pool.buffer_bytes),
    )
    yield gauge(
        "skbpool_pool_reserved_buffers",
        "Buffers set aside for drivers, consumers and leases.",
        ("pool",),
        each(lambda pool: pool.reserved),
    )
    yield gauge(
        "skbpool_pool_state",
        "1 for the state the pool is in, 0 for the others.",
        ("pool", "state"),
        [((pool.name, state), float(pool.state == state)) for pool in stats for state in STATES],
    )
    yield counter(
        "skbpool_pool_allocations",
        "Allocations: fast from a thread's own cache, slow from the depot, empty without a buffer.",
        ("pool", "path"),
        [
            ((pool.name, path), getattr(pool, f"alloc_{path}"))
            for pool in stats
            for path in ("fast", "slow", "empty")
        ],
    )
    yield counter(
        "skbpool_pool_releases",
        "Buffers that came home.",
        ("pool",),
        each(lambda pool: pool.releases),
    )
    yield counter(
        "skbpool_pool_violations",
        "Wrong releases that were caught; 0 unless there is a bug.",
        ("pool",),
        each(lambda pool: pool.violations),
    )
    yield from _watermarks(figures)


def _watermarks(figures: list[PoolFigures]) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    def each(value: Callable[[skbpool.WatermarkStats], float]) -> Rows:
        return [((pool.stats.name,), value(pool.marks)) for pool in figures]

    def both(value: Callable[[skbpool.WatermarkStats, str], float]) -> Rows:
        return [
            ((pool.stats.name, mark), value(pool.marks, mark))
            for pool in figures
            for mark in ("low", "high")
        ]

    yield gauge(
        "skbpool_pool_low",
        "1 while the pool is low: fewer buffers were free than the low watermark says, and as many"
        " as the high one says were not since.",
        ("pool",),
        each(lambda marks: float(marks.is_low)),
    )
    yield gauge(
        "skbpool_pool_watermark_buffers",
        "Free buffers at the watermark.",
        ("pool", "mark"),
        both(lambda marks, mark: getattr(marks, mark)),
    )
    yield counter(
        "skbpool_pool_watermark_crossings",
        "How often the pool became low, and how often it recovered (high).",
        ("pool", "mark"),
        both(lambda marks, mark: getattr(marks, f"{mark}_crossings")),
    )
    yield counter(
        "skbpool_pool_exhaustions",
        "How often an allocation found no buffer for the first time since the pool became low.",
        ("pool",),
        each(lambda marks: marks.exhaustions),
    )


def copied(copies: Mapping[str, Mapping[str, int]]) -> Iterator[CounterMetricFamily]:
    """Yield what each stage copied."""
    for unit, text in (("frames", "Frames"), ("bytes", "Payload bytes")):
        yield counter(
            f"skbpool_copied_{unit}",
            f"{text} that the stage copied; what the transport copies is not among them.",
            ("stage",),
            (((stage,), count[unit]) for stage, count in copies.items()),
        )
