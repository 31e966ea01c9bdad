"""CaptureWriter: subscribed messages in files that another reader reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import skbpool
from capture_parser import read_capture
from engine_messages import Given, numbered, request
from skbpool import Pool
from skbpool._native import CaptureWriter, Hub, IngestPort, Subscription


def messages(*batches: tuple[list[Given], int]) -> list[bytes]:
    """Return the messages that a subscriber gets for batches of a link type each."""
    hub = Hub(Pool(1024))
    with (
        IngestPort(hub, "in") as port,
        Subscription(hub, "out", quota=100, max_message_bytes=1 << 20) as subscription,
    ):
        for sequence, (frames, link_type) in enumerate(batches, 1):
            port.submit(request(frames, sequence, link_type=link_type))
        return list(iter(subscription.next_message, None))


@pytest.mark.parametrize("kind", ["pcapng", "pcap"])
def test_what_was_subscribed_is_in_the_file(tmp_path: Path, kind: str) -> None:
    frames = [*numbered([60, 0, 1500]), Given(b"cut", 10**6, 64_000), Given(b"odd", 10**6, 0)]
    path = tmp_path / "out"
    with CaptureWriter(path, format=kind) as writer:
        assert [writer.write_message(message) for message in messages((frames, 1))] == [5]
    found = read_capture(path)
    assert [frame.data for frame in found] == [frame.data for frame in frames]
    assert [frame.timestamp_ns for frame in found] == [frame.timestamp_ns for frame in frames]
    assert [frame.original_length for frame in found] == [60, 0, 1500, 64_000, 0]
    assert {frame.link_type for frame in found} == {1}


def test_a_limit_ends_within_a_message(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    (message,) = messages((numbered([60] * 10), 1))
    with CaptureWriter(str(path)) as writer:
        assert writer.write_message(message, 3) == 3
    assert len(read_capture(path)) == 3


def test_a_pcap_file_has_one_link_type(tmp_path: Path) -> None:
    first, second = messages((numbered([60]), 1), (numbered([60]), 113))
    with CaptureWriter(tmp_path / "out.pcap", format="pcap") as writer:
        writer.write_message(first)
        with pytest.raises(skbpool.CaptureError, match="write pcapng"):
            writer.write_message(second)
    assert len(read_capture(tmp_path / "out.pcap")) == 1


@pytest.mark.parametrize("kind", ["pcapng", "pcap"])
def test_an_empty_file_is_valid(tmp_path: Path, kind: str) -> None:
    writer = CaptureWriter(tmp_path / "out", format=kind)
    with pytest.raises(skbpool.MalformedBatch):
        writer.write_message(b"none")
    writer.close()
    assert read_capture(tmp_path / "out") == []
    writer.close()  # nothing more happens
    with pytest.raises(skbpool.Closed):
        writer.write_message(b"")


def test_frames_reach_a_descriptor_message_by_message(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    (message,) = messages((numbered([60]), 1))
    with path.open("wb") as file:
        writer = CaptureWriter(file.fileno())
        writer.write_message(message)
        assert len(read_capture(path)) == 1
        writer.close()
        # The descriptor itself stays open.
        os.fstat(file.fileno())


def test_standard_output(tmp_path: Path) -> None:
    (message,) = messages((numbered([60]), 1))
    code = (
        "import sys; from skbpool._native import CaptureWriter\n"
        "with CaptureWriter('-') as writer:\n"
        "    writer.write_message(bytes.fromhex(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, message.hex()], check=True, stdout=subprocess.PIPE
    )
    path = tmp_path / "out.pcapng"
    path.write_bytes(done.stdout)
    assert len(read_capture(path)) == 1


def test_a_reader_that_left_is_told_as_such() -> None:
    (message,) = messages((numbered([60]), 1))
    read, write = os.pipe()
    writer = CaptureWriter(write)
    os.close(write)
    os.close(read)
    with pytest.raises(BrokenPipeError):
        writer.write_message(message)


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        CaptureWriter(tmp_path / "missing" / "out.pcapng")
    assert caught.value.filename == str(tmp_path / "missing" / "out.pcapng")
    with pytest.raises(ValueError, match="pcapng"):
        CaptureWriter(tmp_path / "out", format="cap")
    with pytest.raises(OSError, match="Bad file descriptor"):
        CaptureWriter(2**31 - 1)
    with pytest.raises(ValueError, match="0 or more"):
        CaptureWriter(-1)
