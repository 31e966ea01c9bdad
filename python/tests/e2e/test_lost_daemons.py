"""A daemon that goes away: what it acknowledged is told, and nothing that cannot be known."""

import json
import signal
from pathlib import Path

import pytest
from skbpool_processes import Daemon, Finished, Process, stats, wait_until

pytestmark = pytest.mark.e2e

UNREACHABLE = 4
UNKNOWN = ("received", "lost", "duplicated", "reordered", "bits_per_second", "latency_seconds")


def await_frames(daemon: Daemon) -> None:
    """Wait until the card's frames have been acknowledged."""
    wait_until(
        lambda: any(driver["frames"] for driver in stats(daemon)["drivers"]), "no frames arrive"
    )


def end(daemon: Daemon, number: signal.Signals) -> None:
    daemon.signal(number)
    daemon.process.wait(45)


def drive_until(daemon: Daemon, number: signal.Signals, *flags: str) -> Finished:
    with daemon.start("nic", "--rate", "100kpps", "--duration", "1h", *flags) as card:
        await_frames(daemon)
        end(daemon, number)
        return card.finish()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_card_reports_what_was_acknowledged(tmp_path: Path, number: signal.Signals) -> None:
    with Daemon(tmp_path) as daemon:
        ended = drive_until(daemon, number, "--json")
    assert ended.code == UNREACHABLE, ended
    report = json.loads(ended.stdout)
    assert report["offered"] >= report["accepted"] >= 0
    assert report["seconds"] > 0
    assert [report[key] for key in UNKNOWN] == [None] * len(UNKNOWN)
    assert ended.stderr.count("\n") == 1
    assert "frames were accepted before" not in ended.stderr
    if number == signal.SIGKILL:
        assert f"the daemon at {daemon.address} is gone" in ended.stderr
        assert "frames that it acknowledged are accepted" in ended.stderr
        assert "is it running" not in ended.stderr
    else:
        assert "the daemon is stopping; what was acknowledged is accepted" in ended.stderr


def test_people_see_what_is_unknown(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        ended = drive_until(daemon, signal.SIGKILL)
    assert ended.code == UNREACHABLE, ended
    rows = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines() if line.strip())
    assert "acknowledged until then" in rows["accepted"]
    for name in ("received", "lost", "duplicated", "reordered"):
        assert rows[name].startswith("unknown"), ended


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_subscriber_does_not_claim_that_it_missed_nothing(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    with Daemon(tmp_path) as daemon, daemon.start("subscribe", *flags) as subscriber:
        subscriber.stderr.wait_for("subscribed")
        end(daemon, signal.SIGKILL)
        ended = subscriber.finish()
    assert ended.code == UNREACHABLE, ended
    assert f"the daemon at {daemon.address} is gone" in ended.stderr
    assert "is it running" not in ended.stderr
    if flags:
        assert json.loads(ended.stdout)["missed"] is None
    else:
        assert "0 frames, missed unknown" in ended.stderr


def test_a_daemon_that_stops_in_order_has_told_what_was_missed(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.start("subscribe", "--json") as subscriber:
        subscriber.stderr.wait_for("subscribed")
        end(daemon, signal.SIGTERM)
        assert subscriber.finish().json["missed"] == {}


def test_a_daemon_that_stops_before_there_are_enough_is_told(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.start("subscribe", "-c", "1000") as subscriber:
        subscriber.stderr.wait_for("subscribed")
        end(daemon, signal.SIGTERM)
        ended = subscriber.finish()
    assert ended.code == UNREACHABLE
    assert "the daemon has stopped, after 0 frames of 1000" in ended.stderr


def test_a_refusal_before_the_first_frame_has_no_report(tmp_path: Path) -> None:
    path = tmp_path / "frames.pcapng"
    generous = ("--set", "limits.max_quota=4096")
    with Daemon(tmp_path, "--buffers", "4096", *generous) as daemon:
        with daemon.start("subscribe", "-w", str(path), "-c", "10") as subscriber:
            subscriber.stderr.wait_for("subscribed")
            assert daemon.run("nic", "--rate", "1kpps", "-c", "10").code == 0
            assert subscriber.finish().code == 0
        with daemon.start("subscribe", "--quota", "3800") as greedy:
            greedy.stderr.wait_for("subscribed")
            ended = daemon.run("nic", "-r", str(path))
    assert (ended.code, ended.stdout) == (5, ""), ended
    assert "too small for driver" in ended.stderr
    assert "'skbpool serve --buffers'" in ended.stderr
    assert "accepted" not in ended.stderr


def test_nothing_answers_where_nothing_has(tmp_path: Path) -> None:
    with Process("subscribe", "--server", f"unix:{tmp_path}/none.sock") as subscriber:
        ended = subscriber.finish()
    assert ended.code == UNREACHABLE
    assert "no daemon answers" in ended.stderr
    assert "missed" not in ended.stderr
