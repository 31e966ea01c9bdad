"""Sums over what was dropped."""

from collections.abc import Mapping
from typing import Any


def all_drops(hub: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Add up the drops of everybody, those that left included, by reason."""
    total: dict[str, dict[str, int]] = {}
    entries = [
        *hub["drivers"],
        hub["detached_drivers"],
        *hub["consumers"],
        hub["detached_consumers"],
    ]
    for entry in entries:
        for reason, count in entry["dropped"].items():
            sums = total.setdefault(reason, {"frames": 0, "bytes": 0})
            sums["frames"] += count["frames"]
            sums["bytes"] += count["bytes"]
    return total
