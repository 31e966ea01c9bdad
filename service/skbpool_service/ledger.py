"""Totals by driver and by consumer that never go down, whoever comes and goes.

The hub counts for those that are attached and adds up the others without their names. The ledger
keeps the totals of those that left by name. Names come from clients, so only so many have an entry
of their own; the rest is one entry, "other".
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from skbpool._native import Hub

OTHER = "other"
"""The name under which further names are added up."""

DRIVER = "driver"
CONSUMER = "consumer"


@dataclass
class Flow:
    """Frames that one driver brought in, or that one consumer took."""

    frames: int = 0
    bytes: int = 0
    unclaimed: int = 0
    drops: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Frames and bytes dropped, by reason."""

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Self:
        """Return the flow in the hub's figures of one driver or consumer."""
        drops = {
            reason: (count["frames"], count["bytes"])
            for reason, count in figures["dropped"].items()
        }
        return cls(figures["frames"], figures["bytes"], figures.get("unclaimed", 0), drops)

    def add(self, other: Self, sign: int = 1) -> None:
        """Add `other` to it, or with -1 take it off."""
        self.frames += sign * other.frames
        self.bytes += sign * other.bytes
        self.unclaimed += sign * other.unclaimed
        for reason, (frames, size) in other.drops.items():
            before = self.drops.get(reason, (0, 0))
            self.drops[reason] = (before[0] + sign * frames, before[1] + sign * size)


@dataclass
class _Side:
    """What is known of all drivers, or of all consumers."""

    live: str
    """Key of those attached in the hub's figures."""
    gone: str
    """Key of the sum over those that left."""
    labels: set[str] = field(default_factory=set)
    left: dict[str, Flow] = field(default_factory=dict)
    """Totals of those that left, by label."""


class Ledger:
    """Totals by label, and the labels."""

    def __init__(self, hub: Hub, max_names: int):
        self._hub = hub
        self._max_names = max_names
        self._lock = threading.Lock()
        self._sides = {
            DRIVER: _Side("drivers", "detached_drivers"),
            CONSUMER: _Side("consumers", "detached_consumers"),
        }

    def detach(self, kind: str, name: str, close: Callable[[], None]) -> None:
        """Call `close`, and book what the hub then counts as gone under `name`."""
        side = self._sides[kind]
        with self._lock:
            before = Flow.of(self._hub.stats()[side.gone])
            close()
            flow = Flow.of(self._hub.stats()[side.gone])
            flow.add(before, -1)
            side.left.setdefault(self._label(side, name), Flow()).add(flow)

    def totals(self) -> tuple[dict[str, Any], dict[str, Flow], dict[str, Flow]]:
        """Return the hub's figures, and the totals of drivers and of consumers by label."""
        with self._lock:
            figures = self._hub.stats()
            return (
                figures,
                self._sum(self._sides[DRIVER], figures),
                self._sum(self._sides[CONSUMER], figures),
            )

    def label(self, kind: str, name: str) -> str:
        """Return the label of a name: itself, or "other" if there are too many."""
        with self._lock:
            return self._label(self._sides[kind], name)

    def _label(self, side: _Side, name: str) -> str:
        if name not in side.labels:
            if len(side.labels) >= self._max_names:
                return OTHER
            side.labels.add(name)
        return name

    def _sum(self, side: _Side, figures: Mapping[str, Any]) -> dict[str, Flow]:
        totals: dict[str, Flow] = {}
        # What was counted for somebody after it had left belongs to no name any more.
        rest = Flow.of(figures[side.gone])
        for label, flow in side.left.items():
            totals.setdefault(label, Flow()).add(flow)
            rest.add(flow, -1)
        if rest.frames or rest.bytes or rest.unclaimed or any(map(any, rest.drops.values())):
            totals.setdefault(OTHER, Flow()).add(rest)
        for entry in figures[side.live]:
            label = self._label(side, entry["name"])
            totals.setdefault(label, Flow()).add(Flow.of(entry))
        return totals
