"""What a sender remembers, moved by hand: no threads, no sockets, no clock but the test's."""

import itertools

import grpc
import pytest
from skbpool.client.details import RefusalDetails
from skbpool.client.errors import InvalidRequest, ServerUnavailable, ServiceError
from skbpool.client.outbox.outbox import Outbox
from skbpool.client.outbox.retry import LONGEST_DELAY, Backoff
from skbpool.client.outbox.settings import Settings
from skbpool.v1 import frame_pb2

LOST = ServerUnavailable("lost", grpc.StatusCode.UNAVAILABLE)
STOPPED = ServerUnavailable("stops", grpc.StatusCode.UNAVAILABLE, RefusalDetails("STOPPING"))
FIRST, SECOND = b"1" * 16, b"2" * 16
MESSAGE = 4096
INFINITE, NAN = float("inf"), float("nan")


def outbox(now: float = 0.0, **settings: float) -> Outbox:
    return Outbox(Settings(**settings), MESSAGE, "nowhere", now)  # type: ignore[arg-type]


def opened(
    box: Outbox,
    acked: int = 0,
    *,
    known: bool = False,
    instance: bytes = FIRST,
    beginning: int = 1,
    credit: int = 1 << 20,
    accepted: int = 0,
    now: float = 0.0,
) -> None:
    box.heard(frame_pb2.IngestResponse(credit=credit), now)  # the greeting
    assert box.next_request(now) is None
    response = frame_pb2.IngestResponse(acked_through=acked, credit=credit, accepted=accepted)
    response.resumption.CopyFrom(
        frame_pb2.IngestResumption(known=known, instance_id=instance, beginning=beginning)
    )
    box.heard(response, now)


def acked(box: Outbox, through: int, accepted: int = 0, now: float = 0.0) -> None:
    response = frame_pb2.IngestResponse(acked_through=through, credit=1 << 20, accepted=accepted)
    box.heard(response, now)


def give(box: Outbox, messages: int, now: float = 0.0) -> None:
    """Give frames that make so many messages of three, each flushed."""
    for _ in range(messages):
        assert box.take([bytes(100)] * 3, 0, 1, now) == 3
        box.flush()


def sent(box: Outbox, now: float = 0.0) -> list[int]:
    """Return the sequences of everything that may be sent."""
    found = []
    while (message := box.next_request(now)) is not None:
        found.append(frame_pb2.IngestRequest.FromString(message).batch.sequence)
    return found


def test_nothing_is_sent_before_the_daemon_has_told_what_it_knows() -> None:
    box = outbox()
    opening = frame_pb2.IngestRequest.FromString(box.opening())
    assert (len(opening.stream_id), opening.HasField("batch")) == (16, False)
    give(box, 2)
    assert sent(box) == []
    opened(box)
    assert sent(box) == [1, 2]
    acked(box, 2, accepted=6)
    assert (box.is_empty, box.result.acknowledged, box.result.accepted) == (True, 6, 6)


def test_no_more_is_sent_than_there_is_credit_for() -> None:
    box = outbox()
    give(box, 5)
    size = 330
    opened(box, credit=2 * size + 100)
    assert sent(box) == [1, 2]
    box.heard(frame_pb2.IngestResponse(acked_through=1, credit=3 * size + 100), 0)
    assert sent(box) == [3, 4]
    box.heard(frame_pb2.IngestResponse(acked_through=4, credit=1), 0)
    # Alone, a message always may.
    assert sent(box) == [5]


def test_what_was_not_handled_is_sent_again_and_nothing_else() -> None:
    box = outbox()
    give(box, 4)
    opened(box)
    assert sent(box) == [1, 2, 3, 4]
    acked(box, 1, accepted=3)
    assert box.broken(LOST) is not None
    assert sent(box) == []
    give(box, 1)
    # Its acknowledgements of two and three were lost.
    opened(box, 3, known=True, accepted=9)
    assert sent(box) == [4, 5]
    acked(box, 5, accepted=15)
    result = box.result
    assert (result.given, result.sent, result.acknowledged, result.accepted) == (15, 15, 15, 15)
    assert (result.maybe_twice, result.lost, result.reconnections) == (0, 0, 1)


@pytest.mark.parametrize("instance", [FIRST, SECOND])
def test_a_daemon_that_does_not_know_leaves_what_was_sent_in_doubt(instance: bytes) -> None:
    box = outbox()
    give(box, 3)
    opened(box)
    sent(box)
    acked(box, 1, accepted=3)
    give(box, 1)
    box.broken(LOST)
    opened(box, instance=instance)
    assert sent(box) == [2, 3, 4]
    acked(box, 4, accepted=9)
    result = box.result
    assert (result.sent, result.acknowledged, result.accepted) == (12, 12, 12)
    assert (result.maybe_twice, result.restarts) == (6, int(instance == SECOND))


