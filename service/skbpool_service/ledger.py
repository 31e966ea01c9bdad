"""Totals by driver and by consumer that never go down, whoever comes and goes.

The hub counts for those that are attached and adds up the others without their names. The ledger
keeps the totals of those that left by label. A label is the name, or what the daemon's own names
begin with: "driver" for all that did not say who they are. Names come from clients, so only so many
labels are kept; a new one takes the place of the one that nobody has been attached under for
longest, whose series ends; should that name come back, its series begins at 0. What others drop and
deliver is never added to a series that is there already, or its rate would show frames of long ago.
A name that finds no place is "other" until it leaves.
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from skbpool._native import Hub

OTHER = "other"
"""The name under which further names are added up."""

DRIVER = "driver"
CONSUMER = "consumer"
STAMPS = "stamps"

_OWN_NAME = re.compile(rf"({DRIVER}|{CONSUMER}|{STAMPS})-[0-9]+")
"""The names that the daemon gives."""


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
    labels: dict[str, str] = field(default_factory=dict)
    """Labels of those attached when last looked at, by name."""
    left: dict[str, Flow] = field(default_factory=dict)
    """Totals of those that left, by label, the one that somebody left from last at the end."""
    ended: Flow = field(default_factory=Flow)
    """Totals of the labels that made room."""

    def book(self, name: str, flow: Flow) -> None:
        """Add what somebody counted who leaves."""
        label = self.labels[name]
        total = self.left.pop(label, Flow())
        total.add(flow)
        self.left[label] = total

    def look(self, names: list[str], most: int) -> None:
        """Give everybody attached a label, and keep it while they are."""
        self.labels = {name: label for name, label in self.labels.items() if name in names}
        for name in names:
            if name not in self.labels:
                self.labels[name] = self._choose(name, most)

    def _choose(self, name: str, most: int) -> str:
        own = _OWN_NAME.fullmatch(name)
        label = own[1] if own else name
        attached = set(self.labels.values())
        kept = (attached | set(self.left)) - {OTHER}
        if label in kept or len(kept) < most:
            return label
        for gone in self.left:
            if gone != OTHER and gone not in attached:
                self.ended.add(self.left.pop(gone))
                return label
        return OTHER


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
            figures = self._hub.stats()
            self._look(side, figures)
            before = Flow.of(figures[side.gone])
            close()
            flow = Flow.of(self._hub.stats()[side.gone])
            flow.add(before, -1)
            # Nobody of that name is there if the hub ended before.
            side.labels.setdefault(name, OTHER)
            side.book(name, flow)

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
        """Return the label of somebody who was attached when the totals were taken."""
        with self._lock:
            return self._sides[kind].labels.get(name, OTHER)

    def _look(self, side: _Side, figures: Mapping[str, Any]) -> None:
        side.look([entry["name"] for entry in figures[side.live]], self._max_names)

    def _sum(self, side: _Side, figures: Mapping[str, Any]) -> dict[str, Flow]:
        self._look(side, figures)
        totals: dict[str, Flow] = {}
        # What was counted for somebody after it had left belongs to no name any more.
        rest = Flow.of(figures[side.gone])
        rest.add(side.ended, -1)
        for label, flow in side.left.items():
            totals.setdefault(label, Flow()).add(flow)
            rest.add(flow, -1)
        if rest.frames or rest.bytes or rest.unclaimed or any(map(any, rest.drops.values())):
            totals.setdefault(OTHER, Flow()).add(rest)
        for entry in figures[side.live]:
            totals.setdefault(side.labels[entry["name"]], Flow()).add(Flow.of(entry))
        return totals
