"""The emulated card drives the daemon, as in the demo."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import dpkt
import pytest
from capture_parser import read_capture
from skbpool_processes import Daemon, Process, stats, wait_until

pytestmark = pytest.mark.e2e

KEYS = [
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
]
BENCH = Path(__file__).resolve().parents[3] / "bench"


def test_a_second_at_line_rate_loses_nothing(daemon: Daemon) -> None:
    report = daemon.run(
        "nic", "--rate", "100Mbps", "--size", "64", "--duration", "1s", "--json"
    ).json
    assert list(report) == KEYS
    # 10^8 / 672 frames; the emulator skips what it was not given the time for.
    assert 0 < report["offered"] <= 148_810
    assert report["accepted"] == report["received"] == report["offered"]
    assert report["dropped"] == {}
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert report["seconds"] > 0
    assert report["bits_per_second"] == pytest.approx(report["frames_per_second"] * 672)
    latency = report["latency_seconds"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]


def test_whatever_the_rate_every_frame_is_accounted_for(daemon: Daemon) -> None:
    report = daemon.run("nic", "--rate", "1Gbps", "--duration", "1s", "--json").json
    assert report["lost"] == 0
    assert report["offered"] >= report["accepted"]
    unpaced = daemon.run("nic", "--rate", "max", "--count", "200000", "--json").json
    assert unpaced["offered"] == 200_000
    # A line without a rate waits for buffers instead of dropping.
    assert unpaced["accepted"] == 200_000
    assert unpaced["lost"] == 0


def test_large_frames_arrive(daemon: Daemon) -> None:
    # 262,144 bytes in memory: a chain of buffers on both sides.
    report = daemon.run("nic", "--rate", "max", "--size", "262148", "--count", "64", "--json").json
    assert (report["offered"], report["accepted"]) == (64, 64)
    assert (report["dropped"], report["lost"]) == ({}, 0)


def test_the_table_is_for_people(daemon: Daemon) -> None:
    ended = daemon.run("nic", "--rate", "10kpps", "--count", "100")
    assert ended.code == 0, ended
    for word in ("offered", "accepted", "received", "dropped", "lost", "latency", "frames/s"):
        assert word in ended.stdout
    # Progress is for terminals.
    assert ended.stderr == ""


def test_buffers_are_home_after_a_run(daemon: Daemon) -> None:
    def quiet() -> bool:
        (pool,) = stats(daemon)["pools"]
        return pool["in_flight"] == 0 and pool["free"] + pool["cached"] == pool["buffers"]

    wait_until(quiet, lambda: f"buffers are not home: {stats(daemon)}")
    figures = stats(daemon)
    assert figures["drivers"] == figures["consumers"] == []
    assert {key: figures["pools"][0][key] for key in ("name", "buffer_bytes", "state")} == {
        "name": "default",
        "buffer_bytes": 4096,
        "state": "open",
    }
    assert figures["pools"][0]["violations"] == 0


def test_stat_is_for_people_too(daemon: Daemon) -> None:
    ended = daemon.run("stat")
    assert ended.code == 0, ended
    for word in ("Pools", "default", "free", "cached", "flight", "reserved", "open"):
        assert word in ended.stdout
    coloured = Process(
        "stat", environment={"SKBPOOL_SERVER": daemon.address, "NO_COLOR": "1", "FORCE_COLOR": "1"}
    )
    with coloured:
        assert "\x1b[3" not in coloured.finish().stdout


def test_a_subscriber_gets_every_frame_in_order(daemon: Daemon, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    with daemon.start("subscribe", "-w", str(out), "-c", "5000", "--json") as subscriber:
        subscriber.stderr.wait_for("subscribed")
        report = daemon.run("nic", "--rate", "100kpps", "--count", "5000", "--json").json
        taken = subscriber.finish().json
    assert report["accepted"] == taken["frames"] == 5000
    assert taken["missed"] == {}
    frames = read_capture(out)
    assert len(frames) == 5000
    assert [frame.timestamp_ns for frame in frames] == sorted(
        frame.timestamp_ns for frame in frames
    )
    payloads = []
    for frame in frames:
        assert (frame.link_type, frame.original_length, len(frame.data)) == (1, 60, 60)
        packet = dpkt.ethernet.Ethernet(frame.data).data
        assert isinstance(packet, dpkt.ip.IP)
        assert isinstance(packet.data, dpkt.udp.UDP)
        payloads.append(bytes(packet.data.data))
    assert len(set(payloads)) == 5000


@pytest.mark.parametrize("first", ["nic", "subscribers"])
def test_a_small_pool_has_room_for_two_subscribers_and_a_card(tmp_path: Path, first: str) -> None:
    with Daemon(tmp_path, "--buffers", "4096") as daemon, ExitStack() as stack:

        def start_card() -> Process:
            card = stack.enter_context(daemon.start("nic", "--rate", "10kpps", "--duration", "1h"))
            wait_until(lambda: bool(stats(daemon)["drivers"]), "the card does not start")
            return card

        card = start_card() if first == "nic" else None
        subscribers = []
        for _ in range(2):
            subscribers.append(stack.enter_context(daemon.start("subscribe", "-c", "100")))
            subscribers[-1].stderr.wait_for("subscribed")
        card = card or start_card()
        for subscriber in subscribers:
            ended = subscriber.finish()
            assert ended.code == 0, ended
            assert "100 frames" in ended.stderr
        card.signal(signal.SIGINT)
        assert card.finish().code == 0


def test_standard_output_carries_a_capture(daemon: Daemon, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    command = [sys.executable, "-m", "skbpool.cli", "subscribe", "-w", "-", "-c", "10"]
    with out.open("wb") as file:
        subscriber = subprocess.Popen(
            [*command, "--server", daemon.address], stdout=file, stderr=subprocess.PIPE, text=True
        )
        assert subscriber.stderr is not None
        assert "subscribed" in subscriber.stderr.readline()
        assert daemon.run("nic", "--rate", "10kpps", "--count", "25").code == 0
        _, told = subscriber.communicate(timeout=45)
    assert subscriber.returncode == 0
    assert "10 frames" in told
    assert len(read_capture(out)) == 10


def test_a_reader_that_had_enough_ends_the_subscription(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "skbpool.cli", "subscribe", "-w", "-"]
    read, write = os.pipe()
    with subprocess.Popen(
        [*command, "--server", daemon.address], stdout=write, stderr=subprocess.PIPE, text=True
    ) as subscriber:
        os.close(write)
        assert subscriber.stderr is not None
        assert "subscribed" in subscriber.stderr.readline()
        os.close(read)
        assert daemon.run("nic", "--rate", "10kpps", "--count", "100").code == 0
        _, told = subscriber.communicate(timeout=45)
        assert subscriber.returncode == 0
        assert "frames" in told
        assert "Traceback" not in told


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_output_that_nobody_reads_is_no_failure(daemon: Daemon, flags: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "skbpool.cli", "stat", *flags, "--server", daemon.address]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=45, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_subscription_with_a_summary(
    daemon: Daemon, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out.pcapng"
    with daemon.start("subscribe", "-w", str(out)) as subscriber:
        subscriber.stderr.wait_for("subscribed")
        assert daemon.run("nic", "--rate", "10kpps", "--count", "100").code == 0
        wait_until(lambda: consumed(daemon) >= 100, "the subscriber got no frames")
        subscriber.signal(number)
        ended = subscriber.finish()
    assert ended.code == 0, ended
    assert "100 frames, missed 0" in ended.stderr
    assert len(read_capture(out)) == 100


def consumed(daemon: Daemon) -> int:
    """Frames that the consumers were handed and have let go of."""
    return sum(consumer["frames"] - consumer["held"] for consumer in stats(daemon)["consumers"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_card_with_its_report(daemon: Daemon, number: signal.Signals) -> None:
    with daemon.start("nic", "--rate", "10kpps", "--duration", "1h", "--json") as card:
        wait_until(
            lambda: any(driver["frames"] for driver in stats(daemon)["drivers"]),
            "the card sends nothing",
        )
        card.signal(number)
        report = card.finish().json
    assert report["offered"] == report["accepted"] > 0
    assert report["lost"] == 0


def test_a_second_signal_ends_the_command_at_once(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.start("nic", "--duration", "1h") as card:
        wait_until(
            lambda: any(driver["frames"] for driver in stats(daemon)["drivers"]),
            "the card sends nothing",
        )
        # The first one stops the card, whose last frames are never acknowledged.
        daemon.signal(signal.SIGSTOP)

        def ended() -> bool:
            card.signal(signal.SIGINT)
            return card.process.poll() is not None

        wait_until(ended, "it does not end")
        assert card.finish().code == 130


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM])
def test_the_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals | None) -> None:
    duration = "500ms" if number is None else "1h"
    with subprocess.Popen(
        [sys.executable, str(BENCH / "demo.py"), "--rate", "10Mbps", "--duration", duration],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as demo:
        assert demo.stdout is not None
        while "drives it" not in (line := demo.stdout.readline()):
            assert line, "the demo ended early"
        children = child_processes(demo.pid)
        assert children
        if number is not None:
            demo.send_signal(number)
        printed, told = demo.communicate(timeout=45)
    assert "Traceback" not in told
    if number is None:
        assert demo.returncode == 0, printed + told
        assert "none dropped, none lost" in printed
    else:
        assert demo.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def child_processes(parent: int) -> list[int]:
    """Return the processes that `parent` has started and that run."""
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
