"""LeaseService: what can be done with handles, and what cannot."""

from collections.abc import Iterator

import grpc
import pytest
from batches import frames_of
from daemon_support import Stubs, eventually, refusal
from lease_support import BUFFER, Lease
from skbpool.v1 import frame_pb2, server_pb2

Code = grpc.StatusCode


@pytest.fixture
def lease(stubs: Stubs) -> Iterator[Lease]:
    lease = Lease(stubs)
    yield lease
    lease.stream.cancel()


def test_a_buffer_is_written_read_and_let_go(lease: Lease, stubs: Stubs) -> None:
    one, two = lease.allocate(2)
    lease.write((one, 0, b"hello"), (two, BUFFER - 3, b"end"), (one, 5, b" there"))
    assert lease.read((one, 0, 11), (two, BUFFER - 3, 0)) == [b"hello there", b"end"]
    assert stubs.statistics().in_flight == 2
    assert lease.release(one, two) == 2
    assert stubs.statistics().in_flight == 0


def test_skbs_share_one_buffer_until_the_last_is_gone(lease: Lease, stubs: Stubs) -> None:
    (buffer,) = lease.allocate(1)
    lease.write((buffer, 0, b"aabbcc"))
    first, second, third = lease.make((buffer, 4, 2), (buffer, 0, 2), (buffer, 2, 2))
    assert lease.read((first, 0, 0), (second, 0, 0), (third, 1, 1)) == [b"cc", b"aa", b"b"]
    assert refusal(lambda: lease.read((buffer, 0, 1)))[0] == Code.NOT_FOUND
    lease.release(second, first)
    assert stubs.statistics().in_flight == 1
    lease.release(third)
    assert stubs.statistics().in_flight == 0


def test_delivered_skbs_reach_a_subscriber_with_what_was_said_of_them(
    lease: Lease, stubs: Stubs
) -> None:
    stream = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap"))
    stream.initial_metadata()
    buffers = lease.allocate(2)
    lease.write((buffers[0], 100, b"one!two!"), (buffers[1], 0, b"three"))
    skbs = lease.make(
        (buffers[0], 100, 4),
        (buffers[1], 0, 5),
        (buffers[0], 104, 4),
        timestamp_ns=1_700_000_000_000_000_123,
        original_length=1500,
        interface=7,
    )
    answer = lease.deliver(skbs)
    assert (answer.delivered, answer.unclaimed, len(answer.dropped)) == (3, 0, 0)
    frames: list[bytes] = []
    while len(frames) < 3:
        batch = next(stream).batch
        frames += frames_of(batch)
        assert (batch.link_type, batch.interface) == (1, 7)
        assert set(batch.original_length) == {1500}
        assert batch.base_time_ns == 1_700_000_000_000_000_123
        assert not any(batch.time_offset_ns)
    assert frames == [b"one!", b"three", b"two!"]
    assert refusal(lambda: lease.deliver(skbs[:1]))[0] == Code.NOT_FOUND
    stream.cancel()
    eventually(lambda: stubs.statistics().in_flight, lambda in_flight: in_flight == 0)


def test_delivered_to_nobody_is_unclaimed(lease: Lease, stubs: Stubs) -> None:
    (buffer,) = lease.allocate(1)
    answer = lease.deliver(lease.make((buffer, 0, 60)))
    assert (answer.delivered, answer.unclaimed) == (0, 1)
    assert stubs.statistics().in_flight == 0


def test_what_a_consumer_misses_is_told_by_reason(lease: Lease, stubs: Stubs) -> None:
    subscribe = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="slow", quota=1))
    subscribe.initial_metadata()
    (buffer,) = lease.allocate(1)
    skbs = lease.make(*((buffer, 64 * at, 64) for at in range(8)))
    answer = lease.deliver(skbs)
    missed = sum(drop.frames for drop in answer.dropped)
    # It may take one and make room while the rest is offered.
    assert answer.delivered + missed == 8
    assert answer.delivered >= 1
    assert missed >= 1
    told = 0
    while told < missed:
        told += sum(drop.frames for drop in next(subscribe).missed)
    assert told == missed
    subscribe.cancel()


def test_allocation_is_all_or_nothing(start) -> None:
    _, stubs = start(limits={"max_handles_per_session": 10_000})
    lease = Lease(stubs)
    code, text = refusal(lambda: lease.allocate(8193))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "8192" in text
    assert stubs.statistics().in_flight == 0
    lease.allocate(8192)
    assert refusal(lambda: lease.allocate(1))[0] == Code.RESOURCE_EXHAUSTED
    assert stubs.statistics().in_flight == 8192


