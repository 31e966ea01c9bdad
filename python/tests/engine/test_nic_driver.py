"""NicDriver: an emulated card that drives a hub of this process."""

import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from skbpool import CaptureError, Hub, Pool, PoolClosed, PoolTooSmall, SkbBatch
from skbpool._native import NicDriver, parse_rate

PATIENCE = 30.0


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(Pool(1024))
    yield hub
    hub.close()
    assert (hub.pool.stats().in_flight, hub.pool.stats().reserved) == (0, 0)


def test_its_frames_reach_a_consumer_and_outlive_it(hub: Hub) -> None:
    with hub.attach_consumer("tap", quota=100) as tap:
        with NicDriver(hub, hub.pool, "card", rate="1Gbps", frames=50, size=128, ring=64) as card:
            kept: list[SkbBatch] = []
            while sum(len(batch) for batch in kept) < 50:
                assert tap.wait(PATIENCE)
                kept.append(tap.poll(50))
            card.finish()
            report = card.report()
            assert (report["offered"], report["accepted"], report["dropped"]) == (50, 50, {})
            assert (report["ended"], report["error"], report["unclaimed"]) == (True, None, 0)
            assert card.out() == (0, 0), "it is attached"
            assert [driver["name"] for driver in hub.stats()["drivers"]] == ["card"]
        assert card.report() == report
        assert card.out() == (hub.pool.stats().in_flight, 50)
        assert {len(skb) for batch in kept for skb in batch} == {124}
        for batch in kept:
            batch.release()
        assert card.out() == (0, 0)


def test_it_stops_when_it_is_told_to(hub: Hub) -> None:
    card = NicDriver(hub, hub.pool, "card", rate="max", ring=64)
    card.stop()
    card.finish()
    assert card.report()["ended"]
    card.close()
    card.close()
    assert hub.stats()["drivers"] == []


def test_a_capture_is_read_from_its_beginning(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    path.write_bytes(header + struct.pack("<IIII", 1, 0, 5, 5) + b"frame")
    with path.open("rb") as file, hub.attach_consumer("tap", quota=16) as tap:
        file.read()
        with NicDriver(
            hub, hub.pool, "replay", rate="max", capture=file.fileno(), loops=3, ring=64
        ) as driver:
            while not driver.report()["ended"]:
                tap.wait(0.01)
            assert [bytes(skb) for skb in tap.poll(16)] == [b"frame"] * 3
    path.write_bytes(b"no capture")
    with path.open("rb") as file, pytest.raises(CaptureError, match="trace: byte 0: no pcap"):
        NicDriver(hub, hub.pool, "x", rate="max", capture=file.fileno(), capture_name="trace")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"rate": "fast"}, ValueError),
        ({"rate": "max", "size": 63}, ValueError),
        ({"rate": "max", "ring": 0}, ValueError),
        ({"rate": "max", "ring": 1 << 17}, ValueError),
        ({"rate": "max", "ring": 1000}, PoolTooSmall),
        ({"rate": "max", "may_block": -1.0}, ValueError),
        ({"rate": "max", "duration": -1.0}, ValueError),
        ({"rate": "max", "capture": -1}, ValueError),
        ({"rate": "max", "capture": 1 << 20}, OSError),
    ],
)
def test_what_cannot_be_attached_leaves_nothing(
    hub: Hub, settings: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        NicDriver(hub, hub.pool, "card", **settings)  # type: ignore[arg-type]
    assert hub.stats()["drivers"] == []


def test_a_closed_hub_has_no_driver() -> None:
    hub = Hub(Pool(1024))
    hub.close()
    with pytest.raises(PoolClosed):
        NicDriver(hub, hub.pool, "card", rate="max")


def test_whoever_lets_it_go_waits_without_the_interpreter_lock(hub: Hub) -> None:
    tap = hub.attach_consumer("tap", quota=16, policy="block", block_at_most=5)
    card = NicDriver(hub, hub.pool, "card", rate="max", ring=64, may_block=5)
    while card.report()["accepted"] == 0:
        assert tap.wait(PATIENCE)
    over = threading.Event()

    def take() -> None:
        while not over.is_set():
            tap.poll(16).release()

    taker = threading.Thread(target=take)
    taker.start()
    del card
    over.set()
    taker.join()
    assert tap.stats()["dropped"] == {}, "it was there while the card's thread waited for it"
    tap.close()


def test_in_a_fork_it_does_nothing(hub: Hub) -> None:
    with NicDriver(hub, hub.pool, "card", rate="10kpps", ring=64) as card:
        child = os.fork()
        if child == 0:
            try:
                card.report()
            except Exception as error:
                card.finish()
                card.close()
                os._exit(0 if type(error).__name__ == "ForkedPool" else 1)
            os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert not card.report()["ended"]


def test_a_rate_is_read_as_it_is_written() -> None:
    assert parse_rate("1Gbps") == ("bits_per_second", 1_000_000_000)
    assert parse_rate("1.4Mpps") == ("frames_per_second", 1_400_000)
    assert parse_rate("max") is None
    with pytest.raises(ValueError, match="is no rate"):
        parse_rate("fast")
