"""The figures of those who hold references: by kind, and by name."""

import re
from collections.abc import Callable, Iterator
from operator import attrgetter

from prometheus_client.core import GaugeMetricFamily

from skbpool_service.holders import SESSION, Holding
from skbpool_service.ledger import CONSUMER, DRIVER, OTHER

KINDS = (DRIVER, CONSUMER, SESSION)

_OWN_SESSION = re.compile(rf"{SESSION}-[0-9]+")
"""The names that the daemon gives."""


def held(holdings: list[Holding]) -> Iterator[GaugeMetricFamily]:
    """Yield what is held, by kind."""
    texts = {
        "count": ("views", "References in flight, by what kind of holder has them."),
        "bytes": ("bytes", "What those references are charged for."),
    }
    for field, (unit, text) in texts.items():
        family = GaugeMetricFamily(f"skbpool_held_{unit}", text, labels=("kind",))
        for kind in KINDS:
            figures = (getattr(holding, field) for holding in holdings if holding.kind == kind)
            family.add_metric((kind,), sum(figures))
        yield family


def each(
    holdings: list[Holding], label: Callable[[str, str], str], max_names: int
) -> Iterator[GaugeMetricFamily]:
    """Yield the peaks and ages of each holder; where a name stands for several, the largest.

    Names come from clients: those of sessions are capped here, `label` caps the others.
    """
    named: dict[tuple[str, str], list[Holding]] = {}
    sessions: set[str] = set()
    for holding in holdings:
        if holding.kind == SESSION:
            name = SESSION if _OWN_SESSION.fullmatch(holding.name) else holding.name
            name = name if name in sessions or len(sessions) < max_names else OTHER
            sessions.add(name)
        else:
            name = label(holding.kind, holding.name)
        named.setdefault((holding.kind, name), []).append(holding)
    texts = {
        "peak_count": (
            "peak_views",
            "Most references the holder was seen to have; looked at with each scrape and whenever"
            " a quota is reached.",
        ),
        "peak_bytes": ("peak_bytes", "Most bytes the holder was seen to be charged for, likewise."),
        "oldest_at_least": (
            "oldest_age_seconds",
            "For how long the holder has had its oldest reference, at least: the more often it is"
            " scraped, the closer; 0 without any.",
        ),
    }
    for field, (suffix, text) in texts.items():
        family = GaugeMetricFamily(f"skbpool_holder_{suffix}", text, labels=("kind", "holder"))
        for key, same in named.items():
            family.add_metric(key, max(map(attrgetter(field), same)))
        yield family