@pytest.mark.parametrize("heard", [0, 1])
@pytest.mark.parametrize("resend", [True, False])
@pytest.mark.parametrize("instance", [FIRST, SECOND])
def test_what_an_unheard_opening_made_known_leaves_doubt(
    instance: bytes, resend: bool, heard: int
) -> None:
    box = outbox(resend=resend)
    give(box, heard)
    opened(box)
    sent(box)
    acked(box, heard, accepted=3 * heard)
    give(box, 1)
    last = heard + 1
    assert sent(box) == [last]
    box.broken(LOST)
    # A stream opens at a daemon that knows nothing, and its answer is lost.
    box.broken(LOST)
    opened(box, known=True, instance=instance, beginning=2)
    again = [last] if resend else []
    assert sent(box) == again
    if resend:
        box.broken(LOST)
        # This time the daemon goes on where it was, though it may have acknowledged more before.
        opened(box, known=True, instance=instance, beginning=2)
        assert sent(box) == again
        acked(box, last, accepted=3)
    result = box.result
    assert (result.maybe_twice, result.lost) == ((3, 0) if resend else (0, 3))
    assert result.restarts == int(instance == SECOND)
    assert result.accepted == result.acknowledged == 3 * heard + (3 if resend else 0)


def test_what_daemons_dropped_is_added_up() -> None:
    box = outbox()
    for instance, frames in ((FIRST, 2), (SECOND, 3)):
        give(box, 1)
        opened(box, instance=instance)
        sent(box)
        response = frame_pb2.IngestResponse(acked_through=100, accepted=1, unclaimed=1)
        response.dropped.add(reason=1, frames=frames, bytes=100 * frames)
        box.heard(response, 0)
        box.broken(LOST)
    result = box.result
    assert list(result.dropped.values()) == [{"frames": 5, "bytes": 500}]
    assert (result.accepted, result.unclaimed, result.acknowledged) == (2, 2, 6)


def test_what_consumers_missed_is_added_up_over_connections() -> None:
    box = outbox()
    for sequence, instance, known in ((1, FIRST, False), (2, FIRST, True), (3, SECOND, False)):
        give(box, 1)
        opened(box, sequence - 1 if known else 0, known=known, instance=instance)
        sent(box)
        for frames in (1, 2):  # of this connection so far
            response = frame_pb2.IngestResponse(acked_through=sequence, accepted=3)
            response.missed.add(reason=1, frames=frames, bytes=100 * frames)
            box.heard(response, 0)
        box.broken(LOST)
    result = box.result
    assert list(result.missed.values()) == [{"frames": 6, "bytes": 600}]
    assert (result.dropped, result.acknowledged) == ({}, 9)


def test_frames_in_doubt_are_counted_once_however_often_the_daemon_restarts() -> None:
    box = outbox()
    give(box, 2)
    opened(box)
    sent(box)
    for instance in (SECOND, b"3" * 16):
        box.broken(LOST)
        opened(box, instance=instance)
        assert sent(box) == [1, 2]
    assert (box.result.maybe_twice, box.result.restarts) == (6, 2)
    give(box, 1)
    sent(box)
    box.broken(LOST)
    opened(box, instance=b"4" * 16)
    assert box.result.maybe_twice == 9


def test_frames_in_doubt_are_given_up_where_that_is_wanted() -> None:
    box = outbox(resend=False)
    give(box, 3)
    opened(box)
    sent(box)
    give(box, 1)
    box.broken(LOST)
    opened(box, instance=SECOND)
    assert sent(box) == [4]
    acked(box, 4, accepted=3)
    result = box.result
    assert (result.given, result.lost, result.acknowledged, result.waiting) == (12, 9, 3, 0)


@pytest.mark.parametrize("resend", [True, False])
def test_a_daemon_that_told_its_end_accepted_nothing_that_it_did_not_acknowledge(
    resend: bool,
) -> None:
    box = outbox(resend=resend)
    give(box, 3)
    opened(box)
    assert sent(box) == [1, 2, 3]
    acked(box, 1, accepted=3)
    box.broken(STOPPED)
    opened(box, instance=SECOND)
    assert sent(box) == [2, 3]
    acked(box, 2, accepted=3)
    # Of the third the other daemon tells nothing.
    box.broken(LOST)
    opened(box, instance=b"3" * 16)
    assert sent(box) == ([3] if resend else [])
    assert (box.result.maybe_twice, box.result.lost) == ((3, 0) if resend else (0, 3))


