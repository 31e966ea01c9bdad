"""StampConsumer, with messages of an emulated card and with some that were tampered with."""

import pytest
import skbpool
from engine_messages import frames_of, numbered, request
from skbpool import Pool
from skbpool._native import EmulatedNic, Hub, IngestPort, StampConsumer
from skbpool.v1 import frame_pb2


def stamped(count: int, stream: int) -> list[bytes]:
    """Return the messages of a card that sent so many frames."""
    with EmulatedNic(rate="max", frames=count, stream=stream) as nic:
        messages: list[bytes] = []
        while (message := nic.next_request(1 << 16, 0.001, len(messages) + 1)) is not None:
            messages.append(message)
        assert nic.report()["accepted"] == count
        return messages


def test_every_frame_of_a_card_is_seen() -> None:
    hub = Hub(Pool(8192))
    reader = StampConsumer(hub, "stamps", stream=5, quota=4096)
    with IngestPort(hub, "in") as port:
        for message in stamped(3000, stream=5):
            port.submit(message)
    reader.close()
    report = reader.report()
    latency = report.pop("latency_seconds")
    assert report == {
        "received": 3000,
        "lost": 0,
        "duplicated": 0,
        "reordered": 0,
        "foreign": 0,
        "dropped": {},
        "latency_count": 3000,
    }
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p999"] <= latency["max"]
    assert hub.pool.stats().in_flight == 0


def test_what_was_done_to_the_frames_shows() -> None:
    hub = Hub(Pool(8192))
    frames = [
        frame
        for message in stamped(100, stream=5)
        for frame in frames_of(frame_pb2.IngestRequest.FromString(message).batch)
    ]
    del frames[0], frames[50]
    frames[10], frames[11] = frames[11], frames[10]
    frames.append(frames[-1])
    with StampConsumer(hub, "stamps", stream=5, quota=1024) as reader:
        port = IngestPort(hub, "in")
        port.submit(request(frames, 1))
        port.submit(request(numbered([60]), 2))
    report = reader.report()
    assert (report["received"], report["foreign"], report["lost"]) == (99, 1, 2)
    assert (report["duplicated"], report["reordered"]) == (1, 1)


def test_without_a_stamp_there_is_no_latency() -> None:
    hub = Hub(Pool(8192))
    with StampConsumer(hub, "stamps", stream=5, quota=1024) as reader:
        IngestPort(hub, "in").submit(request(numbered([60, 0, 10_000])))
    report = reader.report()
    assert (report["received"], report["foreign"]) == (0, 3)
    assert (report["latency_seconds"], report["latency_count"]) == (None, 0)


def test_who_cannot_be_attached() -> None:
    hub = Hub(Pool(256))
    with pytest.raises(skbpool.PoolTooSmall, match="stamps"):
        StampConsumer(hub, "stamps", stream=5, quota=256)
    hub.close()
    with pytest.raises(skbpool.PoolClosed):
        StampConsumer(hub, "stamps", stream=5, quota=16)
