"""Counts of dropped frames by reason, as the native classes tell them."""

from collections.abc import Iterable, Mapping

from skbpool.v1 import drop_reason_pb2

Drops = dict[str, dict[str, int]]
"""Frames and bytes by the name of the reason: `{"ring_full": {"frames": 2, "bytes": 120}}`."""

_PREFIX = "DROP_REASON_"


def reason_name(number: int) -> str:
    """Return the name of a reason, as in metrics: `ring_full`; of an unknown one: `reason_42`."""
    value = drop_reason_pb2.DropReason.DESCRIPTOR.values_by_number.get(number)
    return f"reason_{number}" if value is None else value.name.removeprefix(_PREFIX).lower()


def drops_of(counts: Iterable[drop_reason_pb2.DropCount]) -> Drops:
    """Return the totals of a repeated DropCount; a reason that occurs twice is added up."""
    drops: Drops = {}
    for count in counts:
        add_drops(
            drops, {reason_name(count.reason): {"frames": count.frames, "bytes": count.bytes}}
        )
    return drops


def add_drops(to: Drops, more: Mapping[str, Mapping[str, int]]) -> None:
    """Add `more` to `to`."""
    for reason, totals in more.items():
        into = to.setdefault(reason, {"frames": 0, "bytes": 0})
        into["frames"] += totals["frames"]
        into["bytes"] += totals["bytes"]


def frames_by_reason(drops: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return the frames alone, without reasons that did not occur."""
    return {reason: totals["frames"] for reason, totals in drops.items() if totals["frames"]}
