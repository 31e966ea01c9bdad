"""Capture files through the daemon, byte for byte; damaged ones end in a clear error."""

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_parser import Captured, read_capture, record_offsets
from skbpool._native import EmulatedNic
from skbpool.client import Client
from skbpool_processes import Daemon, Finished, stats

pytestmark = pytest.mark.e2e

FRAME_COUNT = 6


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a pcap file of a few frames."""
    path = tmp_path / "small.pcap"
    records = b"".join(
        struct.pack("<4I", 1_700_000_000 + number, number, 60 + number, 100)
        + bytes([number]) * (60 + number)
        for number in range(FRAME_COUNT)
    )
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records)
    return path


def test_every_capture_comes_out_as_it_went_in(
    daemon: Daemon, captures_folder: Path, tmp_path: Path
) -> None:
    files = sorted(captures_folder.glob("*.pcap*"))
    assert files
    expected = [frame for path in files for frame in read_capture(path)]
    out = tmp_path / "out.pcapng"
    with daemon.start("subscribe", "-w", str(out), "-c", str(len(expected))) as subscriber:
        subscriber.stderr.wait_for("subscribed")
        # One stream, so that the frames of all files have one order.
        with Client(daemon.address) as client:
            for acknowledgement in client.ingest_messages(messages(client, files)):
                last = acknowledgement
        assert (last.accepted, last.dropped) == (len(expected), {})
        ended = subscriber.finish()
    assert ended.code == 0, ended
    assert "missed 0" in ended.stderr
    found = read_capture(out)
    start = 0
    for path in files:
        frames = read_capture(path)
        assert found[start : start + len(frames)] == frames, path.name
        start += len(frames)
    assert start == len(found)
    print(f"{len(files)} files, {len(expected)} frames, {link_types(expected)} link types")


def messages(client: Client, files: list[Path]) -> Iterator[bytes]:
    """Yield the frames of all files as the messages of one stream."""
    numbers = itertools.count(1)
    for path in files:
        card = EmulatedNic(rate="max", capture=path)
        card.start()
        while (
            message := card.next_request(client.message_bytes, 0.0, next_number := next(numbers))
        ) is not None:
            yield message
        numbers = itertools.count(next_number)
        report = card.report()
        assert (report["dropped"], report["capture_error"]) == ({}, None), path
        card.stop()


def link_types(frames: list[Captured]) -> int:
    return len({frame.link_type for frame in frames})


def test_the_command_replays_a_capture(daemon: Daemon, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    with daemon.start("subscribe", "-w", str(out), "-c", str(3 * FRAME_COUNT)) as subscriber:
        subscriber.stderr.wait_for("subscribed")
        report = daemon.run("nic", "-r", str(small), "--loops", "3", "--json").json
        assert subscriber.finish().code == 0
    assert report["offered"] == report["accepted"] == 3 * FRAME_COUNT
    nothing = dict.fromkeys(("lost", "duplicated", "reordered", "latency_seconds"))
    assert report == {**report, **nothing}
    assert read_capture(out) == read_capture(small) * 3


DAMAGES = ["cut inside a record", "cut inside a header", "length over the limit"]


def damage(path: Path, kind: str) -> int:
    """Damage the fifth record of the file, and return where that begins."""
    offset = record_offsets(path)[4]
    data = bytearray(path.read_bytes())
    if kind == "cut inside a record":
        del data[offset + 20 :]
    elif kind == "cut inside a header":
        del data[offset + 7 :]
    else:
        data[offset + 8 : offset + 12] = struct.pack("<I", 1 << 30)
    path.write_bytes(data)
    return offset


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_capture_keeps_the_frames_before_it(
    daemon: Daemon, small: Path, tmp_path: Path, kind: str
) -> None:
    whole = read_capture(small)
    offset = damage(small, kind)
    out = tmp_path / "out.pcapng"
    with daemon.start("subscribe", "-w", str(out), "-c", "4") as subscriber:
        subscriber.stderr.wait_for("subscribed")
        ended = daemon.run("nic", "-r", str(small), "--rate", "max", "--json")
        assert subscriber.finish().code == 0
    assert one_line(ended), ended
    assert ended.code == 6
    assert f"{small}: byte {offset}:" in ended.stderr
    assert "4 frames" in ended.stderr
    assert '"accepted": 4' in ended.stdout
    assert read_capture(out) == whole[:4]
    assert stats(daemon)["pools"][0]["state"] == "open"


@pytest.mark.parametrize("content", [b"", b"no capture at all, just text\n", b"\xd4\xc3\xb2\xa1"])
def test_what_is_no_capture_is_told(daemon: Daemon, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(content)
    ended = daemon.run("nic", "-r", str(path))
    assert ended.code == 6, ended
    assert one_line(ended)
    assert f"{path}: byte 0:" in ended.stderr


def one_line(ended: Finished) -> bool:
    """Whether exactly one line was told, and no traceback."""
    return ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr
