"""/metrics: what a scrape says, and that it is right."""

import socket
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from batches import numbered, request
from daemon_support import Stubs, eventually, refusal
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from scraping import fetch, scrape, subscribed, value
from skbpool.v1 import lease_pb2, pool_pb2, server_pb2
from skbpool_service import __version__
from skbpool_service.daemon import Daemon
from skbpool_service.metrics import endpoint

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def daemon(start: Any) -> Daemon:
    """Start a daemon that serves metrics."""
    daemon: Daemon = start(metrics="127.0.0.1:0")[0]
    return daemon


def test_both_formats_are_valid_and_say_the_same(daemon: Daemon) -> None:
    families = {family.name: family.type for family in parse_text(fetch(daemon))}
    strict = {family.name: family.type for family in parse_openmetrics(fetch(daemon, OPENMETRICS))}
    # In the text format an info is a gauge.
    assert {name for name in families if name.startswith("skbpool")} == {
        "skbpool_build_info" if name == "skbpool_build" else name
        for name in strict
        if name.startswith("skbpool")
    }
    assert families["skbpool_frame_latency_seconds"] == "histogram"
    assert "process_resident_memory_bytes" in families
    assert all(":" not in name for name in families)


def test_the_version_is_told(daemon: Daemon) -> None:
    assert value(daemon, "skbpool_build_info", version=__version__) == 1


def test_buffers_are_somewhere(daemon: Daemon, stubs: Stubs) -> None:
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="second", buffers=10, order=1))
    session = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest())
    session_id = next(session).session_id
    stubs.lease.Allocate(lease_pb2.AllocateRequest(session_id=session_id, pool="second", count=3))
    samples = scrape(daemon)

    def buffers(pool: str, place: str) -> float:
        labels = frozenset({"pool": pool, "place": place}.items())
        return samples["skbpool_pool_buffers", labels]

    places = ("free", "cached", "in_flight")
    assert sum(buffers("default", place) for place in places) == 8192
    assert [buffers("second", place) for place in places] == [7, 0, 3]
    assert value(daemon, "skbpool_pool_buffer_size_bytes", pool="second") == 8192
    assert value(daemon, "skbpool_pool_size_bytes", pool="second") == 81_920
    assert value(daemon, "skbpool_pool_state", pool="second", state="open") == 1
    assert value(daemon, "skbpool_pool_state", pool="second", state="orphaned") == 0
    assert value(daemon, "skbpool_pool_allocations_total", pool="second", path="slow") == 3
    assert value(daemon, "skbpool_held_views", kind="session") == 3
    assert value(daemon, "skbpool_held_bytes", kind="session") == 3 * 8192
    assert value(daemon, "skbpool_open_streams", limit="max_sessions") == 1
    session.cancel()
    eventually(lambda: value(daemon, "skbpool_held_views", kind="session") == 0)
    assert value(daemon, "skbpool_pool_releases_total", pool="second") == 3


def test_frames_are_counted_by_driver_and_consumer_and_stay_when_those_leave(
    daemon: Daemon, stubs: Stubs
) -> None:
    tap = subscribed(stubs, name="tap", quota=100)
    list(stubs.frame.Ingest(iter([request(numbered(30), 1, "card")])))
    got = 0
    while got < 30:
        got += len(next(tap).batch.length)

    def check() -> None:
        assert value(daemon, "skbpool_driver_frames_total", driver="card") == 30
        assert value(daemon, "skbpool_driver_bytes_total", driver="card") == 1800
        assert value(daemon, "skbpool_driver_unclaimed_frames_total", driver="card") == 0
        assert value(daemon, "skbpool_consumer_frames_total", consumer="tap") == 30
        assert value(daemon, "skbpool_consumer_bytes_total", consumer="tap") == 1800

    check()
    assert value(daemon, "skbpool_consumer_quota_views", consumer="tap") == 100
    tap.cancel()
    stubs.await_home()
    check()
    # Another one of the same name goes on where it ended.
    list(stubs.frame.Ingest(iter([request(numbered(5), 1, "card")])))
    assert value(daemon, "skbpool_driver_frames_total", driver="card") == 35
    assert value(daemon, "skbpool_driver_unclaimed_frames_total", driver="card") == 5


def test_drops_are_counted_by_reason(daemon: Daemon, stubs: Stubs) -> None:
    tap = subscribed(stubs, name="slow", quota=2)
    list(stubs.frame.Ingest(iter([request(numbered(50), 1, "card")])))
    got = missed = 0
    while got + missed < 50:
        response = next(tap)
        got += len(response.batch.length)
        missed += sum(drop.frames for drop in response.missed)
    samples = scrape(daemon)
    dropped = {
        dict(labels)["reason"]: count
        for (name, labels), count in samples.items()
        if name == "skbpool_dropped_frames_total"
    }
    assert len(dropped) == 10  # every reason, from the start
    assert sum(dropped.values()) == missed > 0
    by_consumer = sum(
        count
        for (name, labels), count in samples.items()
        if name == "skbpool_consumer_dropped_frames_total" and ("consumer", "slow") in labels
    )
    assert by_consumer == missed
    tap.cancel()


def test_only_metrics_are_served_and_a_page_that_leads_there(daemon: Daemon) -> None:
    assert daemon.metrics_url is not None
    root = daemon.metrics_url.removesuffix("/metrics")
    with urllib.request.urlopen(f"{root}/") as page:
        assert 'href="/metrics"' in page.read().decode()
    for path in ("/healthz", "/metrics/", "/metrics/x", "/metricsx"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(root + path)
        with refused.value as answer:
            assert answer.code == 404


def test_names_beyond_the_cap_make_room(start) -> None:
    daemon, stubs = start(metrics="127.0.0.1:0", limits={"max_metric_names": 2})
    for number in range(6):
        list(stubs.frame.Ingest(iter([request(numbered(number + 1), 1, f"card-{number}")])))
    samples = scrape(daemon)
    frames = {
        dict(labels)["driver"]: count
        for (name, labels), count in samples.items()
        if name == "skbpool_driver_frames_total"
    }
    assert frames == {"card-4": 5, "card-5": 6}


def test_latency_is_a_histogram_of_released_views(daemon: Daemon, stubs: Stubs) -> None:
    before = value(daemon, "skbpool_frame_latency_seconds_count")
    list(stubs.frame.Ingest(iter([request(numbered(40), 1)])))
    stubs.await_home()
    samples = scrape(daemon)
    assert samples["skbpool_frame_latency_seconds_count", frozenset()] == before + 40
    buckets = sorted(
        (float(dict(labels)["le"]), count)
        for (name, labels), count in samples.items()
        if name == "skbpool_frame_latency_seconds_bucket"
    )
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert counts[-1] == before + 40


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("skbpool.v1.ServerService/GetServerInfo", "OK"),
        ("skbpool.v1.PoolService/GetPoolStatistics", "NOT_FOUND"),
        ("skbpool.v1.FrameService/Ingest", "OK"),
        ("skbpool.v1.FrameService/Subscribe", "CANCELLED"),
        ("skbpool.v1.LeaseService/OpenSession", "DEADLINE_EXCEEDED"),
        ("skbpool.v1.LeaseService/Allocate", "INVALID_ARGUMENT"),
        ("unknown", "UNIMPLEMENTED"),
    ],
)
def test_calls_are_counted_by_method_and_code_however_they_end(
    daemon: Daemon, stubs: Stubs, method: str, code: str
) -> None:
    def call() -> None:
        match method.rpartition("/")[2]:
            case "GetServerInfo":
                stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest())
            case "GetPoolStatistics":
                stubs.pool.GetPoolStatistics(pool_pb2.GetPoolStatisticsRequest(name="nothing"))
            case "Ingest":
                list(stubs.frame.Ingest(iter([request(numbered(1), 1)])))
            case "Subscribe":
                subscribed(stubs).cancel()
            case "OpenSession":
                list(stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(), timeout=0.2))
            case "Allocate":
                stubs.raw(f"/{method}", b"\xff\xff")
            case _:
                stubs.raw("/no.such/Method", b"")

    before = scrape(daemon)
    if code in ("OK", "CANCELLED"):
        call()
    else:
        assert refusal(call)[0] == grpc.StatusCode[code]
    labels = frozenset({"method": method, "code": code}.items())
    after = eventually(
        lambda: scrape(daemon),
        lambda samples: (
            ("skbpool_rpc_handled_total", labels) in samples
            and samples["skbpool_rpc_handled_total", labels]
            == before.get(("skbpool_rpc_handled_total", labels), 0) + 1
        ),
    )
    started = ("skbpool_rpc_started_total", frozenset({"method": method}.items()))
    assert after[started] == before.get(started, 0) + 1
    assert after["skbpool_rpc_duration_seconds_count", labels] == 1


def test_metrics_can_be_switched_off(start) -> None:
    daemon, _ = start()
    assert daemon.metrics_url is None


def test_connections_are_limited_and_room_comes_back(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "SCRAPE_SECONDS", 600.0)
    assert daemon.metrics is not None
    where = (daemon.metrics.address.host, daemon.metrics.address.port)
    with ExitStack() as silent:
        for _ in range(endpoint.MAX_SCRAPES):
            silent.enter_context(socket.create_connection(where))
        with socket.create_connection(where) as refused:
            assert refused.recv(100).startswith(b"HTTP/1.0 503 ")

    def served() -> bool:
        try:
            return "skbpool_build_info" in fetch(daemon)
        except (urllib.error.HTTPError, ConnectionError):
            return False

    eventually(served)


def test_connections_that_only_drip_keep_nobody_out(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "SCRAPE_SECONDS", 0.0)
    assert daemon.metrics is not None
    where = (daemon.metrics.address.host, daemon.metrics.address.port)
    with ExitStack() as dripping:
        for _ in range(3 * endpoint.MAX_SCRAPES):
            drip = dripping.enter_context(socket.create_connection(where))
            drip.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert "skbpool_build_info" in fetch(daemon)


def test_a_connection_that_says_nothing_is_closed(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint._Handler, "timeout", 0.05)
    assert daemon.metrics is not None
    where = (daemon.metrics.address.host, daemon.metrics.address.port)
    with socket.create_connection(where, timeout=20) as silent:
        assert silent.recv(1) == b""
