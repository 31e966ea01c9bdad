"""What a run of the emulated card found, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rich import box
from rich.table import Table

from skbpool.cli.output import count, counted, print_tables, reasons, seconds, with_unit
from skbpool.client import Acknowledgement, ServiceError
from skbpool.client.drops import Drops, add_drops, drops_of, frames_by_reason
from skbpool.v1 import stamp_pb2

WIRE_OVERHEAD = 24
"""Bytes of a frame on the wire that memory does not hold: preamble 8, check sequence 4, gap 12."""

MIN_MEMORY_BYTES = 60
"""Bytes in memory of the smallest frame; shorter ones are padded to it on the wire."""


@dataclass(frozen=True)
class Seen:
    """What the stamp reader in the daemon saw."""

    received: int
    duplicated: int
    reordered: int
    dropped: Drops
    latency: dict[str, float] | None

    @classmethod
    def of(cls, report: stamp_pb2.GetStampReportResponse, same_host: bool) -> Self:
        """Read a report; clocks of two hosts give no latency."""
        latency = None
        if same_host and report.latency_count:
            latency = {
                "p50": report.latency_p50_seconds,
                "p99": report.latency_p99_seconds,
                "max": report.latency_max_seconds,
            }
        dropped = drops_of(report.dropped)
        return cls(report.received, report.duplicated, report.reordered, dropped, latency)


@dataclass(frozen=True)
class NicReport:
    """The figures of a run, under the names of --json (see `skbpool nic --help`)."""

    offered: int
    accepted: int
    received: int | None
    dropped: dict[str, int]
    lost: int | None
    duplicated: int | None
    reordered: int | None
    seconds: float
    frames_per_second: float
    bits_per_second: float | None
    latency_seconds: dict[str, float] | None
    capture_error: str | None
    stamped: bool = True
    """Whether the frames had stamps for the reader."""
    failure: ServiceError | None = None
    """What ended the run half-way; the reader's figures and those of the wire are unknown then."""

    @classmethod
    def of(
        cls,
        card: Mapping[str, Any],
        acknowledged: Acknowledgement,
        seen: Seen | None,
        took: float,
        *,
        stamped: bool,
        failure: ServiceError | None = None,
    ) -> Self:
        """Put together what the card, the daemon and the reader know of the same frames."""
        dropped: Drops = {}
        add_drops(dropped, card["dropped"])
        add_drops(dropped, acknowledged.dropped)
        short_of_daemon = sum(
            (max(totals["bytes"], MIN_MEMORY_BYTES * totals["frames"]))
            + WIRE_OVERHEAD * totals["frames"]
            for totals in dropped.values()
        )
        lost = None
        if seen is not None:
            add_drops(dropped, seen.dropped)
            known = sum(totals["frames"] for totals in dropped.values())
            lost = card["offered"] - known - (seen.received - seen.duplicated)
        bits = max(card["wire_bits"] - 8 * short_of_daemon, 0)
        return cls(
            offered=card["offered"],
            accepted=acknowledged.accepted,
            received=seen.received if seen else None,
            dropped=frames_by_reason(dropped),
            lost=lost,
            duplicated=seen.duplicated if seen else None,
            reordered=seen.reordered if seen else None,
            seconds=took,
            frames_per_second=acknowledged.accepted / took if took else 0.0,
            bits_per_second=None if failure else bits / took if took else 0.0,
            latency_seconds=seen.latency if seen else None,
            capture_error=card["capture_error"],
            stamped=stamped,
            failure=failure,
        )

    @classmethod
    def of_nothing(cls) -> Self:
        """Return the report of a capture of which nothing came."""
        return cls(0, 0, None, {}, None, None, None, 0.0, 0.0, 0.0, None, None, stamped=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the documented keys."""
        keys = {**vars(self)}
        for other in ("capture_error", "stamped", "failure"):
            del keys[other]
        return keys

    @property
    def arrived_whole(self) -> bool:
        """Whether nothing was dropped and nothing lost."""
        return not self.dropped and not self.lost


def summary(report: NicReport) -> Table:
    """Return the figures as a table for people, each with what it counts; 80 columns hold it."""
    made = Table(show_header=False, box=box.SIMPLE)
    made.add_column(style="bold")
    made.add_column(justify="right", overflow="fold")
    made.add_column(style="dim")
    stamped = report.stamped
    accepted = "acknowledged until then" if report.failure else "landed in a buffer of the daemon"
    made.add_row("offered", counted(report.offered, "frame"), "came over the line")
    made.add_row("accepted", counted(report.accepted, "frame"), accepted)
    if stamped:
        made.add_row("received", _known(report.received), "read by the daemon's reader")
    dropped = reasons(report.dropped, between=",\n")
    made.add_row("dropped", dropped, "on the way to the readers, by reason")
    if stamped:
        made.add_row("lost", _known(report.lost, ""), "neither received nor dropped")
        made.add_row("duplicated", _known(report.duplicated, ""))
        made.add_row("reordered", _known(report.reordered, ""))
    made.add_row("time", f"{report.seconds:.3f} s", "that the line was up")
    made.add_row("frames", f"{report.frames_per_second:,.0f} frames/s", "accepted, read or not")
    if report.bits_per_second is not None:
        made.add_row("on the wire", with_unit(report.bits_per_second, "bit/s"), "accepted")
    if report.latency_seconds is not None:
        parts = (f"{name} {seconds(value)}" for name, value in report.latency_seconds.items())
        made.add_row("latency", "\n".join(parts), "of the received")
    return made


def _known(number: int | None, noun: str = "frame") -> str:
    if number is None:
        return "unknown"
    return counted(number, noun) if noun else count(number)


def show(report: NicReport) -> None:
    """Print the table on standard output."""
    print_tables(summary(report))
