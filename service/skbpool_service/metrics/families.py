"""Families of samples with labels."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Labels = tuple[str, ...]
Rows = Iterable[tuple[Labels, float]]


def gauge(name: str, text: str, labels: Labels, rows: Rows) -> GaugeMetricFamily:
    """Return a family of figures that go up and down."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(name: str, text: str, labels: Labels, rows: Rows) -> CounterMetricFamily:
    """Return a family of figures that only go up; `_total` is added to the name."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
