"""A daemon with drivers that is told to stop, as a process of its own."""

import json
import signal
from pathlib import Path

from attached import GIGABIT, Subscriber, attach, detach
from daemon_support import DaemonProcess, Stubs


def test_sigterm_ends_drivers_in_order_and_loses_nothing(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/s"
    settings = ("--set", "log.format=json", "--set", "metrics=", "--buffers", "8192")
    with (
        DaemonProcess("--listen", path, *settings) as daemon,
        Stubs(daemon.await_ready().address) as stubs,
    ):
        subscriber = Subscriber(stubs, quota=1024)
        attach(stubs, "left", line={"bits_per_second": GIGABIT, "frames": 100})
        subscriber.read(until=100)
        detach(stubs, "left")
        for name in ("fast", "slow"):
            attach(stubs, name, line={"bits_per_second": GIGABIT})
        subscriber.read(until=1000)
        daemon.signal(signal.SIGTERM)
        subscriber.read()
        code, _, errors = daemon.finish()
    assert code == 0, errors
    lines = [json.loads(line) for line in errors.splitlines()]
    gone = [line for line in lines if line["event"] == "driver detached"]
    assert sorted(line["driver"] for line in gone) == ["fast", "left", "slow"]
    assert subscriber.told == sum(line["frames"] for line in gone)