def test_a_refused_opening_tells_nothing_of_the_stream_before() -> None:
    box = outbox()
    give(box, 2)
    opened(box)
    sent(box)
    box.broken(LOST)
    box.broken(STOPPED)
    opened(box, instance=SECOND)
    assert (sent(box), box.result.maybe_twice) == ([1, 2], 6)


def test_an_opening_that_the_client_never_heard_of_leaves_no_doubt() -> None:
    box = outbox()
    give(box, 1)
    box.broken(LOST)
    opened(box, known=True)
    assert sent(box) == [1]
    assert (box.result.maybe_twice, box.result.reconnections) == (0, 0)


def test_frames_linger_and_leave_sooner_when_a_message_is_full() -> None:
    box = outbox(linger=2)
    opened(box)
    assert box.due_in(0) is None
    box.take([b"one"], 0, 1, 10.0)
    box.take([b"two"], 0, 1, 11.0)
    assert (box.due_in(11.0), sent(box, 11.0)) == (1.0, [])
    assert sent(box, 12.0) == [1]
    at = 0
    frames = [bytes(1000)] * 5
    while at < len(frames):
        at = box.take(frames, at, 1, 13.0)
    assert sent(box, 13.0) == [2]
    assert box.due_in(13.0) == 2.0


def test_memory_is_bounded() -> None:
    box = outbox(max_buffered_bytes=3 * MESSAGE)
    frames = [bytes(1000)] * 100
    at = 0
    while at < len(frames) and box.has_room:
        at = box.take(frames, at, 1, 0.0)
    assert 8 <= at <= 13
    opened(box)
    sent(box)
    assert not box.has_room
    acked(box, 2)
    assert box.has_room


def test_patience_ends_when_nothing_moves_for_the_deadline() -> None:
    box = outbox(deadline=10)
    assert box.patience(1000.0) is None  # nothing waits
    opened(box, now=1000.0)
    give(box, 2, now=1000.0)
    sent(box, 1000.0)
    assert box.patience(1004.0) == 6.0
    acked(box, 1, now=1005.0)
    assert box.patience(1006.0) == 9.0
    assert box.patience(1015.0) == 0.0
    assert box.failure is not None
    assert box.failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    result = box.result
    assert (result.acknowledged, result.lost, result.waiting) == (3, 3, 0)


def test_what_was_wrong_last_is_told_at_the_deadline() -> None:
    box = outbox(deadline=10)
    give(box, 1)
    box.broken(LOST)
    assert box.patience(11.0) == 0.0
    assert box.failure is LOST


def test_a_failure_that_does_not_pass_ends_it() -> None:
    box = outbox()
    give(box, 1)
    opened(box)
    error = InvalidRequest("bad", grpc.StatusCode.INVALID_ARGUMENT)
    assert box.broken(error) is None
    assert (box.failure, box.is_done, box.result.lost) == (error, True, 3)


def test_a_limit_that_passes_is_tried_again_when_the_daemon_says() -> None:
    box = outbox()
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    full = ServiceError("full", code, RefusalDetails("LIMIT_MAX_INGEST_STREAMS", 5.0))
    assert box.broken(full) == 5.0
    assert box.broken(ServiceError("full", code)) is None


def test_delays_grow_to_a_limit_and_begin_anew() -> None:
    backoff = Backoff()
    delays = [backoff.next() for _ in range(12)]
    assert 0.025 <= delays[0] <= 0.05
    assert all(later > earlier / 2 for earlier, later in itertools.pairwise(delays))
    assert LONGEST_DELAY / 2 <= delays[-1] <= LONGEST_DELAY
    assert backoff.next(7.0) == 7.0
    backoff.reset()
    assert backoff.next() <= 0.05


@pytest.mark.parametrize("wrong", [{"linger": -1}, {"deadline": 0}, {"max_buffered_bytes": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="linger is 0 or more"):
        outbox(**wrong)


def test_what_is_no_number_is_refused_and_infinity_is_not() -> None:
    for wrong in ({"deadline": NAN}, {"linger": NAN}, {"deadline": 0}, {"linger": -1}):
        with pytest.raises(ValueError, match="deadline more than 0"):
            outbox(**wrong)
    box = outbox(deadline=INFINITE, linger=INFINITE)
    assert box.take([b"waits"], 0, 1, 0.0) == 1
    assert (box.due_in(1e9), box.patience(1e9)) == (INFINITE, INFINITE)