def test_what_is_promised_to_others_is_not_lent_nor_the_other_way_round(start) -> None:
    _, stubs = start(limits={"max_handles_per_session": 10_000})
    tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap"))
    tap.initial_metadata()
    promised = stubs.statistics().reserved
    assert promised >= 256
    lease = Lease(stubs)
    code, text = refusal(lambda: lease.allocate(8192 - promised + 1))
    assert code == Code.RESOURCE_EXHAUSTED
    assert f"of 8192 buffers of the pool {promised} are promised" in text
    assert (stubs.statistics().in_flight, stubs.statistics().reserved) == (0, promised)
    buffers = lease.allocate(8192 - promised)
    late = frame_pb2.SubscribeRequest(name="late")
    assert refusal(lambda: stubs.frame.Subscribe(late))[0] == Code.RESOURCE_EXHAUSTED
    one, two = lease.make((buffers[0], 0, 1), (buffers[0], 1, 1))
    assert lease.release(one) == 1
    assert stubs.statistics().reserved == 8192  # another view of it is lent
    assert lease.deliver([two]).delivered == 1
    assert stubs.statistics().reserved == 8191
    lease.release(*buffers[1:])
    assert stubs.statistics().reserved == promised
    lease.stream.cancel()
    tap.cancel()


def test_a_session_that_comes_while_the_daemon_stops_is_told(daemon, stubs: Stubs) -> None:
    daemon._leases.stop()
    code, text = refusal(lambda: Lease(stubs))
    assert (code, "stopping" in text) == (Code.UNAVAILABLE, True)


def test_a_lent_buffer_holds_nothing_of_who_had_it_before(start) -> None:
    _, stubs = start(pool={"buffers": 256}, limits={"default_quota": 16})
    lease = Lease(stubs)
    buffers = lease.allocate(256)
    lease.write(*((buffer, 0, b"canary" * 600) for buffer in buffers))
    lease.release(*buffers)
    other = Lease(stubs)
    again = other.allocate(256)
    assert set(other.read(*((buffer, 0, 0) for buffer in again))) == {bytes(BUFFER)}
    lease.stream.cancel()
    other.stream.cancel()


def test_handles_are_limited(start) -> None:
    _, stubs = start(limits={"max_handles_per_session": 4})
    lease = Lease(stubs)
    code, text = refusal(lambda: lease.allocate(5))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "limits.max_handles_per_session = 4" in text
    (buffer,) = lease.allocate(1)
    views = [(buffer, at, 1) for at in range(5)]
    assert refusal(lambda: lease.make(*views))[0] == Code.RESOURCE_EXHAUSTED
    assert len(lease.make(*views[:4])) == 4  # the buffer's own handle was used up
    lease.stream.cancel()


def test_handles_of_others_are_not_found(lease: Lease, stubs: Stubs) -> None:
    other = Lease(stubs)
    (theirs,) = other.allocate(1)
    (mine,) = lease.allocate(1)
    for call in (
        lambda: lease.write((mine, 0, b"x"), (theirs, 0, b"x")),
        lambda: lease.read((theirs, 0, 1)),
        lambda: lease.make((mine, 0, 1), (theirs, 0, 1)),
        lambda: lease.deliver([theirs]),
        lambda: lease.release(mine, theirs),
        lambda: lease.release(12345),
    ):
        assert refusal(call)[0] == Code.NOT_FOUND
    assert lease.read((mine, 0, 1)) == other.read((theirs, 0, 1)) == [b"\0"]  # nothing happened
    assert lease.release(mine) == 1
    assert refusal(lambda: lease.release(mine))[0] == Code.NOT_FOUND  # stale
    other.stream.cancel()


def test_a_handle_is_never_used_again(lease: Lease) -> None:
    seen: set[int] = set()
    for _ in range(20):
        handles = lease.allocate(16)
        assert not seen & set(handles)
        seen |= set(handles)
        lease.release(*handles)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, BUFFER + 1), (BUFFER, 1), ((1 << 32) - 1, (1 << 32) - 1)]
)
def test_views_and_ranges_end_inside_their_buffer(
    lease: Lease, stubs: Stubs, offset: int, length: int
) -> None:
    (buffer,) = lease.allocate(1)
    assert refusal(lambda: lease.make((buffer, offset, length)))[0] == Code.OUT_OF_RANGE
    assert refusal(lambda: lease.read((buffer, offset, length)))[0] == Code.OUT_OF_RANGE
    data = bytes(min(length, BUFFER + 1))
    assert refusal(lambda: lease.write((buffer, offset, data)))[0] == Code.OUT_OF_RANGE
    assert lease.release(buffer) == 1


