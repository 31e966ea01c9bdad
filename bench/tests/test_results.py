"""What becomes of what the programs of the benchmark print."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import charts
import figures
import machine
import peer_dpdk
import pytest
import ratios
from ratios import Goal, Row

import core

TESTPMD = """
Port statistics ====================================
  ######################## NIC statistics for port 0  ########################
  RX-packets: {frames}    RX-missed: 0          RX-bytes:  0
  RX-errors: 0
  TX-packets: 0          TX-errors: 0          TX-bytes:  0

  Throughput (since last show)
  Rx-pps:    {rate}          Rx-bps:            0
  Tx-pps:            0          Tx-bps:            0
"""


def row(ours: list[float], peer: list[float] | None, goal: Goal) -> Row:
    return Row(goal, ours, peer)


def test_testpmd_figures_are_those_of_the_port() -> None:
    printed = TESTPMD.format(frames=1000, rate=7) + TESTPMD.format(frames=3000, rate=9)
    assert list(peer_dpdk.figures(printed.splitlines())) == [(1000, 7), (3000, 9)]


def test_testpmd_rate_is_of_processor_time() -> None:
    sample = peer_dpdk.Sample
    samples = [sample(0, 100, 1), sample(500, 1_100, 4_000_000), sample(900, 3_100, 6_000_000)]
    assert peer_dpdk.mpps(samples) == pytest.approx((300.0, 5.0))


def test_a_program_answers_for_the_operation_that_was_asked() -> None:
    assert core.parse('{"op":"a","value":1.5,"unit":"ns"}\n', "a") == 1.5
    with pytest.raises(RuntimeError, match="b came instead of a"):
        core.parse('{"op":"b","value":1.5,"unit":"ns"}\n', "a")
    with pytest.raises(RuntimeError, match="ended"):
        core.parse("", "a")


def test_the_median_of_the_ratios_judges_and_not_the_ratio_of_the_medians() -> None:
    lower = row([1, 10, 3], [10, 20, 4], Goal("x", "ns", 0.5))
    assert lower.as_dict() == {
        "op": "x",
        "ours": 3,
        "peer": 10,
        "unit": "ns",
        "ratio": 0.5,
        "better": "lower",
        "spread": 0.65,
    }
    assert lower.met is True


@pytest.mark.parametrize(
    ("ours", "peer", "goal", "met"),
    [
        (5, 10, Goal("x", "ns", 0.49), False),
        (15, 10, Goal("x", "Mpps", 1.5, "higher"), True),
        (15, 10, Goal("x", "Mpps", 1.5, "higher", bound=16), False),
        (14, 10, Goal("x", "Mpps", 1.5, "higher", bound=13), False),
        (50, None, Goal("x", "ns", bound=60), True),
        (61, None, Goal("x", "ns", bound=60), False),
        (5, None, Goal("x", "ns", 0.5), None),
        (5, 10, Goal("x", "ns"), None),
    ],
)
def test_goals(ours: float, peer: float | None, goal: Goal, met: bool | None) -> None:
    assert row([ours], None if peer is None else [peer], goal).met is met


def test_without_a_peer_there_is_no_ratio() -> None:
    alone = row([4, 5, 6], None, Goal("x", "ns", 0.5)).as_dict()
    assert (alone["peer"], alone["ratio"], alone["spread"]) == (None, None, 0.4)


def test_huge_pages_count_only_if_they_are_of_2_mib() -> None:
    text = "MemTotal: 1 kB\nHugePages_Free:      300\nHugepagesize:       {} kB\n"
    assert machine.free_huge_mib(text.format(2048)) == 600
    assert machine.free_huge_mib(text.format(1048576)) == 0
    assert machine.free_huge_mib("") == 0


def test_cpu_model() -> None:
    assert machine.cpu_model("processor : 0\nmodel name\t: A B: 9\n") == "A B: 9"


def test_every_operation_with_a_peer_is_one_of_ours() -> None:
    ops = {goal.op for goal in core.GOALS + core.BESIDE}
    assert ops >= core.DPDK | core.TESTPMD.keys() | core.OURSELVES.keys()
    source = peer_dpdk.SOURCE.read_text()
    assert [op for op in core.DPDK if f"    X({op}, " not in source] == []


def test_files_hold_the_table_and_the_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratios, "RESULTS", tmp_path / "results")
    ratios.write("x", [row([1], [2], Goal("x", "ns"))], {"samples": {"x": [1]}})
    assert json.loads((tmp_path / "results" / "x.json").read_text())[0]["ratio"] == 0.5
    assert json.loads((tmp_path / "results" / "x-raw.json").read_text())["samples"] == {"x": [1]}


def test_bars_are_as_long_as_we_are_fast() -> None:
    measured = [
        row([1], [4], Goal("quick", "ns")).as_dict(),
        row([2], [4], Goal("many", "Mpps", better="higher")).as_dict(),
        row([2], None, Goal("alone", "ns")).as_dict(),
    ]
    goals = [Goal("quick", "ns", 0.1), Goal("many", "Mpps", better="higher"), Goal("alone", "ns")]
    bars = charts.compared(measured, goals)
    assert [(bar.label, bar.value, bar.goal) for bar in bars] == [
        ("quick", 4, 10),
        ("many", 0.5, None),
    ]
    svg = ET.fromstring(charts.chart("a < b", "c & d", bars, 1))
    widths = [float(each.get("width", 0)) for each in svg.iter("{http://www.w3.org/2000/svg}rect")][
        1:
    ]
    assert widths[0] == pytest.approx(8 * widths[1], rel=0.01)


def test_the_readme_has_the_figures_of_the_results() -> None:
    text = figures.README.read_text()
    assert figures.written(text) == text, "make charts writes them"


def test_a_missed_goal_is_shown_as_missed() -> None:
    goals = [Goal("a", "ns", 0.5), Goal("b", "s", bound=1.0), Goal("none", "ns"), Goal("c", "x", 1)]
    measured = [
        {"op": "a", "ours": 3.0, "ratio": 0.501, "spread": 0.123},
        {"path": "b", "ours": 0.9, "ratio": 4.0},
        {"op": "none", "ours": 1.0, "ratio": 1.0},
    ]
    assert list(figures.rows(goals, measured)) == [
        "| `a` | ≤ 0.5 | 0.50 | 0.12 | **missed** |",
        "| `b` | ≤ 1 s | 4.00, 0.9 s |  | met |",
    ]
