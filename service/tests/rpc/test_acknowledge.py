"""When an Ingest stream is told what was handled."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from batches import numbered, request
from daemon_support import PATIENCE
from skbpool.v1 import frame_pb2
from skbpool_service.rpc.acknowledge import LONGEST, RATE, Acknowledgements, Later, Pace

METHOD = "/skbpool.v1.FrameService/Ingest"


def test_a_fast_client_is_told_for_several_messages_at_once() -> None:
    sent: list[bytes] = []

    def send(response: bytes) -> bool:
        sent.append(response)
        return True

    acks = Acknowledgements(send, credit=400)
    for number in range(1, 6):
        assert acks.add(30, b"%d" % number)
    assert sent == [b"4"]
    assert acks.is_owed
    assert acks.flush()
    assert sent == [b"4", b"5"]
    assert (acks.flush(), acks.is_owed, len(sent)) == (True, False, 2)


def test_a_client_that_waits_is_told_without_sending_more(start: Any) -> None:
    _, stubs = start()
    messages: SimpleQueue[bytes | None] = SimpleQueue()
    call = stubs.channel.stream_stream(METHOD)(iter(messages.get, None), timeout=PATIENCE)
    next(call)  # the first credit
    for number in range(1, 4):
        messages.put(request(numbered(1), number).SerializeToString())
        assert frame_pb2.IngestResponse.FromString(next(call)).acked_through == number
    messages.put(None)
    assert list(call) == []
    stubs.await_home()


def test_what_was_owed_is_told_before_an_error(start: Any) -> None:
    _, stubs = start()
    good = [request(numbered(2), number) for number in (1, 2, 3)]
    bad = request(numbered(1), 4)
    bad.batch.frames += b"more than the lengths say"
    told = []
    call = stubs.frame.Ingest(iter([*good, bad]), timeout=PATIENCE)
    with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
        told.extend(call)
    assert told[-1].acked_through == 3
    assert told[-1].accepted == 6


def test_jobs_run_after_a_moment_and_not_after_the_end() -> None:
    ran = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        later = Later(threads, delay=0.001)
        later.start()
        later.submit(ran.set)
        assert ran.wait(PATIENCE)
        later.stop()
        ran.clear()
        later.submit(ran.set)
    assert not ran.is_set()


def test_few_are_told_at_once_and_many_wait_for_each_other() -> None:
    pace = Pace(0.005)
    assert pace.delay(0) == 0.005
    pace.ran(1, now=10)
    assert pace.delay(10) == 0.005
    pace.ran(RATE // 20, now=10)
    assert pace.delay(10) == 0.05
    pace.ran(10 * RATE, now=10)
    assert pace.delay(10) == pace.delay(10 + LONGEST) == LONGEST
    # One that comes alone later pays for nobody.
    assert pace.delay(10.01 + LONGEST) == 0.005


def test_jobs_of_many_are_all_run_once() -> None:
    ran: SimpleQueue[int] = SimpleQueue()
    with ThreadPoolExecutor(2) as threads:
        later = Later(threads, delay=0.001)
        later.start()
        for numbers in (range(50), range(50, 100), range(100, 150)):
            for number in numbers:
                later.submit(partial(ran.put, number), urgent=number % 2 == 0)
            assert sorted(ran.get(timeout=PATIENCE) for _ in numbers) == list(numbers)
        later.stop()
    assert ran.empty()


def test_who_may_be_waiting_does_not_wait_for_many_others() -> None:
    ran: SimpleQueue[str] = SimpleQueue()
    with ThreadPoolExecutor(1) as threads:
        later = Later(threads, delay=0.001)
        later.start()
        for _ in range(RATE):
            later.submit(partial(ran.put, "one of many"), urgent=False)
        for _ in range(RATE):
            ran.get(timeout=PATIENCE)
        later.submit(partial(ran.put, "one of many"), urgent=False)
        later.submit(partial(ran.put, "waits"))
        assert [ran.get(timeout=PATIENCE) for _ in range(2)] == ["waits", "one of many"]
        later.stop()
