"""Pools of the daemon: made, closed and watched, by the client and by the command."""

import json
import signal
import threading
from collections.abc import Iterator

import pytest
from skbpool.client import (
    AlreadyExists,
    Client,
    FailedPrecondition,
    NotFound,
    RequestOutOfRange,
    ResourceExhausted,
    ServerUnavailable,
)
from skbpool.v1 import pool_pb2, watch_pb2
from skbpool_processes import Daemon, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    flags = ("--buffers", "2048", "--set", "limits.max_watchers=2")
    with Daemon(tmp_path_factory.mktemp("daemon"), *flags) as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.address) as connected:
        yield connected


def kind(event: watch_pb2.PoolEvent) -> str:
    return watch_pb2.PoolEventKind.Name(event.kind).removeprefix("POOL_EVENT_KIND_").lower()


def test_pools_are_made_watched_and_closed(client: Client) -> None:
    with client.watch_pools() as watch, client.session() as session:
        made = client.create_pool("p", 8, watermarks=(0, 8), huge_pages="try")
        assert (made.watermarks.low, made.watermarks.high) == (0, 8)
        none = client.create_pool("none", 8, watermarks=(0, 0))
        assert (none.watermarks.low, none.watermarks.high) == (0, 0)
        held = session.allocate(2, pool="p")
        closed = client.close_pool("p")
        assert (closed.state, closed.in_flight) == (pool_pb2.POOL_STATE_ORPHANED, 2)
        with pytest.raises(FailedPrecondition, match="was closed"):
            session.allocate(1, pool="p")
        session.release(held)
        assert client.close_pool("none").state == pool_pb2.POOL_STATE_CLOSED
        seen = [next(watch) for _ in range(5)]
        assert sorted((kind(event), event.pool) for event in seen) == [
            ("created", "none"),
            ("created", "p"),
            ("gone", "none"),
            ("gone", "p"),
            ("orphaned", "p"),
        ]
        assert watch.missed == 0
    assert [pool.name for pool in client.pools()] == ["default"]


def test_what_cannot_be_is_refused(client: Client) -> None:
    with pytest.raises(AlreadyExists):
        client.create_pool("default", 1)
    with pytest.raises(RequestOutOfRange):
        client.create_pool("p", 8, watermarks=(5, 4))
    with pytest.raises(NotFound):
        client.close_pool("p")
    with pytest.raises(FailedPrecondition):
        client.close_pool("default")
    with (
        client.watch_pools(),
        client.watch_pools(),
        pytest.raises(ResourceExhausted, match="max_watchers = 2"),
    ):
        client.watch_pools()


def test_closing_ends_a_watch_that_waits(client: Client) -> None:
    with client.watch_pools() as watch:
        threading.Timer(0.1, watch.close).start()
        assert list(watch) == []


def test_the_command_makes_lists_and_closes_pools(daemon: Daemon, client: Client) -> None:
    marks = ("--low", "2", "--high", "4")
    made = daemon.run("pool", "create", "p", "--buffers", "8", "--order", "1", *marks, "--json")
    pool = {
        "name": "p",
        "buffers": 8,
        "buffer_bytes": 8192,
        "order": 1,
        "state": "open",
        "low_watermark": 2,
        "high_watermark": 4,
        "is_low": False,
        "in_flight": 0,
        "is_huge": False,
        "closed_at": None,
    }
    assert made.json == pool
    listed = daemon.run("pool", "list", "--json").json["pools"]
    assert [each["name"] for each in listed] == ["default", "p"]
    assert listed[1] == pool
    with client.session() as session:
        session.allocate(7, pool="p")
        closed = daemon.run("pool", "close", "p")
        assert (closed.code, closed.stdout) == (
            0,
            "pool p is closed, and orphaned: 7 buffers in flight\n",
        )
        table = daemon.run("pool", "list").stdout
        assert "orphaned, low for " in table
        again = daemon.run("pool", "close", "p", "--json").json
        assert (again["state"], again["in_flight"], again["closed_at"] > 0) == ("orphaned", 7, True)
    wait_until(lambda: len(client.pools()) == 1, client.pools)
    half = daemon.run("pool", "create", "p", "--buffers", "8", "--low", "1")
    assert (half.code, "--high" in half.stderr) == (2, True)
    refused = daemon.run("pool", "close", "default")
    assert (refused.code, "lasts as long as the daemon" in refused.stderr) == (5, True)


def test_the_command_watches_until_it_is_interrupted(daemon: Daemon, client: Client) -> None:
    with daemon.start("watch", "--json") as lines, daemon.start("watch") as people:
        for watch in (lines, people):
            watch.stderr.wait_for("watching")
        client.create_pool("p", 8)
        client.close_pool("p")
        for watch in (lines, people):
            watch.stdout.wait_for("gone")
            watch.signal(signal.SIGINT)
        ended = lines.finish()
        assert ended.code == 0
        created, gone = map(json.loads, ended.stdout.splitlines())
        assert (created["event"], gone["event"]) == ("created", "gone")
        assert created.keys() == {"time", "event", "pool", "in_flight", "holder", "missed"}
        told = people.finish()
        assert (told.code, "created          p  0 in flight" in told.stdout) == (0, True)


def test_a_watch_ends_with_the_daemon(tmp_path) -> None:
    with (
        Daemon(tmp_path, "--buffers", "2048") as daemon,
        Client(daemon.address) as client,
        client.watch_pools() as watch,
        daemon.start("watch") as command,
    ):
        command.stderr.wait_for("watching")
        daemon.signal(signal.SIGTERM)
        with pytest.raises(ServerUnavailable, match="stopping"):
            next(watch)
        assert command.finish().code == 4
