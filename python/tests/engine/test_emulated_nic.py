"""EmulatedNic: what it sends, counts, refuses, and how it is stopped."""

import os
import struct
import threading
from pathlib import Path

import pytest
import skbpool
from engine_messages import Given, frames_of
from skbpool._native import EmulatedNic, ingest_opening
from skbpool.v1 import frame_pb2


def pcap(frames: list[Given]) -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    return header + b"".join(
        struct.pack(
            "<4I",
            frame.timestamp_ns // 10**9,
            frame.timestamp_ns % 10**9,
            len(frame.data),
            len(frame.data) if frame.original_length is None else frame.original_length,
        )
        + frame.data
        for frame in frames
    )


def sent(nic: EmulatedNic) -> list[bytes]:
    messages: list[bytes] = []
    while (message := nic.next_request(1 << 18, 0.001, len(messages) + 1)) is not None:
        messages.append(message)
    return messages


def received(messages: list[bytes]) -> list[Given]:
    requests = [frame_pb2.IngestRequest.FromString(message) for message in messages]
    return [frame for request in requests for frame in frames_of(request.batch)]


def test_everything_offered_is_accepted_or_told() -> None:
    with EmulatedNic(rate="max", frames=50_000, size=128, driver="card") as nic:
        messages = sent(nic)
    report = nic.report()
    assert (report["offered"], report["accepted"], report["dropped"]) == (50_000, 50_000, {})
    assert report["accepted_bytes"] == 50_000 * 124
    assert report["wire_bits"] == 50_000 * (128 + 20) * 8
    assert report["ended"]
    assert report["seconds"] > 0
    assert report["capture_error"] is None
    frames = received(messages)
    assert len(frames) == 50_000
    assert {len(frame.data) for frame in frames} == {124}
    assert [ingest_opening(message)[0] for message in messages[:2]] == ["card", ""]
    sequences = [frame_pb2.IngestRequest.FromString(message).batch.sequence for message in messages]
    assert sequences == list(range(1, len(messages) + 1))


def test_a_line_is_up_for_its_time_and_at_its_rate() -> None:
    with EmulatedNic(rate="100kpps", duration=0.05) as nic:
        frames = received(sent(nic))
    report = nic.report()
    assert report["offered"] + report["late"] == 5000
    dropped = sum(totals["frames"] for totals in report["dropped"].values())
    assert report["accepted"] + dropped == report["offered"]
    assert len(frames) == report["accepted"]


@pytest.mark.parametrize("rate", ["max", "1Gbps"])
def test_a_line_whose_capture_is_silent_can_be_stopped(rate: str) -> None:
    frames = [Given(b"x" * 60, 10**18)]
    reader, writer = os.pipe()
    try:
        data = pcap(frames)
        os.write(writer, data + data[24:50])
        with EmulatedNic(rate=rate, capture=f"/dev/fd/{reader}") as nic:
            message = nic.next_request(1 << 18, 0.001, 1)
            assert message is not None
            assert received([message]) == frames
            nic.stop()
            assert nic.next_request(1 << 18, 0.001, 2) is None
        report = nic.report()
        assert (report["offered"], report["accepted"], report["ended"]) == (1, 1, True)
        assert report["capture_error"] is None
    finally:
        os.close(reader)
        os.close(writer)


def test_a_line_whose_capture_is_silent_ends_on_time() -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, pcap([]))
        with EmulatedNic(rate="1Gbps", capture=f"/dev/fd/{reader}", duration=0.05) as nic:
            assert sent(nic) == []
    finally:
        os.close(reader)
        os.close(writer)


def test_a_capture_is_replayed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    frames = [
        Given(b"x" * 60, 10**18 + 1),
        Given(b"", 10**18 + 5),
        Given(b"y" * 9000, 10**18 + 2, 64_000),
    ]
    path.write_bytes(pcap(frames))
    with EmulatedNic(rate="max", capture=path, loops=2) as nic:
        assert received(sent(nic)) == frames * 2
    with EmulatedNic(rate="max", capture=str(path), loops=0, frames=10) as nic:
        assert len(received(sent(nic))) == 10


def test_a_damaged_capture_gives_its_frames_first(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(pcap([Given(b"x" * 60)] * 3)[:-1])
    with EmulatedNic(rate="max", capture=path) as nic:
        assert len(received(sent(nic))) == 2
    error = nic.report()["capture_error"]
    assert error.startswith(f"{path}: byte {24 + 2 * 76}: ")


def test_a_capture_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(b"no capture")
    with pytest.raises(skbpool.CaptureError, match="no pcap or pcapng file") as caught:
        EmulatedNic(rate="max", capture=path)
    assert (caught.value.file, caught.value.offset) == (str(path), 0)
    with pytest.raises(skbpool.CaptureError, match="cannot be opened"):
        EmulatedNic(rate="max", capture=tmp_path / "missing.pcap")


def test_stopping_ends_a_wait_for_frames() -> None:
    # One frame every 1,000 s.
    nic = EmulatedNic(rate="1bps", size=262_148)
    nic.start()
    waiting = threading.Event()
    answers: list[bytes | None] = []

    def fetch() -> None:
        waiting.set()
        answers.append(nic.next_request(1 << 20, 0.001, 1))

    thread = threading.Thread(target=fetch)
    thread.start()
    waiting.wait()
    assert nic.report()["offered"] == 0
    nic.stop()
    thread.join()
    assert answers == [None]
    assert nic.next_request(1 << 20, 0.001, 1) is None
    assert nic.report()["ended"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rate": "fast"}, "no rate"),
        ({"rate": "0bps"}, "out of range"),
        ({"size": 63}, "out of range"),
        ({"size": 262_149}, "out of range"),
        ({"duration": -1}, "0 or more seconds"),
    ],
)
def test_what_cannot_be_is_told(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EmulatedNic(**{"rate": "max", **settings})  # type: ignore[arg-type]


def test_rings_and_pools_that_do_not_fit() -> None:
    with pytest.raises(skbpool.BadPool):
        EmulatedNic(rate="max", buffers=0)
    with pytest.raises(ValueError, match="descriptors"):
        EmulatedNic(rate="max", ring=0).start()
    with pytest.raises(skbpool.PoolTooSmall, match="needs 64 buffers"):
        EmulatedNic(rate="max", ring=64, buffers=16).start()