def test_empty_views_and_ranges_are_fine(lease: Lease) -> None:
    (buffer,) = lease.allocate(1)
    assert lease.read((buffer, BUFFER, 0)) == [b""]
    one, two = lease.make((buffer, 10, 0), (buffer, 10, 0))
    assert lease.read((one, 0, 0), (two, 0, 0)) == [b"", b""]


def test_a_failed_write_writes_nothing(lease: Lease) -> None:
    (buffer,) = lease.allocate(1)
    code, _ = refusal(lambda: lease.write((buffer, 0, b"x"), (buffer, BUFFER, b"y")))
    assert code == Code.OUT_OF_RANGE
    assert lease.read((buffer, 0, 1)) == [b"\0"]


def test_requests_that_contradict_themselves_change_nothing(lease: Lease, stubs: Stubs) -> None:
    one, two = lease.allocate(2)
    (skb,) = lease.make((two, 0, 10))
    for call in (
        lambda: lease.allocate(0),
        lambda: lease.make((one, 0, 10), (one, 5, 10)),  # overlap
        lambda: lease.make((skb, 0, 1)),  # an skb where a buffer is needed
        lambda: lease.write((skb, 0, b"x")),
        lambda: lease.deliver([one]),  # a buffer where an skb is needed
        lambda: lease.deliver([skb, skb]),
        lambda: lease.release(skb, skb),
        lambda: lease.make((one, 0, 10), original_length=9),
    ):
        assert refusal(call)[0] == Code.INVALID_ARGUMENT
    for call in (
        lambda: lease.make((one, 0, 10), link_type=65_536),
        lambda: lease.make((one, 0, 10), interface=65_536),
    ):
        assert refusal(call)[0] == Code.OUT_OF_RANGE
    assert lease.release(one, skb) == 2
    assert stubs.statistics().in_flight == 0


def test_reads_together_fit_a_message(start) -> None:
    _, stubs = start(limits={"max_message_bytes": 8192, "max_frame_bytes": 1024})
    lease = Lease(stubs)
    (buffer,) = lease.allocate(1)
    assert len(lease.read((buffer, 0, 0))[0]) == BUFFER
    code, text = refusal(lambda: lease.read(*[(buffer, 0, 0)] * 3))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "limits.max_message_bytes = 8192" in text
    lease.stream.cancel()


def test_the_end_of_a_session_brings_everything_home(stubs: Stubs) -> None:
    lease = Lease(stubs, "short")
    assert lease.opened.name == "short"
    one, *_ = lease.allocate(5)
    lease.make((one, 0, 10), (one, 10, 10))
    assert stubs.statistics().in_flight == 5
    lease.stream.cancel()
    stubs.await_home()
    assert refusal(lambda: lease.allocate(1))[0] == Code.NOT_FOUND
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    assert list(answer.holders) == []


def test_a_lost_connection_ends_its_session(daemon, stubs: Stubs) -> None:
    with Stubs(daemon.addresses[0]) as other:
        lease = Lease(other)
        lease.allocate(7)
        assert stubs.statistics().in_flight == 7
    stubs.await_home()


def test_sessions_are_limited_and_an_ended_one_makes_room(stubs: Stubs) -> None:
    open_ones = [Lease(stubs) for _ in range(4)]
    code, text = refusal(lambda: Lease(stubs))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "limits.max_sessions = 4" in text
    open_ones.pop().stream.cancel()

    def opens() -> bool:
        try:
            open_ones.append(Lease(stubs))
        except grpc.RpcError:
            return False
        return True

    eventually(opens)
    for lease in open_ones:
        lease.stream.cancel()


@pytest.mark.parametrize("name", ["with space", "new\nline", "n" * 64, "ä"])
def test_a_name_that_cannot_stand_in_a_table_is_refused(stubs: Stubs, name: str) -> None:
    assert refusal(lambda: Lease(stubs, name))[0] == Code.INVALID_ARGUMENT
