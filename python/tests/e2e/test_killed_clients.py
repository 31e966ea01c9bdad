"""Clients that are killed give everything back."""

import signal

import pytest
from skbpool_processes import Daemon, named, stats, wait_until

pytestmark = pytest.mark.e2e

QUOTA = 2000


def test_a_killed_subscriber_gives_everything_back(daemon: Daemon) -> None:
    with daemon.start("subscribe", "--name", "doomed", "--quota", str(QUOTA)) as doomed:
        doomed.stderr.wait_for("subscribed")
        doomed.signal(signal.SIGSTOP)
        report = daemon.run("nic", "--rate", "50kpps", "--count", "20000", "--json").json
        assert (report["dropped"], report["lost"]) == ({}, 0)
        assert named(stats(daemon)["consumers"], "doomed")["held"] > 0
        doomed.signal(signal.SIGKILL)
        doomed.process.wait(45)

    def home() -> bool:
        figures = stats(daemon)
        (pool,) = figures["pools"]
        return not figures["consumers"] and pool["in_flight"] == 0 and pool["violations"] == 0

    wait_until(home, lambda: f"its buffers are not back: {stats(daemon)}")


def test_a_killed_card_gives_everything_back(daemon: Daemon) -> None:
    with daemon.start("nic", "--rate", "max", "--duration", "1h") as card:
        wait_until(
            lambda: any(driver["frames"] > 100_000 for driver in stats(daemon)["drivers"]),
            "the card sends nothing",
        )
        card.signal(signal.SIGKILL)
        card.process.wait(45)

    def home() -> bool:
        figures = stats(daemon)
        gone = not figures["drivers"] and not figures["consumers"]
        return gone and figures["pools"][0]["in_flight"] == 0

    wait_until(home, lambda: f"its buffers are not back: {stats(daemon)}")
