"""The demo: a daemon, an emulated card at 1 Gbit/s for ten seconds, a table. `make demo`.

    python bench/demo.py [--rate RATE] [--size BYTES] [--duration TIME]

Exits with 1 if a frame is unaccounted for. A machine that is too busy drops frames with a reason,
which the table shows and the last line says; `make bench-floor` judges that. Leaves no process,
file or socket behind.
"""

import argparse
import json
import subprocess
import sys
import threading

from private_daemon import DaemonError, PrivateDaemon, Signals
from skbpool.cli.nic_report import NicReport, show
from skbpool.client import Client, ServiceError


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description="Show a frame's way at 1 Gbit/s.")
    parser.add_argument("--rate", default="1Gbps")
    parser.add_argument("--size", default="64")
    parser.add_argument("--duration", default="10s")
    options = parser.parse_args()
    signals = Signals()
    try:
        with PrivateDaemon(signals) as daemon:
            print(f"The daemon listens on {daemon.address}.", flush=True)
            return drive(daemon, options)
    except DaemonError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def drive(daemon: PrivateDaemon, options: argparse.Namespace) -> int:
    """Let an emulated card drive the daemon, and show what arrived."""
    flags = ["--rate", options.rate, "--size", options.size, "--duration", options.duration]
    print(f"An emulated card drives it: skbpool nic {' '.join(flags)}", flush=True)
    # On a terminal the command shows its progress itself.
    nic = daemon.start(
        ["nic", *flags, "--server", daemon.address, "--json"], stdout=subprocess.PIPE
    )
    watcher = None
    if not sys.stderr.isatty():
        watcher = Watcher(daemon.address)
        watcher.start()
    try:
        printed, _ = nic.communicate()
    finally:
        if watcher is not None:
            watcher.stop()
    if nic.returncode != 0:
        print(f"demo: skbpool nic ended with code {nic.returncode}", file=sys.stderr)
        return 1
    report = NicReport(**json.loads(printed), capture_error=None)
    show(report)
    if report.lost:
        print(f"demo: {report.lost:,} frames are unaccounted for", file=sys.stderr)
        return 1
    if not report.arrived_whole:
        print(
            "demo: this machine was too busy to keep up; what it dropped is in the table",
            file=sys.stderr,
        )
        return 0
    print(f"All {report.offered:,} frames arrived: none dropped, none lost.")
    return 0


class Watcher(threading.Thread):
    """Prints a line a second about what the daemon has received, for those without a terminal."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._ended = threading.Event()

    def run(self) -> None:
        """Look every second until stopped."""
        with Client(self._address) as client:
            before = 0
            while not self._ended.wait(1.0):
                try:
                    statistics = client.statistics()
                except ServiceError:
                    return
                frames = sum(driver.frames for driver in statistics.drivers)
                in_flight = sum(pool.in_flight for pool in statistics.pools)
                if frames > before:
                    print(
                        f"  {frames:>12,} frames received, {frames - before:>10,} in this second, "
                        f"{in_flight:>6,} buffers in flight",
                        flush=True,
                    )
                before = frames

    def stop(self) -> None:
        """End and wait for the end."""
        self._ended.set()
        self.join()


if __name__ == "__main__":
    sys.exit(main())
