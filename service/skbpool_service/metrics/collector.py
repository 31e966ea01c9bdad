"""The figures of pools, drivers, consumers and sessions, read anew at each scrape."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import skbpool
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from skbpool._native import latency_histogram

from skbpool_service import __version__
from skbpool_service.drops import all_drops
from skbpool_service.engine import Engine
from skbpool_service.holders import SESSION, holders
from skbpool_service.ledger import CONSUMER, DRIVER, Flow
from skbpool_service.rpc.call import Gate
from skbpool_service.rpc.convert import REASONS
from skbpool_service.sessions import Sessions

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily
Labels = tuple[str, ...]
Rows = Iterable[tuple[Labels, float]]

STATES = ("open", "orphaned", "closed")


class EngineCollector(Collector):
    """Everything the core counts. Sinks are read before sources, as GetStatistics does."""

    def __init__(self, engine: Engine, sessions: Sessions, gates: Mapping[str, Gate]):
        self._engine = engine
        self._sessions = sessions
        self._gates = gates

    def describe(self) -> Iterator[Family]:
        """Return the families, without figures, so that no name can be registered twice."""
        nothing: dict[str, Flow] = {}
        yield from self._build([], ({}, nothing, nothing), [], ([], [], 0.0))

    def collect(self) -> Iterator[Family]:
        """Return the families with the figures of this moment."""
        totals = self._engine.ledger.totals()
        held = [(holder.kind, holder.count, holder.bytes) for holder in holders(self._sessions)]
        pools = [pool.stats() for pool in self._engine.pools.all()]
        yield from self._build(pools, totals, held, latency_histogram())

    def _build(
        self,
        pools: list[skbpool.PoolStats],
        totals: tuple[dict[str, Any], dict[str, Flow], dict[str, Flow]],
        held: list[tuple[str, int, int]],
        latency: tuple[list[float], list[int], float],
    ) -> Iterator[Family]:
        hub, drivers, consumers = totals
        yield InfoMetricFamily(
            "skbpool_build", "The version that runs.", value={"version": __version__}
        )
        yield from _pools(pools)
        yield from _drivers(drivers)
        yield from _consumers(consumers)
        yield from _standing(self._engine, hub.get("consumers", []))
        drops = all_drops(hub) if hub else {}
        for unit, text in (("frames", "Frames"), ("bytes", "Bytes of frames")):
            yield _counter(
                f"skbpool_dropped_{unit}",
                f"{text} dropped anywhere, by drivers and for consumers.",
                ("reason",),
                (((reason,), drops.get(reason, {unit: 0})[unit]) for reason in REASONS),
            )
        yield from _held(held)
        yield _latency(latency)
        yield _gauge(
            "skbpool_open_streams",
            "Calls that are open, by what limits them.",
            ("limit",),
            (((name,), gate.inside) for name, gate in self._gates.items()),
        )


def _gauge(name: str, text: str, labels: Labels, rows: Rows) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: Labels, rows: Rows) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _pools(pools: list[skbpool.PoolStats]) -> Iterator[Family]:
    def each(value: Callable[[skbpool.PoolStats], float]) -> Rows:
        return [((pool.name,), value(pool)) for pool in pools]

    yield _gauge(
        "skbpool_pool_buffers",
        "Buffers by where they are; their sum is the size of the pool.",
        ("pool", "place"),
        [
            ((pool.name, place), getattr(pool, place))
            for pool in pools
            for place in ("free", "cached", "in_flight")
        ],
    )
    yield _gauge(
        "skbpool_pool_buffer_size_bytes",
        "Size of one buffer.",
        ("pool",),
        each(lambda pool: pool.buffer_bytes),
    )
    yield _gauge(
        "skbpool_pool_size_bytes",
        "Memory of the pool.",
        ("pool",),
        each(lambda pool: pool.buffers * pool.buffer_bytes),
    )
    yield _gauge(
        "skbpool_pool_reserved_buffers",
        "Buffers set aside for drivers, consumers and leases.",
        ("pool",),
        each(lambda pool: pool.reserved),
    )
    yield _gauge(
        "skbpool_pool_state",
        "1 for the state the pool is in, 0 for the others.",
        ("pool", "state"),
        [((pool.name, state), float(pool.state == state)) for pool in pools for state in STATES],
    )
    yield _counter(
        "skbpool_pool_allocations",
        "Allocations: fast from a thread's own cache, slow from the depot, empty without a buffer.",
        ("pool", "path"),
        [
            ((pool.name, path), getattr(pool, f"alloc_{path}"))
            for pool in pools
            for path in ("fast", "slow", "empty")
        ],
    )
    yield _counter(
        "skbpool_pool_releases",
        "Buffers that came home.",
        ("pool",),
        each(lambda pool: pool.releases),
    )
    yield _counter(
        "skbpool_pool_violations",
        "Wrong releases that were caught; 0 unless there is a bug.",
        ("pool",),
        each(lambda pool: pool.violations),
    )


def _drivers(flows: Mapping[str, Flow]) -> Iterator[Family]:
    labels = ("driver",)
    rows: list[tuple[str, str, Callable[[Flow], int]]] = [
        ("frames", "Frames that landed in a buffer.", lambda flow: flow.frames),
        ("bytes", "Bytes of frames that landed in a buffer.", lambda flow: flow.bytes),
        (
            "unclaimed_frames",
            "Frames that landed in a buffer and that no consumer was there for.",
            lambda flow: flow.unclaimed,
        ),
    ]
    for name, text, value in rows:
        family = (((driver,), value(flow)) for driver, flow in flows.items())
        yield _counter(f"skbpool_driver_{name}", text, labels, family)
    yield _counter(
        "skbpool_driver_dropped_frames",
        "Frames that the driver dropped before any consumer was asked.",
        ("driver", "reason"),
        _by_reason(flows),
    )


def _consumers(flows: Mapping[str, Flow]) -> Iterator[Family]:
    labels = ("consumer",)
    yield _counter(
        "skbpool_consumer_frames",
        "Frames handed over.",
        labels,
        (((consumer,), flow.frames) for consumer, flow in flows.items()),
    )
    yield _counter(
        "skbpool_consumer_bytes",
        "Bytes of frames handed over.",
        labels,
        (((consumer,), flow.bytes) for consumer, flow in flows.items()),
    )
    yield _counter(
        "skbpool_consumer_dropped_frames",
        "Frames that the consumer missed.",
        ("consumer", "reason"),
        _by_reason(flows),
    )


def _by_reason(flows: Mapping[str, Flow]) -> Rows:
    return [
        ((name, reason), frames)
        for name, flow in flows.items()
        for reason, (frames, _) in flow.drops.items()
    ]


def _standing(engine: Engine, consumers: list[dict[str, Any]]) -> Iterator[Family]:
    """What consumers that are attached have now."""
    sums: dict[str, dict[str, int]] = {}
    for consumer in consumers:
        label = engine.ledger.label(CONSUMER, consumer["name"])
        entry = sums.setdefault(label, {"held": 0, "queued": 0, "quota": 0})
        for key in entry:
            entry[key] += consumer[key]
    texts = {
        "held": "Views the consumer holds, in its rings and taken together.",
        "queued": "Views that wait in the consumer's rings.",
        "quota": "Most views the consumer may hold.",
    }
    for key, text in texts.items():
        rows = (((consumer,), entry[key]) for consumer, entry in sums.items())
        yield _gauge(f"skbpool_consumer_{key}_views", text, ("consumer",), rows)


def _held(held: list[tuple[str, int, int]]) -> Iterator[Family]:
    kinds = (DRIVER, CONSUMER, SESSION)
    yield _gauge(
        "skbpool_held_views",
        "References in flight, by what kind of holder has them.",
        ("kind",),
        [((kind,), sum(count for of, count, _ in held if of == kind)) for kind in kinds],
    )
    yield _gauge(
        "skbpool_held_bytes",
        "What those references are charged for.",
        ("kind",),
        [((kind,), sum(size for of, _, size in held if of == kind)) for kind in kinds],
    )


def _latency(latency: tuple[list[float], list[int], float]) -> HistogramMetricFamily:
    bounds, counts, total = latency
    family = HistogramMetricFamily(
        "skbpool_frame_latency_seconds",
        "Time from the arrival of a frame to the release of a view of it.",
    )
    if counts:
        buckets = [(str(bound), count) for bound, count in zip(bounds, counts, strict=False)]
        buckets.append(("+Inf", counts[-1]))
        family.add_metric([], buckets, total)
    return family
