"""Ingest streams that are resumed: by the wire, and what is kept of them meanwhile."""

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from batches import frames_of, numbered, request
from daemon_support import PATIENCE, Stubs, eventually, refusal
from driver import Driver
from relay import Relay
from skbpool.v1 import frame_pb2, server_pb2
from skbpool_service.config.model import Limits
from skbpool_service.refusal import Refusal
from skbpool_service.rpc.resumption import Resumptions

Code = grpc.StatusCode
ID = bytes(range(16))


class Resumable(Driver):
    """A stream with an identity; `opened` is what the daemon knew of it."""

    def __init__(self, stubs: Stubs, stream_id: bytes = ID, driver: str = "card"):
        super().__init__(stubs)
        self.opened = self.send(frame_pb2.IngestRequest(driver=driver, stream_id=stream_id))
        next(self.stream)  # its acknowledgement


def taken(tap: Any, count: int) -> list[bytes]:
    frames: list[bytes] = []
    while len(frames) < count:
        frames += frames_of(next(tap).batch)
    return frames


def drivers(stubs: Stubs) -> list[str]:
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest(), timeout=PATIENCE)
    return [driver.name for driver in answer.drivers]


def subscribe(stubs: Stubs) -> Any:
    tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap", quota=200), timeout=PATIENCE)
    tap.initial_metadata()
    return tap


def test_a_stream_goes_on_after_its_connection_was_lost(stubs: Stubs) -> None:
    tap = subscribe(stubs)
    frames = numbered(9)
    first = Resumable(stubs)
    assert not first.opened.resumption.known
    assert len(first.opened.resumption.instance_id) == 16
    assert (first.opened.acked_through, first.opened.credit > 0) == (0, True)
    assert first.send(request(frames[:3], 1)).acked_through == 1
    assert first.send(request(frames[3:6], 2)).acked_through == 2
    first.stream.cancel()
    second = Resumable(stubs)
    assert second.opened.resumption.known
    assert second.opened.resumption.instance_id == first.opened.resumption.instance_id
    assert second.opened.resumption.beginning == first.opened.resumption.beginning > 0
    assert (second.opened.acked_through, second.opened.accepted) == (2, 6)
    again = second.send(request(frames[3:6], 2))
    assert (again.acked_through, again.accepted, again.duplicates) == (2, 6, 1)
    last = second.send(request(frames[6:], 3))
    assert (last.acked_through, last.accepted, last.duplicates) == (3, 9, 1)
    assert taken(tap, 9) == frames
    second.finish()
    tap.cancel()
    stubs.await_home()


def test_a_gap_ends_the_stream_which_can_be_resumed(stubs: Stubs) -> None:
    driver = Resumable(stubs)
    driver.send(request(numbered(1), 7))  # a daemon that knows nothing takes any number
    code, text = refusal(lambda: driver.send(request(numbered(1), 9)))
    assert code == Code.INVALID_ARGUMENT
    assert "sequence is 9 where 7" in text
    again = Resumable(stubs)
    assert (again.opened.resumption.known, again.opened.acked_through) == (True, 7)
    assert refusal(lambda: again.send(request(numbered(1), 0)))[0] == Code.INVALID_ARGUMENT


def test_the_newer_of_two_streams_takes_over(stubs: Stubs) -> None:
    tap = subscribe(stubs)
    older = Resumable(stubs)
    older.send(request(numbered(2), 1))
    newer = Resumable(stubs)
    assert (newer.opened.resumption.known, newer.opened.acked_through) == (True, 1)
    code, text = refusal(lambda: next(older.stream))
    assert code == Code.ABORTED
    assert "newer stream" in text
    older.stream.cancel()
    assert newer.send(request(numbered(2), 2)).accepted == 4
    assert len(taken(tap, 4)) == 4
    assert drivers(stubs) == ["card"]
    newer.finish()
    tap.cancel()
    stubs.await_home()


@pytest.mark.parametrize("size", [1, 15, 17, 4096])
def test_an_identity_has_sixteen_bytes(stubs: Stubs, size: int) -> None:
    code, text = refusal(lambda: Resumable(stubs, bytes(size)))
    assert code == Code.INVALID_ARGUMENT
    assert "16 random bytes" in text


def test_as_many_as_the_limit_are_kept(start: Any) -> None:
    _, stubs = start(limits={"max_resumptions": 2})
    for number in range(4):
        driver = Resumable(stubs, bytes([number]) * 16)
        driver.send(request(numbered(1), 1))
        # In order: of a cancelled one the daemon may see that or the loss first.
        driver.finish()
        # One after the other: the oldest is whose stream ended first.
        eventually(lambda: not drivers(stubs))
    known = []
    for number in reversed(range(4)):
        driver = Resumable(stubs, bytes([number]) * 16)
        known.append(driver.opened.resumption.known)
        driver.finish()
    assert known == [True, True, False, False]


class Stream:
    """Whose stream hands over what it is given, or is too busy."""

    def __init__(self) -> None:
        self.busy = False

    def hand_over(self) -> Any:
        if self.busy:
            raise Refusal(Code.UNAVAILABLE, "STREAM_BUSY", "busy")
        return self.progress

    progress: Any = None


