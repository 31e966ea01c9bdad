"""Lease sessions of the client, and who holds what."""

import threading
from collections.abc import Iterator

import pytest
from skbpool.client import (
    Aborted,
    Client,
    FailedPrecondition,
    NotFound,
    RequestOutOfRange,
    ResourceExhausted,
)
from skbpool.client.session import View
from skbpool_processes import Daemon, wait_until

pytestmark = pytest.mark.e2e

BUFFERS = 2048


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), "--buffers", str(BUFFERS)) as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.address) as connected:
        yield connected
        wait_until(lambda: not connected.holders(), connected.holders)


def test_views_are_cloned_and_sliced(client: Client) -> None:
    with client.session("viewer") as session:
        (buffer,) = session.allocate()
        session.write(buffer, b"abcdef")
        (skb,) = session.make_skbs([View(buffer, 6)])
        (clone,) = session.clone([skb])
        part = session.slice(clone, 2, 3)
        assert session.read_all([(clone, 0, 0), (part, 0, 0), (skb, 5, 1)]) == [
            b"abcdef",
            b"cde",
            b"f",
        ]
        assert len(session.slice_all([(part, 0, 1), (part, 1, 2)])) == 2
        (holder,) = client.holders()
        assert (holder.name, holder.count) == ("viewer", 5)


def test_buffers_are_waited_for(client: Client) -> None:
    with client.session() as session, client.session() as other:
        held = other.allocate(BUFFERS)
        threading.Timer(0.1, other.release, [held[:2]]).start()
        assert len(session.allocate(2, timeout=30.0)) == 2
        with pytest.raises(RequestOutOfRange):
            session.allocate(timeout=3600.0)


def test_who_has_the_buffers_is_told(client: Client) -> None:
    with client.session() as session, client.session("greedy") as other:
        other.allocate(BUFFERS)
        for timeout in (0.0, 0.05):
            with pytest.raises(ResourceExhausted, match="greedy") as caught:
                session.allocate(timeout=timeout)
            details = caught.value.details
            assert (details.reason, details.retry_after) == ("POOL_EXHAUSTED", 0.1)
            assert details.exhaustion is not None
            assert [holder.name for holder in details.exhaustion.holders] == ["greedy"]
        with pytest.raises(NotFound) as missing:
            session.read(1)
        assert missing.value.details.reason == "UNKNOWN_HANDLE"


def test_a_revoked_session_says_so(client: Client) -> None:
    with client.session("leaky") as session, client.session() as other:
        buffers = session.allocate(10)
        (kept,) = other.allocate()
        done = client.revoke_session("leaky", reason="held for a week")
        assert (done.name, done.handles, done.bytes) == ("leaky", 10, 40_960)
        assert client.pool_statistics("default").in_flight == 1
        with pytest.raises(Aborted, match="revoked by an administrator: held for a week"):
            session.release(buffers)
        assert other.release([kept]) == 1
        with client.subscribe("tap"), pytest.raises(FailedPrecondition, match="never revoked"):
            client.revoke_session("tap")


def test_the_command_line_lists_and_revokes(daemon: Daemon, client: Client) -> None:
    with client.session("batch-job") as session, client.subscribe("tap"):
        session.allocate(3)
        listed = daemon.run("holder", "list", "--json").json["holders"]
        assert [(row["name"], row["kind"], row["count"], row["bytes"]) for row in listed] == [
            ("batch-job", "session", 3, 12_288),
            ("tap", "consumer", 0, 0),
        ]
        assert listed[0]["oldest_at_least"] == listed[0]["oldest_at_most"] > 0
        assert listed[1]["oldest_at_least"] is None
        (lease,) = daemon.run("lease", "list", "--json").json["holders"]
        assert lease["session"] == listed[0]["session"] > 0
        shown = daemon.run("holder", "list").stdout
        assert "12,288" in shown
        assert "tap" in shown
        assert "tap" not in daemon.run("lease", "list").stdout
        refused = daemon.run("holder", "revoke", "tap")
        assert (refused.code, "never revoked" in refused.stderr) == (5, True)
        number = str(lease["session"])
        revoke = ("holder", "revoke", "--session", number, "--reason", "over quota", "--json")
        assert daemon.run(*revoke).json == {
            "session": lease["session"],
            "name": "batch-job",
            "handles": 3,
            "bytes": 12_288,
        }
        assert daemon.run("lease", "list").stdout == "nobody holds anything\n"
    for line in ("holder revoke", "holder revoke --session x", "holder list extra"):
        assert daemon.run(*line.split()).code == 2
