"""The figures of pools, drivers, consumers and sessions, read anew at each scrape."""

from collections.abc import Callable, Iterator, Mapping
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
from skbpool_service.drivers import STATES, Standing
from skbpool_service.drops import all_drops
from skbpool_service.engine import Engine
from skbpool_service.holders import Holding, holders
from skbpool_service.ledger import CONSUMER, Flow
from skbpool_service.logs import lines_lost
from skbpool_service.metrics.families import Rows, counter, gauge
from skbpool_service.metrics.holders import each, held
from skbpool_service.metrics.pools import PoolFigures, copied
from skbpool_service.metrics.pools import pools as pool_families
from skbpool_service.rpc.call import Gate
from skbpool_service.rpc.convert import REASONS
from skbpool_service.sessions import Sessions

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily


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
        yield _states([])

    def collect(self) -> Iterator[Family]:
        """Return the families with the figures of this moment."""
        totals = self._engine.ledger.totals()
        pools = [PoolFigures.of(pool) for pool in self._engine.pools.all()]
        yield from self._build(pools, totals, holders(self._sessions), latency_histogram())
        yield _states(self._engine.drivers.all())

    def _build(
        self,
        pools: list[PoolFigures],
        totals: tuple[dict[str, Any], dict[str, Flow], dict[str, Flow]],
        holdings: list[Holding],
        latency: tuple[list[float], list[int], float],
    ) -> Iterator[Family]:
        hub, drivers, consumers = totals
        yield InfoMetricFamily(
            "skbpool_build", "The version that runs.", value={"version": __version__}
        )
        yield from pool_families(pools)
        yield from copied(skbpool.copies())
        yield from _drivers(drivers)
        yield from _consumers(consumers)
        yield from _standing(self._engine, hub.get("consumers", []))
        drops = all_drops(hub) if hub else {}
        for unit, text in (("frames", "Frames"), ("bytes", "Bytes of frames")):
            yield counter(
                f"skbpool_dropped_{unit}",
                f"{text} dropped anywhere, by drivers and for consumers.",
                ("reason",),
                (((reason,), drops.get(reason, {unit: 0})[unit]) for reason in REASONS),
            )
        yield from held(holdings)
        names = self._engine.settings.limits.max_metric_names
        yield from each(holdings, self._engine.ledger.label, names)
        yield _latency(latency)
        yield gauge(
            "skbpool_open_streams",
            "Calls that are open, by what limits them.",
            ("limit",),
            (((name,), gate.inside) for name, gate in self._gates.items()),
        )
        yield counter(
            "skbpool_log_lines_lost",
            "Lines of the log that were not written: standard error was not read, or is gone.",
            (),
            [((), lines_lost())],
        )


def _drivers(flows: Mapping[str, Flow]) -> Iterator[Family]:
    labels = ("driver",)
    rows: list[tuple[str, str, Callable[[Flow], int]]] = [
        (
            "frames",
            "Frames that landed in a buffer, or were adopted in their message.",
            lambda flow: flow.frames,
        ),
        ("bytes", "Bytes of frames that landed or were adopted.", lambda flow: flow.bytes),
        (
            "unclaimed_frames",
            "Frames that landed or were adopted and that no consumer was there for.",
            lambda flow: flow.unclaimed,
        ),
    ]
    for name, text, value in rows:
        family = (((driver,), value(flow)) for driver, flow in flows.items())
        yield counter(f"skbpool_driver_{name}", text, labels, family)
    yield counter(
        "skbpool_driver_dropped_frames",
        "Frames that the driver dropped before any consumer was asked.",
        ("driver", "reason"),
        _by_reason(flows),
    )


def _states(drivers: list[Standing]) -> Family:
    return gauge(
        "skbpool_drivers",
        "Emulated cards and replays by how they stand; those that drain are detached.",
        ("state",),
        (((state,), sum(driver.state == state for driver in drivers)) for state in STATES),
    )


def _consumers(flows: Mapping[str, Flow]) -> Iterator[Family]:
    labels = ("consumer",)
    yield counter(
        "skbpool_consumer_frames",
        "Frames handed over.",
        labels,
        (((consumer,), flow.frames) for consumer, flow in flows.items()),
    )
    yield counter(
        "skbpool_consumer_bytes",
        "Bytes of frames handed over.",
        labels,
        (((consumer,), flow.bytes) for consumer, flow in flows.items()),
    )
    yield counter(
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
        yield gauge(f"skbpool_consumer_{key}_views", text, ("consumer",), rows)


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
