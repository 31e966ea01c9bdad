"""Client.ingest as a sender, and real daemons that are cut off, stopped and killed."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import skbpool
from line import Line
from skbpool.client import (
    Cancelled,
    Client,
    DeadlineExceeded,
    Frame,
    IngestResult,
    RequestOutOfRange,
    Sender,
    ServerUnavailable,
    Subscription,
)
from skbpool_processes import Daemon, wait_until

pytestmark = pytest.mark.e2e

SIZE = 64
CREDIT = 1 << 20


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with serve(tmp_path) as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.address) as connected:
        yield connected


def serve(folder: Path) -> Daemon:
    return Daemon(
        folder,
        *("--buffers", "16384"),
        *("--set", f"limits.ingest_credit_bytes={CREDIT}"),
        *("--set", "limits.max_frame_bytes=2000"),
    )


def numbered(first: int, count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") * (SIZE // 4) for number in range(first, first + count)]


def take(subscription: Subscription, count: int) -> list[int]:
    """Return the numbers of the next `count` frames."""
    found: list[int] = []
    for batch in subscription:
        found += [int.from_bytes(bytes(skb)[:4], "big") for skb in batch]
        if len(found) >= count:
            break
    assert subscription.missed == {}
    return found


def complete(result: IngestResult, frames: int) -> None:
    """Everything was handled, once."""
    assert (result.given, result.sent, result.acknowledged) == (frames, frames, frames)
    assert (result.accepted, result.waiting, result.lost) == (frames, 0, 0)
    assert (result.maybe_twice, result.restarts, result.dropped) == (0, 0, {})


def test_what_is_given_in_any_form_arrives(client: Client) -> None:
    pool = skbpool.Pool(8)

    def skb(data: bytes) -> skbpool.Skb:
        buffer = pool.alloc()
        memoryview(buffer)[: len(data)] = data
        return buffer.into_skb(0, len(data))

    with client.subscribe("tap") as tap, client.ingest(driver="forms") as sender:
        one = skb(b"an skb")
        batch = skbpool.SkbBatch([skb(b"of a batch"), skb(b"too")])
        sender.send(b"bytes")
        sender.send(memoryview(b"a view"))
        sender.send(Frame(b"told", 1_700_000_000_000_000_000))
        sender.send(one)
        sender.send(batch)
        sender.send([b"a list", Frame(b"of all", 5), one])
        sender.send(bytes([number]) for number in range(3))
        result = sender.flush()
        complete(result, 12)
        found: list[bytes] = []
        for received in tap:
            found += map(bytes, received)
            if len(found) == 12:
                break
        assert [each.name for each in client.statistics().drivers] == ["forms"]
    assert found == [
        *(b"bytes", b"a view", b"told", b"an skb", b"of a batch", b"too", b"a list", b"of all"),
        *(b"an skb", b"\0", b"\1", b"\2"),
    ]
    assert (len(batch), bytes(one)) == (2, b"an skb")
    complete(sender.close(), 12)
    with pytest.raises(ValueError, match="closed"):
        sender.send(b"late")


def test_what_a_consumer_misses_is_told(client: Client) -> None:
    with client.subscribe("tap", quota=16) as tap:
        with client.ingest() as sender:
            sender.send([bytes(60)] * 100_000)
        (consumer,) = client.statistics().consumers
        assert consumer.name == "tap"
        told = {reason: counts["frames"] for reason, counts in sender.result.missed.items()}
        assert sum(told.values()) == sum(drop.frames for drop in consumer.drops) > 0
        tap.close()
    assert (sender.result.accepted, sender.result.dropped) == (100_000, {})


def test_frames_wait_for_company_for_the_linger_and_no_longer(client: Client) -> None:
    with client.ingest(linger=3600) as patient:
        patient.send(numbered(0, 10))
        assert (patient.result.sent, patient.result.waiting) == (0, 10)
        assert patient.flush().acknowledged == 10
    with client.ingest(linger=0.01) as quick:
        quick.send(b"alone")
        wait_until(lambda: quick.result.acknowledged == 1, "it lingers on")


@pytest.mark.parametrize("endless", [float("inf"), 1e300])
def test_a_sender_may_wait_for_ever(client: Client, endless: float) -> None:
    with client.ingest(linger=endless, deadline=endless) as sender:
        sender.send(numbered(0, 10))
        assert sender.flush().acknowledged == 10
        sender.send(numbered(10, 10))
    complete(sender.result, 20)


def test_messages_are_full_when_there_is_more_than_one(client: Client) -> None:
    frames = [bytes(1500)] * 4000
    with client.ingest(linger=3600) as sender:
        sender.send(frames)
        wait_until(lambda: sender.result.acknowledged > 0, "nothing leaves before the linger")
        # What does not fill a message stays.
        assert sender.result.waiting > 0
    complete(sender.result, 4000)


def test_a_lost_connection_costs_nothing_and_doubles_nothing(
    daemon: Daemon, client: Client, tmp_path: Path
) -> None:
    with (
        Line(tmp_path / "line.sock", daemon.address) as line,
        client.subscribe("tap", quota=8000) as tap,
        Client(line.address) as far,
        far.ingest(driver="cut", linger=0) as sender,
    ):
        for number in range(0, 5000, 50):
            is_cut = number % 1000 == 500
            if is_cut:
                wait_until(lambda: sender.result.acknowledged == number, "it does not resume")  # noqa: B023
            sender.send(numbered(number, 50))
            if is_cut:
                line.cut()
        result = sender.close()
        complete(result, 5000)
        assert result.reconnections == 5
        assert take(tap, 5000) == list(range(5000))


def test_a_lost_acknowledgement_costs_nothing_and_doubles_nothing(
    daemon: Daemon, client: Client, tmp_path: Path
) -> None:
    with (
        Line(tmp_path / "line.sock", daemon.address) as line,
        client.subscribe("tap", quota=8000) as tap,
        Client(line.address) as far,
        far.ingest(driver="muted", linger=0) as sender,
    ):
        sender.send(numbered(0, 10))
        sender.flush()
        line.muted = True
        sender.send(numbered(10, 30))
        wait_until(
            lambda: [each.frames for each in client.statistics().drivers] == [40],
            "the daemon does not get it",
        )
        assert sender.result.acknowledged == 10
        line.cut()
        line.muted = False
        sender.send(numbered(40, 10))
        complete(sender.close(), 50)
        assert sender.result.reconnections == 1
        assert take(tap, 50) == list(range(50))


def stopped_with_frames_on_their_way(daemon: Daemon, sender: Sender) -> IngestResult:
    """Stop the daemon and have the sender send to it; return how things stand."""
    sender.send(numbered(0, 100))
    assert sender.flush().acknowledged == 100
    daemon.signal(signal.SIGSTOP)
    sender.send(numbered(100, 50))
    wait_until(lambda: sender.result.sent == 150, "nothing is sent")
    return sender.result


@pytest.mark.parametrize("resend", [True, False])
def test_a_killed_daemon_leaves_frames_in_doubt_which_is_told(
    tmp_path: Path, *, resend: bool
) -> None:
    with serve(tmp_path) as first, Client(first.address) as client:
        sender = client.ingest(driver="probe", resend=resend)
        stands = stopped_with_frames_on_their_way(first, sender)
        assert (stands.acknowledged, stands.waiting) == (100, 50)
        first.signal(signal.SIGKILL)
        first.process.wait()
        sender.send(numbered(150, 25))
        with serve(tmp_path) as second:
            result = sender.close()
            accepted = second.client.statistics()
            assert sum(drop.frames for drop in accepted.drops) == 0
    assert (result.given, result.restarts, result.reconnections) == (175, 1, 1)
    assert result.waiting == 0
    if resend:
        assert (result.acknowledged, result.lost, result.maybe_twice) == (175, 0, 50)
        assert result.accepted == 175
    else:
        assert (result.acknowledged, result.lost, result.maybe_twice) == (125, 50, 0)
        assert result.accepted == 125


@pytest.mark.parametrize("resend", [True, False])
def test_a_daemon_that_stops_in_mid_stream_leaves_no_doubt(tmp_path: Path, *, resend: bool) -> None:
    with serve(tmp_path) as first, Client(first.address) as client:
        sender = client.ingest(driver="probe", resend=resend, linger=0)
        done = threading.Event()

        def send() -> None:
            while not done.is_set():
                sender.send(numbered(0, 50))

        sending = threading.Thread(target=send)
        sending.start()
        try:
            wait_until(lambda: sender.result.acknowledged > 1000, "nothing arrives")
            first.signal(signal.SIGTERM)
            assert first.process.wait(45) == 0
            with serve(tmp_path):
                wait_until(lambda: sender.result.restarts == 1, "it does not go on")
                done.set()
                sending.join()
                result = sender.close()
        finally:
            done.set()
            sender.abort()
            sending.join()
    assert (result.lost, result.maybe_twice, result.restarts) == (0, 0, 1)
    assert (result.acknowledged, result.accepted) == (result.given, result.given)


def test_without_a_daemon_the_sender_gives_up_at_its_deadline(tmp_path: Path) -> None:
    with serve(tmp_path) as daemon, Client(daemon.address) as client:
        sender = client.ingest(deadline=0.3)
        sender.send(numbered(0, 10))
        sender.flush()
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        sender.send(numbered(10, 5))
        with pytest.raises(ServerUnavailable):
            sender.close()
        result = sender.close()
    assert (result.given, result.acknowledged, result.lost) == (15, 10, 5)
    with pytest.raises(ServerUnavailable):
        sender.send(b"more")


def test_a_daemon_that_stands_still_beyond_the_deadline(daemon: Daemon, client: Client) -> None:
    sender = client.ingest(deadline=0.3)
    stands = stopped_with_frames_on_their_way(daemon, sender)
    with pytest.raises(DeadlineExceeded, match="50 frames wait"):
        sender.flush()
    daemon.signal(signal.SIGCONT)
    result = sender.abort()
    assert (result.acknowledged, result.lost) == (stands.acknowledged, 50)


def test_a_daemon_that_stands_still_for_less_costs_nothing(daemon: Daemon, client: Client) -> None:
    with client.ingest() as sender:
        stopped_with_frames_on_their_way(daemon, sender)
        daemon.signal(signal.SIGCONT)
    complete(sender.result, 150)
    assert sender.result.reconnections == 0


def test_a_slow_daemon_holds_the_client_back_and_memory_is_bounded(
    daemon: Daemon, client: Client
) -> None:
    most = 6 << 20
    frame = bytes(1500)
    with client.ingest(max_buffered_bytes=most) as sender:
        daemon.signal(signal.SIGSTOP)
        feeder = threading.Thread(target=sender.send, args=([frame] * 10_000,))
        feeder.start()
        room = most - 2 * client.message_bytes
        wait_until(lambda: sender.result.given * 1500 >= room, "it does not fill its room")
        stands = sender.result
        assert stands.sent * 1500 <= CREDIT + client.message_bytes
        assert stands.given * 1500 <= most + client.message_bytes
        daemon.signal(signal.SIGCONT)
        feeder.join()
    complete(sender.result, 10_000)


def test_a_frame_that_the_daemon_refuses_ends_the_sender(client: Client) -> None:
    sender = client.ingest()
    sender.send(numbered(0, 10))
    sender.flush()
    sender.send([bytes(2001)])
    with pytest.raises(RequestOutOfRange, match="2000"):
        sender.close()
    assert (sender.result.acknowledged, sender.result.lost) == (10, 1)


def test_a_frame_that_no_message_holds_costs_no_other(client: Client) -> None:
    with client.ingest() as sender:
        with pytest.raises(skbpool.FrameTooLarge) as caught:
            sender.send([b"one", b"two", bytes(262_145), b"three"])
        assert caught.value.index == 2
    complete(sender.result, 2)


def test_an_error_in_the_body_ends_the_stream_at_once(client: Client) -> None:
    def broken() -> Iterator[bytes]:
        yield b"never sent"
        raise RuntimeError("the source broke")

    sender = client.ingest(linger=3600)
    sender.send(b"never sent")
    with pytest.raises(RuntimeError, match="the source broke"), sender:
        sender.send(broken())
    assert (sender.result.given, sender.result.sent, sender.result.lost) == (1, 0, 1)
    with pytest.raises(Cancelled):
        sender.flush()
    wait_until(lambda: not client.statistics().drivers, "the driver is still there")


def test_a_closed_client_ends_its_senders(daemon: Daemon) -> None:
    client = Client(daemon.address)
    sender = client.ingest(linger=3600)
    sender.send(b"waits")
    client.close()
    with pytest.raises(Cancelled):
        sender.close()
    assert sender.result.lost == 1
    with pytest.raises(ServerUnavailable), Client("unix:/nowhere/skbpool.sock") as other:
        other.ingest()
