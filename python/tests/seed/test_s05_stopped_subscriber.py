"""S5: a suspended reader must not lock the driver by sitting on its buffers.

Shown by processes: a subscriber is stopped by SIGSTOP while frames arrive. Its own quota fills,
what goes beyond is counted as its own, nobody else loses a frame, and the daemon's memory stays
bounded.
"""

import signal
from pathlib import Path

import pytest
from skbpool_processes import Daemon, named, stats, wait_until

pytestmark = [pytest.mark.seed, pytest.mark.e2e]

QUOTA = 2000
FRAMES = 100_000


def test_a_stopped_subscriber_slows_nobody(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path) as daemon,
        daemon.start("subscribe", "--name", "reads", "--json") as reads,
        daemon.start("subscribe", "--name", "stops", "--quota", str(QUOTA), "--json") as stops,
    ):
        reads.stderr.wait_for("subscribed")
        stops.stderr.wait_for("subscribed")
        before = daemon.resident_bytes()
        stops.signal(signal.SIGSTOP)
        report = daemon.run("nic", "--rate", "100kpps", "--count", str(FRAMES), "--json").json
        assert report["offered"] == report["accepted"] == FRAMES
        assert (report["dropped"], report["lost"]) == ({}, 0)
        grown = daemon.resident_bytes() - before
        consumers = stats(daemon)["consumers"]
        stopped = named(consumers, "stops")
        # What it missed is counted as its own, and all of it.
        assert set(stopped["drops"]) <= {"quota", "ring_full"}
        missed = sum(stopped["drops"].values())
        assert missed > 0
        assert stopped["frames"] + stopped["held"] + missed == FRAMES
        assert 0 < stopped["held"] <= QUOTA
        assert named(consumers, "reads")["drops"] == {}
        # Its quota of buffers and the messages under way to it, not the frames it missed.
        assert grown < 64 << 20

        stops.signal(signal.SIGCONT)
        wait_until(
            lambda: named(stats(daemon)["consumers"], "stops")["held"] == 0,
            lambda: f"it does not catch up: {stats(daemon)['consumers']}",
        )
        # It gets what comes after.
        later = daemon.run("nic", "--rate", "1kpps", "--count", "500", "--json").json
        assert later["accepted"] == 500
        wait_until(
            lambda: named(stats(daemon)["consumers"], "stops")["frames"] == FRAMES - missed + 500,
            "it gets nothing any more",
        )
        for subscriber in (stops, reads):
            subscriber.signal(signal.SIGINT)
        told_stops, told_reads = stops.finish().json, reads.finish().json
    assert sum(told_stops["missed"].values()) == missed
    assert told_stops["frames"] == FRAMES + 500 - missed
    assert told_reads == {**told_reads, "frames": FRAMES + 500, "missed": {}}
    print(
        f"S5: of {FRAMES} frames the stopped subscriber was handed {FRAMES - missed}, missed "
        f"{stopped['drops']} and held {stopped['held']} of at most {QUOTA}; the other one missed "
        f"none; the daemon grew by {grown >> 10} KiB; woken up, it got all {later['accepted']} more"
    )
