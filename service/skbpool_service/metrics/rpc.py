"""Calls by method and status code."""

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)
"""Seconds; the last ones are for streams, which live as long as their clients like."""


class RpcMetrics:
    """Counts calls when they come in and when they are over, once a call."""

    def __init__(self, registry: CollectorRegistry):
        self._started = Counter(
            "skbpool_rpc_started",
            "Calls that came in.",
            ["method"],
            registry=registry,
        )
        self._handled = Counter(
            "skbpool_rpc_handled",
            "Calls that are over, however they ended.",
            ["method", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "skbpool_rpc_duration_seconds",
            "Time from the beginning of a call to its end; of a stream that is its whole life.",
            ["method", "code"],
            buckets=BUCKETS,
            registry=registry,
        )

        # Looking a series up by its labels costs more than counting in it. Methods are those of the
        # table and codes are gRPC's, so there are so many at most.
        self._begun: dict[str, Counter] = {}
        self._over: dict[tuple[str, grpc.StatusCode], tuple[Counter, Histogram]] = {}

    def expect(self, methods: list[str]) -> None:
        """Have every method appear from the start, with nothing counted."""
        for method in methods:
            self._begun[method] = self._started.labels(method)
            self._handled.labels(method, grpc.StatusCode.OK.name)

    def started(self, method: str) -> None:
        """Count a call that came in."""
        begun = self._begun.get(method)
        if begun is None:
            begun = self._begun[method] = self._started.labels(method)
        begun.inc()

    def ended(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Count a call that is over."""
        over = self._over.get((method, code))
        if over is None:
            labels = (method, code.name)
            over = self._handled.labels(*labels), self._seconds.labels(*labels)
            self._over[method, code] = over
        handled, took = over
        handled.inc()
        took.observe(seconds)
