"""The figures of a run, put together from three sides."""

from io import StringIO
from typing import Any

import grpc
import pytest
from rich.console import Console
from skbpool.cli.nic_report import NicReport, Seen, summary
from skbpool.client import Acknowledgement, ServerUnavailable
from skbpool.v1 import drop_reason_pb2, stamp_pb2

KEYS = {
    "offered",
    "accepted",
    "received",
    "dropped",
    "lost",
    "duplicated",
    "reordered",
    "seconds",
    "frames_per_second",
    "bits_per_second",
    "latency_seconds",
}


def card(offered: int, **dropped: int) -> dict[str, Any]:
    return {
        "offered": offered,
        "accepted": offered - sum(dropped.values()),
        "dropped": {why: {"frames": n, "bytes": 60 * n} for why, n in dropped.items()},
        "wire_bits": offered * 672,
        "seconds": 1.0,
        "capture_error": None,
    }


def reader(received: int, quota: int = 0, duplicated: int = 0) -> stamp_pb2.GetStampReportResponse:
    drops = [
        drop_reason_pb2.DropCount(
            reason=drop_reason_pb2.DROP_REASON_QUOTA, frames=quota, bytes=60 * quota
        )
    ]
    return stamp_pb2.GetStampReportResponse(
        received=received,
        duplicated=duplicated,
        lost=123_456,  # gaps, dropped frames among them
        dropped=drops,
        latency_p50_seconds=0.001,
        latency_p99_seconds=0.002,
        latency_max_seconds=0.003,
        latency_count=received,
    )


def report(
    offered: int, accepted: int, seen: Seen | None, took: float = 2.0, **dropped: int
) -> NicReport:
    figures, acknowledged = card(offered, **dropped), Acknowledgement(1, accepted)
    return NicReport.of(figures, acknowledged, seen, took, stamped=seen is not None)


def test_the_keys_are_the_documented_ones() -> None:
    assert set(report(1, 1, None).as_dict()) == KEYS


def test_a_whole_run() -> None:
    found = report(1000, 1000, Seen.of(reader(1000), same_host=True))
    assert found.arrived_whole
    assert found.dropped == {}
    assert (found.accepted, found.received) == (1000, 1000)
    assert (found.lost, found.duplicated, found.reordered) == (0, 0, 0)
    assert found.frames_per_second == 500
    assert found.bits_per_second == 500 * 672
    assert found.latency_seconds == {"p50": 0.001, "p99": 0.002, "max": 0.003}


def test_lost_is_what_neither_arrived_nor_was_dropped_for_a_reason() -> None:
    seen = Seen.of(reader(900, quota=50), same_host=True)
    found = report(1000, 980, seen, no_descriptor=20)
    assert found.dropped == {"no_descriptor": 20, "quota": 50}
    assert (found.accepted, found.received) == (980, 900)
    assert found.lost == 1000 - 20 - 50 - 900
    assert not found.arrived_whole


def test_a_second_copy_makes_up_for_no_loss() -> None:
    found = report(1000, 1000, Seen.of(reader(1000, duplicated=3), same_host=True))
    assert (found.lost, found.duplicated) == (3, 3)


def test_dropped_frames_are_in_no_rate() -> None:
    found = report(1000, 900, None, no_descriptor=100)
    assert found.frames_per_second == 450
    assert found.bits_per_second == pytest.approx(450 * 672)


def test_clocks_of_two_hosts_give_no_latency() -> None:
    assert Seen.of(reader(10), same_host=False).latency is None
    assert Seen.of(reader(0), same_host=True).latency is None


def test_a_capture_has_no_stamps() -> None:
    found = report(10, 10, None)
    assert found.received is None
    assert found.lost is None
    assert found.duplicated is None
    assert found.reordered is None
    assert found.latency_seconds is None
    assert found.arrived_whole


def test_nothing_in_no_time() -> None:
    found = report(0, 0, None, took=0.0)
    assert (found.frames_per_second, found.bits_per_second) == (0, 0)


def test_the_table_shows_what_there_is() -> None:
    stamped = rows(report(10, 10, Seen.of(reader(8, quota=2), same_host=True)))
    capture = rows(report(10, 10, None))
    assert stamped["accepted"] == "10 frames"
    assert stamped["received"] == "8 frames"
    assert set(stamped) - set(capture) == {
        "received",
        "lost",
        "duplicated",
        "reordered",
        "latency",
    }


def test_a_run_that_failed_half_way_tells_what_is_known() -> None:
    failure = ServerUnavailable("gone", grpc.StatusCode.UNAVAILABLE)
    half = NicReport.of(
        card(10, no_descriptor=1), Acknowledgement(1, 4), None, 2.0, stamped=True, failure=failure
    )
    assert set(half.as_dict()) == KEYS
    assert (half.offered, half.accepted, half.dropped) == (10, 4, {"no_descriptor": 1})
    assert half.frames_per_second == 2
    assert (half.received, half.lost, half.bits_per_second) == (None, None, None)
    assert rows(half)["lost"] == "unknown"


def test_nothing_came() -> None:
    nothing = NicReport.of_nothing()
    assert set(nothing.as_dict()) == KEYS
    assert rows(nothing)["offered"] == "0 frames"


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    many = {"quota": 123_456_789, "ring_full": 999_999_999, "no_descriptor": 7}
    found = report(1_488_095_238, 999_999_999, Seen.of(reader(999_999_999), True), **many)
    out = StringIO()
    Console(file=out, width=80).print(summary(found))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    # Every row in as many lines as it has parts: none is broken.
    assert len([line for line in lines if line]) == 11 + 2 + 2
    assert any(line.strip() == "999,999,999 ring_full," for line in lines)


def rows(found: NicReport) -> dict[str, str]:
    names, figures, _ = (column.cells for column in summary(found).columns)
    return {str(name): str(figure) for name, figure in zip(names, figures, strict=True)}
