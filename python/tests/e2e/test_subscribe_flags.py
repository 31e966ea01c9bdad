"""The options of `skbpool subscribe`: what is captured, and which flag is wrong."""

from pathlib import Path

import pytest
from capture_parser import read_capture
from skbpool.client import Client
from skbpool_processes import Daemon, run

pytestmark = pytest.mark.e2e

USAGE, REFUSED = 2, 5


def test_a_snapshot_keeps_the_original_lengths(daemon: Daemon, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    lengths = [0, 1, 63, 64, 65, 1500, 9000]
    flags = ("-s", "64", "--linger", "10ms", "--batch-frames", "5", "--batch-bytes", "64KiB")
    with daemon.start("subscribe", "-w", str(out), "-c", str(len(lengths)), *flags) as subscriber:
        subscriber.stderr.wait_for("subscribed")
        with Client(daemon.address) as client:
            client.ingest([bytes([length % 256]) * length for length in lengths])
        assert subscriber.finish().code == 0
    found = read_capture(out)
    assert [frame.original_length for frame in found] == lengths
    assert [frame.data for frame in found] == [
        bytes([length % 256]) * min(length, 64) for length in lengths
    ]


@pytest.mark.parametrize(
    ("flags", "flag"),
    [
        (("--quota-bytes", "1"), "--quota-bytes"),
        (("--policy", "copy-out", "--copy-bytes", "64GiB"), "--copy-bytes"),
        (("--policy", "block", "--block-at-most", "10ms"), "--policy"),
        (("--batch-bytes", "1GiB"), "--batch-bytes"),
        (("--linger", "1h"), "--linger"),
        (("--snapshot-length", "300000"), "--snapshot-length"),
        (("--quota", "4000000000"), "--quota"),
    ],
)
def test_a_refusal_names_the_flag(daemon: Daemon, flags: tuple[str, ...], flag: str) -> None:
    ended = daemon.run("subscribe", *flags)
    assert ended.code == REFUSED, ended
    assert ended.stderr.startswith(f"skbpool: {flag}: "), ended


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--copy-bytes", "1MiB"), "'--copy-bytes': it is for --policy copy-out"),
        (("--block-at-most", "1s"), "'--block-at-most': it is for --policy block"),
        (("--policy", "block"), "'--policy': block needs --block-at-most"),
        (("--policy", "keep"), "'--policy'"),
        (("-s", "-1"), "'--snapshot-length'"),
        (("--quota-bytes", "many"), "'--quota-bytes' / "),
    ],
)
def test_flags_that_make_no_sense(flags: tuple[str, ...], text: str) -> None:
    ended = run("subscribe", "--server", "unix:/nowhere", *flags)
    assert ended.code == USAGE, ended
    assert text.removesuffix(" / ") in ended.stderr
