"""The credit of an Ingest stream is respected, whatever the messages are."""

import threading
from collections.abc import Iterator

import pytest
from skbpool.client.ingest import _Flow
from skbpool.v1 import frame_pb2


def drain(requests: Iterator[bytes], sent: list[bytes], moved: threading.Semaphore) -> None:
    for request in requests:
        sent.append(request)
        moved.release()
    moved.release()


class Sender:
    """The thread that gRPC would iterate the requests in."""

    def __init__(self, messages: Iterator[bytes] | list[bytes], driver: str = "") -> None:
        self.flow = _Flow(messages, driver)
        self.sent: list[bytes] = []
        self._moved = threading.Semaphore(0)
        self.thread = threading.Thread(
            target=drain, args=(self.flow.requests(), self.sent, self._moved)
        )
        self.thread.start()

    def wait_for(self, moves: int) -> None:
        for _ in range(moves):
            assert self._moved.acquire(timeout=10)

    def end(self) -> None:
        self.flow.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_the_driver_goes_first_and_messages_wait_for_the_first_credit() -> None:
    asked = threading.Event()

    def messages() -> Iterator[bytes]:
        asked.set()
        yield b"1" * 100

    sender = Sender(messages(), "eth9")
    sender.wait_for(1)
    assert frame_pb2.IngestRequest.FromString(sender.sent[0]).driver == "eth9"
    assert not asked.is_set()
    sender.flow.grant(0, 1000)
    sender.wait_for(2)  # the message, and the end
    assert asked.is_set()
    assert len(sender.sent) == 2
    sender.end()


def test_no_more_than_the_credit_is_unacknowledged() -> None:
    sender = Sender([bytes(100)] * 10)
    sender.flow.grant(0, 250)
    sender.wait_for(3)  # the driver and two messages
    assert len(sender.sent) == 3
    sender.flow.grant(1, 250)
    sender.wait_for(1)
    assert len(sender.sent) == 4
    sender.flow.grant(3, 250)
    sender.wait_for(2)
    assert len(sender.sent) == 6
    assert sender.thread.is_alive()
    sender.end()
    assert len(sender.sent) == 6


def test_a_message_over_the_credit_goes_alone() -> None:
    sender = Sender([bytes(500), bytes(500)])
    sender.flow.grant(0, 100)
    sender.wait_for(2)
    assert len(sender.sent) == 2
    sender.flow.grant(1, 100)
    sender.wait_for(2)
    assert len(sender.sent) == 3
    sender.end()


def test_credit_may_grow() -> None:
    sender = Sender([bytes(100)] * 4)
    sender.flow.grant(0, 100)
    sender.wait_for(2)
    sender.flow.grant(0, 400)
    sender.wait_for(4)
    assert len(sender.sent) == 5
    sender.end()


def test_what_the_messages_raise_is_kept_and_ends_the_requests() -> None:
    def messages() -> Iterator[bytes]:
        yield b"good"
        raise RuntimeError("the source broke")

    sender = Sender(messages())
    sender.flow.grant(0, 1000)
    sender.thread.join(10)
    assert not sender.thread.is_alive()
    assert len(sender.sent) == 2
    with pytest.raises(RuntimeError, match="the source broke"):
        raise sender.flow.failure or AssertionError("nothing was kept")
