"""/metrics: who held how much for how long, what was copied, and when a pool is low."""

import time
from typing import Any

import pytest
from batches import numbered, request
from daemon_support import Stubs, eventually
from scraping import scrape, subscribed, value
from skbpool.v1 import lease_pb2, pool_pb2
from skbpool_service.daemon import Daemon


@pytest.fixture
def daemon(start: Any) -> Daemon:
    """Start a daemon that serves metrics."""
    daemon: Daemon = start(metrics="127.0.0.1:0")[0]
    return daemon


class Lease:
    """A session that allocates and releases."""

    def __init__(self, stubs: Stubs, name: str):
        self.stubs = stubs
        self.stream = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(name=name))
        self.id = next(self.stream).session_id

    def allocate(self, count: int, pool: str = "") -> list[int]:
        asked = lease_pb2.AllocateRequest(session_id=self.id, count=count, pool=pool)
        return list(self.stubs.lease.Allocate(asked).buffers)

    def release(self, *handles: int) -> None:
        asked = lease_pb2.ReleaseRequest(session_id=self.id, handles=handles)
        self.stubs.lease.Release(asked)


def held_by(daemon: Daemon, figure: str, kind: str, holder: str) -> float:
    return value(daemon, f"skbpool_holder_{figure}", kind=kind, holder=holder)


def test_a_session_has_a_peak_and_an_age(daemon: Daemon, stubs: Stubs) -> None:
    lease = Lease(stubs, "keeper")
    assert held_by(daemon, "oldest_age_seconds", "session", "keeper") == 0
    first, *others = lease.allocate(3)
    assert held_by(daemon, "peak_bytes", "session", "keeper") == 3 * 4096
    lease.release(*others)
    age = held_by(daemon, "oldest_age_seconds", "session", "keeper")
    assert age > 0
    later = held_by(daemon, "oldest_age_seconds", "session", "keeper")
    assert later > age, "it still has the first"
    assert held_by(daemon, "peak_views", "session", "keeper") == 3
    assert held_by(daemon, "peak_bytes", "session", "keeper") == 3 * 4096
    before_newer = time.monotonic()
    newer = lease.allocate(1)
    lease.release(first)
    age = held_by(daemon, "oldest_age_seconds", "session", "keeper")
    assert 0 < age <= time.monotonic() - before_newer
    lease.release(*newer)
    assert held_by(daemon, "oldest_age_seconds", "session", "keeper") == 0
    labels = frozenset({"kind": "session", "holder": "keeper"}.items())
    lease.stream.cancel()
    eventually(lambda: ("skbpool_holder_peak_views", labels) not in scrape(daemon))


def test_a_consumer_has_a_peak_whoever_looked(daemon: Daemon, stubs: Stubs) -> None:
    tap = subscribed(stubs, name="slow", quota=2)
    list(stubs.frame.Ingest(iter([request(numbered(50), 1, "card")])))
    got = 0
    while got < 50:
        response = next(tap)
        got += len(response.batch.length) + sum(drop.frames for drop in response.missed)
    assert held_by(daemon, "peak_views", "consumer", "slow") == 2, "when its quota was reached"
    assert 0 < held_by(daemon, "peak_bytes", "consumer", "slow") <= 2 * 4096
    assert held_by(daemon, "oldest_age_seconds", "consumer", "slow") == 0
    tap.cancel()


def test_names_of_sessions_are_capped_and_the_largest_stands_for_the_others(start: Any) -> None:
    daemon, stubs = start(metrics="127.0.0.1:0", limits={"max_metric_names": 2})
    sessions = [Lease(stubs, name) for name in ("a", "b", "c", "d")]
    for count, lease in enumerate(sessions, 1):
        lease.allocate(count)
    peaks = {
        dict(labels)["holder"]: figure
        for (name, labels), figure in scrape(daemon).items()
        if name == "skbpool_holder_peak_views" and ("kind", "session") in labels
    }
    assert peaks == {"a": 1, "b": 2, "other": 4}
    for lease in sessions:
        lease.stream.cancel()


def test_copies_are_counted_by_stage(daemon: Daemon, stubs: Stubs) -> None:
    # The counters are the process's.
    before = scrape(daemon)
    tap = subscribed(stubs, name="tap", quota=100)
    list(stubs.frame.Ingest(iter([request(numbered(40), 1)])))
    got = 0
    while got < 40:
        got += len(next(tap).batch.length)
    after = scrape(daemon)
    copied = {
        (name.removeprefix("skbpool_copied_").removesuffix("_total"), dict(labels)["stage"]): (
            figure - before[name, labels]
        )
        for (name, labels), figure in after.items()
        if name in ("skbpool_copied_frames_total", "skbpool_copied_bytes_total")
    }
    stages = ("land", "compose", "encode", "skb_copy", "small_frame", "copy_out")
    assert set(copied) == {(unit, stage) for unit in ("frames", "bytes") for stage in stages}
    assert {key: figure for key, figure in copied.items() if figure} == {
        ("frames", "land"): 40,
        ("bytes", "land"): 2400,
        ("frames", "encode"): 40,
        ("bytes", "encode"): 2400,
    }
    tap.cancel()


def test_a_pool_is_low_and_recovers(daemon: Daemon, stubs: Stubs) -> None:
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="small", buffers=32))
    lease = Lease(stubs, "")

    def marks(name: str) -> list[float]:
        return [value(daemon, name, pool="small", mark=mark) for mark in ("low", "high")]

    assert marks("skbpool_pool_watermark_buffers") == [2, 4]
    assert marks("skbpool_pool_watermark_crossings_total") == [0, 0]
    assert value(daemon, "skbpool_pool_low", pool="small") == 0
    buffers = lease.allocate(31, "small")
    assert value(daemon, "skbpool_pool_low", pool="small") == 1
    assert marks("skbpool_pool_watermark_crossings_total") == [1, 0]
    lease.release(*buffers)
    assert value(daemon, "skbpool_pool_low", pool="small") == 0
    assert marks("skbpool_pool_watermark_crossings_total") == [1, 1]
    assert value(daemon, "skbpool_pool_exhaustions_total", pool="small") == 0
    lease.stream.cancel()
