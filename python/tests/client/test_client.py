"""The client and a real daemon."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import skbpool
from skbpool.client import (
    AlreadyExists,
    Client,
    Frame,
    InvalidRequest,
    NotFound,
    RequestOutOfRange,
    ResourceExhausted,
    ServerUnavailable,
    Session,
    Subscription,
)
from skbpool.client.session import View
from skbpool.v1 import frame_batch_pb2, frame_pb2, pool_pb2
from skbpool_processes import Daemon, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), "--buffers", "16384") as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.address) as connected:
        yield connected


def in_flight(client: Client) -> int:
    return client.pool_statistics("default").in_flight


def take(subscription: Subscription, count: int) -> list[tuple[bytes, int, int, int]]:
    """Return what is known of the next `count` frames."""
    found: list[tuple[bytes, int, int, int]] = []
    for batch in subscription:
        found += [
            (bytes(skb), skb.timestamp_ns, skb.original_length, skb.link_type) for skb in batch
        ]
        if len(found) >= count:
            break
    return found


def test_the_daemon_introduces_itself(client: Client) -> None:
    info = client.server_info()
    assert info.api_version == "v1"
    assert info.version
    assert client.limits.max_frame_bytes == 262_144
    assert client.message_bytes == 1 << 20


def test_pools_are_made_listed_and_looked_into(client: Client) -> None:
    made = client.create_pool("extra", 64, order=1)
    assert (made.name, made.buffers, made.buffer_bytes) == ("extra", 64, 8192)
    assert [pool.name for pool in client.pools()] == ["default", "extra"]
    statistics = client.pool_statistics("extra")
    assert statistics.free == 64
    assert statistics.pool.state == pool_pb2.POOL_STATE_OPEN
    assert [pool.pool.name for pool in client.statistics().pools] == ["default", "extra"]
    with pytest.raises(AlreadyExists, match="extra"):
        client.create_pool("extra", 64)
    with pytest.raises(NotFound, match="nobody"):
        client.pool_statistics("nobody")
    with pytest.raises(RequestOutOfRange):
        client.create_pool("none", 0)


def test_frames_come_out_as_they_went_in(client: Client) -> None:
    frames = [
        Frame(
            bytes([number]) * (number * 37 % 9000), 1_700_000_000_000_000_000 + number, link_type=1
        )
        for number in range(200)
    ]
    frames.append(Frame(b"cut short", 1, original_length=1500, link_type=101))
    frames.append(Frame(memoryview(bytearray(262_144)), 2))
    frames.append(Frame(b"", 3))
    with client.subscribe("tap") as tap:
        done = client.ingest(frames, driver="file")
        assert (done.accepted, done.unclaimed, done.dropped) == (len(frames), 0, {})
        found = take(tap, len(frames))
        assert tap.missed == {}
    assert found == [
        (
            bytes(frame.data),
            frame.timestamp_ns,
            frame.original_length or len(bytes(frame.data)),
            frame.link_type,
        )
        for frame in frames
    ]


def test_skbs_of_a_subscription_outlive_it(client: Client) -> None:
    with client.subscribe() as tap:
        client.ingest([b"kept" * 20])
        batch = next(iter(tap))
    (skb,) = batch
    assert bytes(skb) == b"kept" * 20
    skb.release()


def test_frames_nobody_wants_are_no_drops(client: Client) -> None:
    done = client.ingest([bytes(60)] * 10)
    assert (done.accepted, done.unclaimed, done.dropped) == (10, 10, {})


def test_a_subscription_tells_what_it_missed(client: Client) -> None:
    with client.subscribe("slow", quota=16) as tap:
        # Lands in bursts that are far larger than the quota.
        client.ingest([bytes(60)] * 5000)
        wait_until(lambda: not any(it.held for it in client.statistics().consumers), "it holds on")
        client.ingest([b"the end"])
        got = 0
        for batch in tap:
            got += len(batch)
            if any(bytes(skb) == b"the end" for skb in batch):
                break
        assert set(tap.missed) <= {"quota", "ring_full"}
        missed = sum(totals["frames"] for totals in tap.missed.values())
        assert missed > 0
        assert got + missed == 5001


def test_a_subscription_is_closed_by_another_thread(client: Client) -> None:
    with client.subscribe("waits") as tap:
        threading.Timer(0.0, tap.close).start()
        assert list(tap) == []


def test_a_batch_that_contradicts_itself_ends_the_stream_and_nothing_else(client: Client) -> None:
    good = frame_batch_pb2.FrameBatch(
        frames=bytes(120), length=[60, 60], base_time_ns=1, link_type=1, sequence=1
    )
    bad = frame_batch_pb2.FrameBatch(
        frames=bytes(120), length=[60, 61], base_time_ns=1, link_type=1, sequence=2
    )
    messages = [frame_pb2.IngestRequest(batch=batch).SerializeToString() for batch in (good, bad)]
    with pytest.raises(InvalidRequest):
        list(client.ingest_messages(messages))
    for done in client.ingest_messages(messages[:1]):
        last = done
    assert last.accepted == 2


def test_what_was_acknowledged_before_an_error_is_known(client: Client) -> None:
    def messages() -> Iterator[bytes]:
        batch = frame_batch_pb2.FrameBatch(
            frames=bytes(60), length=[60], base_time_ns=1, link_type=1, sequence=1
        )
        yield frame_pb2.IngestRequest(batch=batch).SerializeToString()
        raise RuntimeError("the source broke")

    acknowledged: list[int] = []
    stream = (done.accepted for done in client.ingest_messages(messages()))
    with pytest.raises(RuntimeError, match="the source broke"):
        acknowledged.extend(stream)
    assert acknowledged[-1] == 1


def test_a_frame_over_the_limit_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(skbpool.SkbpoolError, match="262144"):
        client.ingest([bytes(60), bytes(262_145)])


def test_a_quota_over_the_limit_is_refused(client: Client) -> None:
    # Every time: a refusal must not be taken for a subscription that ends.
    for _ in range(50):
        with pytest.raises(RequestOutOfRange, match="max_quota"):
            client.subscribe(quota=1 << 30)


def test_a_lease_goes_the_whole_way(client: Client) -> None:
    with client.session("lender") as session, client.subscribe("tap") as tap:
        assert session.name == "lender"
        first, second = session.allocate(2)
        assert session.buffer_bytes == 4096
        session.write(first, b"hello, world")
        session.write_all([(second, b"other", 100), (first, b"H", 0)])
        assert session.read(first, length=12) == b"Hello, world"
        skbs = session.make_skbs(
            [
                View(first, 5, timestamp_ns=7, original_length=50),
                View(first, 5, offset=7),
                View(second, 5, offset=100),
            ]
        )
        assert session.read(skbs[0]) == b"Hello"
        assert session.read(skbs[1], offset=1, length=3) == b"orl"
        delivered = session.deliver(skbs)
        assert (delivered.delivered, delivered.unclaimed, delivered.dropped) == (3, 0, {})
        found = take(tap, 3)
        assert [data for data, *_ in found] == [b"Hello", b"world", b"other"]
        assert found[0][1:] == (7, 50, 1)
        with pytest.raises(NotFound):
            session.read(skbs[0])  # its handle is used up
        (kept,) = session.allocate()
        assert session.release([kept]) == 1


def test_a_failed_lease_call_changes_nothing(client: Client) -> None:
    with client.session() as session:
        (buffer,) = session.allocate()
        with pytest.raises(RequestOutOfRange):
            session.write(buffer, bytes(4097))
        with pytest.raises(RequestOutOfRange):
            session.make_skb(buffer, 4097)
        with pytest.raises(ResourceExhausted):
            session.allocate(1 << 20)
        with client.session() as other, pytest.raises(NotFound):
            other.read(buffer)
        (skb,) = session.make_skb(buffer, 10)
        assert session.release([skb]) == 1


def test_the_end_of_a_session_brings_everything_home(client: Client) -> None:
    wait_until(lambda: in_flight(client) == 0, "buffers of earlier tests are not home")
    session = client.session("forgetful")
    buffers = session.allocate(100)
    session.make_skbs([View(buffer, 60) for buffer in buffers[:50]])
    assert in_flight(client) == 100
    session.close()
    wait_until(lambda: in_flight(client) == 0, "its buffers are not home")
    with pytest.raises(NotFound):
        session.allocate()


def test_closing_the_client_ends_its_sessions(daemon: Daemon, client: Client) -> None:
    other = Client(daemon.address)
    held: Session = other.session("gone")
    held.allocate(10)
    other.close()
    wait_until(lambda: in_flight(client) == 0, "its buffers are not home")


def test_a_stamp_reader_counts_what_has_no_stamp(client: Client) -> None:
    with client.stamp_reader(7) as reader:
        client.ingest([bytes(60)] * 5)
        wait_until(lambda: reader.report().foreign == 5, "the reader saw nothing")
        report = reader.report()
        assert (report.received, report.latency_count) == (0, 0)
    wait_until(lambda: not client.statistics().consumers, "the reader is still there")
    with pytest.raises(NotFound):
        reader.report()


def test_a_daemon_that_stops_tells_its_streams(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, Client(daemon.address) as client:
        with client.subscribe() as tap, client.session():
            daemon.process.terminate()
            assert list(tap) == []
        assert daemon.process.wait(45) == 0
        with pytest.raises(ServerUnavailable):
            client.server_info()