def test_a_stream_that_was_forgotten_and_opened_unheard_has_another_beginning(start: Any) -> None:
    _, stubs = start(limits={"max_resumptions": 1})
    tap = subscribe(stubs)
    first = Resumable(stubs)
    first.send(request(numbered(3), 1))  # as if its acknowledgement were lost
    first.finish()
    Resumable(stubs, bytes(16), "other").finish()  # now nothing is known of the first
    Resumable(stubs).finish()  # as if what it was told were lost
    second = Resumable(stubs)
    assert (second.opened.resumption.known, second.opened.acked_through) == (True, 0)
    assert second.opened.resumption.instance_id == first.opened.resumption.instance_id
    assert second.opened.resumption.beginning != first.opened.resumption.beginning
    second.send(request(numbered(3), 1))
    assert taken(tap, 6) == numbered(3) * 2
    second.finish()
    tap.cancel()
    stubs.await_home()


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_kept_is_forgotten_after_a_time() -> None:
    clock, stream = Clock(), Stream()
    kept = Resumptions(Limits(max_resumption_seconds=10), clock)
    for known in (False, True):
        with kept.entering(ID, stream) as entry:
            assert entry.known is known
        kept.leave(entry, stream, entry.progress, done=False)
        clock.now += 9
    clock.now += 2
    with kept.entering(bytes(16), stream) as entry:
        assert not entry.known
    assert (len(kept), kept.parked) == (1, 0)


def test_a_stream_that_ended_in_order_is_forgotten_before_others() -> None:
    kept, stream = Resumptions(Limits(max_resumptions=2)), Stream()
    for number in range(3):
        with kept.entering(bytes([number]) * 16, stream) as entry:
            pass
        kept.leave(entry, stream, entry.progress, done=number == 1)
    for number in (0, 2, 1):
        with kept.entering(bytes([number]) * 16, stream) as entry:
            assert entry.known is (number != 1)


def test_nothing_is_kept_of_a_stream_that_never_opened() -> None:
    kept, stream = Resumptions(Limits()), Stream()
    with pytest.raises(RuntimeError), kept.entering(ID, stream):
        raise RuntimeError("no room")
    assert len(kept) == 0
    with kept.entering(ID, stream) as entry:
        pass
    kept.leave(entry, stream, entry.progress, done=False)
    with pytest.raises(RuntimeError), kept.entering(ID, stream):
        raise RuntimeError("no room")
    # What it had handled before is kept.
    assert (len(kept), kept.parked) == (1, 1)


def test_a_stream_that_is_too_busy_to_hand_over_stays() -> None:
    kept, older, newer = Resumptions(Limits()), Stream(), Stream()
    with kept.entering(ID, older) as entry:
        pass
    older.progress, older.busy = entry.progress, True
    with pytest.raises(Refusal), kept.entering(ID, newer):
        raise AssertionError("handed over")
    assert (entry.stream, kept.parked) == (older, 0)
    older.busy = False
    with kept.entering(ID, newer):
        pass
    kept.leave(entry, older, entry.progress, done=True)  # too late to say anything
    assert (entry.stream, len(kept)) == (newer, 1)


class Crossed:
    """A lock that somebody else has first, just before it is asked for."""

    def __init__(self, first: Callable[[], None]) -> None:
        self._first: list[Callable[[], None]] = [first]
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self._first:
            self._first.pop()()
        self._lock.acquire()

    def __exit__(self, *_exception: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("crossing", ["lost", "ended", "refused"])
def test_a_stream_that_opens_while_an_older_one_is_parked_stays_open(crossing: str) -> None:
    clock, older, newer, third = Clock(), Stream(), Stream(), Stream()
    kept = Resumptions(Limits(max_resumption_seconds=10), clock)
    with kept.entering(ID, older) as entry:
        pass
    older.progress = newer.progress = entry.progress

    def park() -> None:
        if crossing == "refused":
            with pytest.raises(RuntimeError), kept.entering(ID, third):
                raise RuntimeError("no room")
        else:
            kept.leave(entry, older, entry.progress, done=crossing == "ended")
        assert kept.parked == 1

    entry.lock = Crossed(park)  # type: ignore[assignment]
    with kept.entering(ID, newer):
        pass
    assert (entry.stream, len(kept), kept.parked) == (newer, 1, 0)
    clock.now += 11
    with kept.entering(bytes(16), third):
        pass
    with kept.entering(ID, third) as again:
        assert (again, again.known) == (entry, True)


def test_a_stream_whose_cable_was_pulled_is_taken_over(start: Any) -> None:
    daemon, stubs = start(listen=["127.0.0.1:0"])
    with Relay(daemon.addresses[0]) as relay:
        far = Stubs(relay.address)
        older = Resumable(far)
        assert older.send(request(numbered(3), 1)).acked_through == 1
        relay.cut()  # for the daemon it is open still, and silent
        newer = Resumable(stubs)
        assert (newer.opened.resumption.known, newer.opened.acked_through) == (True, 1)
        assert drivers(stubs) == ["card"]
        assert newer.send(request(numbered(3), 2)).accepted == 6
        newer.finish()
        older.stream.cancel()
        far.channel.close()
    stubs.await_home()
