"""IngestPort: what it acknowledges, counts and refuses."""

import threading

import pytest
import skbpool
from engine_messages import Given, acknowledged, numbered, request
from skbpool import Pool
from skbpool._native import Hub, IngestPort, Subscription, ingest_opening
from skbpool.v1 import drop_reason_pb2, frame_batch_pb2, frame_pb2


@pytest.fixture
def hub() -> Hub:
    return Hub(Pool(1024))


def test_the_greeting_grants_credit(hub: Hub) -> None:
    assert acknowledged(IngestPort(hub, "in").greeting()).credit == 8 << 20
    assert acknowledged(IngestPort(hub, "in", credit_bytes=7).greeting()).credit == 7


def test_counts_run_from_the_beginning_of_the_stream(hub: Hub) -> None:
    with IngestPort(hub, "in") as port:
        port.submit(request(numbered([60, 60]), 1))
        told = acknowledged(port.submit(request(numbered([60]), 2)))
        assert (told.acked_through, told.accepted, told.unclaimed) == (2, 3, 3)
        assert list(told.dropped) == []
        figures = {"name": "in", "frames": 3, "bytes": 180, "unclaimed": 3, "dropped": {}}
        assert port.stats() == figures
        assert hub.stats()["drivers"] == [figures]
    assert port.stats() == figures
    stats = hub.stats()
    assert stats["drivers"] == []
    assert stats["detached_drivers"] == {**figures, "name": ""}


def test_without_a_buffer_frames_are_dropped_and_counted() -> None:
    pool = Pool(512)
    hub = Hub(pool)
    port = IngestPort(hub, "in")
    held = pool.alloc_bulk(pool.stats().free)
    with pytest.raises(skbpool.PoolExhausted):
        pool.alloc()
    told = acknowledged(port.submit(request(numbered([60, 70]))))
    assert told.accepted == 0
    (drop,) = told.dropped
    assert drop.reason == drop_reason_pb2.DROP_REASON_POOL_EMPTY
    assert (drop.frames, drop.bytes) == (2, 130)
    assert port.stats()["dropped"] == {"pool_empty": {"frames": 2, "bytes": 130}}
    held.clear()
    assert acknowledged(port.submit(request(numbered([60])))).accepted == 1


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"\xff", "cut off"),
        (request([Given(b"abc")])[:-1], "cut off"),
        (
            frame_pb2.IngestRequest(
                batch=frame_batch_pb2.FrameBatch(frames=b"abc", length=[4], link_type=1)
            ).SerializeToString(),
            "lacks data",
        ),
        (request([Given(b"abc")], interface=65_536), "interface"),
    ],
)
def test_a_malformed_message_changes_nothing(hub: Hub, message: bytes, told: str) -> None:
    with (
        IngestPort(hub, "in") as port,
        Subscription(hub, "out", quota=64, max_message_bytes=1 << 20) as subscription,
    ):
        before = port.submit(request(numbered([60]), 1))
        with pytest.raises(skbpool.MalformedBatch, match=told):
            port.submit(message)
        assert port.greeting() == before
        assert acknowledged(port.submit(request(numbered([60]), 2))).accepted == 2
        assert subscription.stats()["queued"] == 2


def test_a_frame_over_the_limit(hub: Hub) -> None:
    port = IngestPort(hub, "in", max_frame_bytes=1500)
    with pytest.raises(skbpool.FrameTooLarge, match="limit of 1500") as caught:
        port.submit(request(numbered([60, 1501])))
    assert (caught.value.index, caught.value.length, caught.value.limit) == (1, 1501, 1500)
    assert port.stats()["frames"] == 0
    wide = IngestPort(hub, "wide")
    with pytest.raises(skbpool.FrameTooLarge, match="limit of 262144"):
        wide.submit(request([Given(bytes(262_145))]))


def test_how_a_stream_opens() -> None:
    assert ingest_opening(request(numbered([60]), driver="eth0")) == ("eth0", b"")
    assert ingest_opening(b"") == ("", b"")
    resumable = frame_pb2.IngestRequest(driver="eth0", stream_id=bytes(range(16)))
    assert ingest_opening(resumable.SerializeToString()) == ("eth0", bytes(range(16)))
    with pytest.raises(skbpool.MalformedBatch):
        ingest_opening(b"\x0a")
    with pytest.raises(TypeError):
        ingest_opening("eth0")  # type: ignore[arg-type]


def test_who_comes_too_late_or_to_a_pool_too_small(hub: Hub) -> None:
    with pytest.raises(skbpool.PoolTooSmall, match='driver "in"') as caught:
        IngestPort(Hub(Pool(64)), "in")
    assert (caught.value.buffers, caught.value.reserved) == (64, 0)
    port = IngestPort(hub, "early")
    hub.close()
    with pytest.raises(skbpool.PoolClosed):
        IngestPort(hub, "late")
    told = acknowledged(port.submit(request(numbered([60]))))
    assert [drop.reason for drop in told.dropped] == [drop_reason_pb2.DROP_REASON_CLOSED]


def test_a_closed_port_says_so(hub: Hub) -> None:
    port = IngestPort(hub, "in")
    port.close()
    port.close()
    with pytest.raises(skbpool.Closed, match="port is closed"):
        port.submit(request(numbered([60])))


def test_threads_take_turns(hub: Hub) -> None:
    message = request(numbered([60] * 500))
    with IngestPort(hub, "in") as port:
        threads = [
            threading.Thread(target=lambda: [port.submit(message) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert port.stats()["frames"] == 4 * 50 * 500
    assert hub.pool.stats().in_flight == 0
    hub.pool.audit()
