"""Where `skbpool subscribe -w` writes, and when it may."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from skbpool_processes import Daemon, stats, wait_until

pytestmark = pytest.mark.e2e

USAGE, UNREACHABLE, REFUSED = 2, 4, 5
NONE = "unix:/nowhere/skbpool.sock"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--server", NONE), UNREACHABLE),
        (("--quota", "4000000000"), REFUSED),
        (("--quota", "131072"), REFUSED),  # more than the pool has beside the cache
        (("--name", "two words"), USAGE),
    ],
)
def test_a_capture_survives_a_subscription_that_fails(
    daemon: Daemon, tmp_path: Path, flags: tuple[str, ...], code: int
) -> None:
    kept, absent = tmp_path / "kept.pcapng", tmp_path / "absent.pcapng"
    kept.write_bytes(b"an hour of work")
    for path in (kept, absent):
        ended = daemon.run("subscribe", "-w", str(path), *flags)
        assert ended.code == code, ended
    assert kept.read_bytes() == b"an hour of work"
    assert not absent.exists()


def test_a_fifo_without_a_reader_can_be_given_up(daemon: Daemon, tmp_path: Path) -> None:
    fifo = tmp_path / "out.fifo"
    os.mkfifo(fifo)
    with daemon.start("subscribe", "-w", str(fifo)) as subscriber:
        wait_until(lambda: bool(stats(daemon)["consumers"]), "it does not subscribe")
        subscriber.signal(signal.SIGINT)
        ended = subscriber.finish(20)
    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "")


def test_frames_are_not_thrown_at_a_terminal() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "skbpool.cli", "subscribe", "-w", "-", "--server", NONE]
    ended = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=45, check=False
    )
    os.close(theirs)
    os.close(ours)
    assert ended.returncode == USAGE
    assert "'--write': standard output is a terminal" in ended.stderr


def test_one_frame_is_one_frame(daemon: Daemon) -> None:
    with daemon.start("subscribe", "-c", "1") as subscriber:
        subscriber.stderr.wait_for("subscribed")
        table = daemon.run("nic", "--rate", "1kpps", "-c", "1").stdout
        assert "1 frame, missed 0" in subscriber.finish().stderr
    assert "1 frame " in table
    assert "1 frames " not in table
