"""FrameEncoder.push_many: whole lists and batches in one call."""

import subprocess
import sys
from typing import Any

import pytest
import skbpool
from engine_messages import Given, acknowledged, frames_of, numbered, request
from skbpool import Pool, Skb, SkbBatch
from skbpool._native import FrameEncoder, Hub, IngestPort, IngestProgress
from skbpool.v1 import frame_pb2

NOW = 1_700_000_000_000_000_000


def encoded(frames: Any, most: int = 4096) -> list[list[Given]]:
    """Return the frames of each message, whose number is what was told."""
    encoder = FrameEncoder(most)
    messages: list[list[Given]] = []
    at = 0
    while True:
        message, count, at = encoder.push_many(frames, at, NOW)
        if message is None:
            break
        messages.append(frames_of(frame_pb2.IngestRequest.FromString(message).batch))
        assert len(messages[-1]) == count
    assert at == len(frames)
    pending, last = encoder.pending, encoder.flush()
    if last is not None:
        messages.append(frames_of(frame_pb2.IngestRequest.FromString(last).batch))
        assert len(messages[-1]) == pending
    return messages


def skb_of(pool: Pool, data: bytes, timestamp_ns: int = 0) -> Skb:
    buffer = pool.alloc()
    memoryview(buffer)[: len(data)] = data
    skb = buffer.into_skb(0, len(data))
    skb.timestamp_ns = timestamp_ns
    return skb


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_is_cut_where_messages_are_full(kind: type) -> None:
    data = [frame.data for frame in numbered([1000] * 10)]
    messages = encoded(kind(data))
    assert [len(message) for message in messages] == [4, 4, 2]
    assert [frame for message in messages for frame in message] == [
        Given(frame, NOW) for frame in data
    ]


def test_a_list_may_hold_all_kinds_of_frames() -> None:
    pool = Pool(8)
    frames: list[object] = [
        b"bytes",
        bytearray(b"array"),
        memoryview(b"a view")[2:],
        (b"told", NOW + 5, 99, 1, 0),
        skb_of(pool, b"an skb", NOW + 7),
        skb_of(pool, b"an skb of now"),
    ]
    (message,) = encoded(frames)
    assert message == [
        Given(b"bytes", NOW),
        Given(b"array", NOW),
        Given(b"view", NOW),
        Given(b"told", NOW + 5, 99),
        Given(b"an skb", NOW + 7),
        Given(b"an skb of now", NOW),
    ]


def test_a_batch_stays_what_it_was() -> None:
    pool = Pool(16)
    batch = SkbBatch(skb_of(pool, bytes([number]) * 1000, number + 1) for number in range(10))
    messages = encoded(batch)
    # Times that differ take room.
    assert [len(message) for message in messages] == [3, 3, 3, 1]
    assert [frame for message in messages for frame in message] == [
        Given(bytes([number]) * 1000, number + 1) for number in range(10)
    ]
    assert len(batch) == 10


def test_what_cannot_be_sent_tells_where_it_is_and_costs_nothing_before_it() -> None:
    encoder = FrameEncoder(4096)
    with pytest.raises(skbpool.FrameTooLarge) as caught:
        encoder.push_many([b"one", b"two", bytes(5000), b"three"], 0, NOW)
    assert (caught.value.index, encoder.pending) == (2, 2)
    with pytest.raises(TypeError):
        encoder.push_many([b"three", "text"], 0, NOW)
    with pytest.raises(TypeError):
        encoder.push_many("text", 0, NOW)
    with pytest.raises(ValueError, match="65535"):
        encoder.push_many([(b"", 1, 0, 1, 65_536)], 0, NOW)
    with pytest.raises(OverflowError):
        encoder.push_many([(b"", -1, 0, 1, 0)], 0, NOW)
    released = skb_of(Pool(2), b"gone")
    released.release()
    with pytest.raises(skbpool.BufferReleased):
        encoder.push_many([released], 0, NOW)
    assert encoder.pending == 3
    assert encoder.push_many([b"over"], 7, NOW) == (None, 0, 7)


REFUSED = """
import threading

import skbpool
from skbpool import errors
from skbpool._native import FrameEncoder

encoder = FrameEncoder(1 << 20)

class Pushes(errors.FrameTooLarge):
    def __init__(self, *args, **figures):
        super().__init__(*args, **figures)
        other = threading.Thread(target=encoder.push, args=(b"other", 0))
        other.start()
        other.join()

errors.FrameTooLarge = Pushes
pool = skbpool.Pool(2, order=7)
one, other = (pool.alloc().into_skb(0, 300_000) for _ in range(2))
refused = 0
for frames in ([bytes(300_000)], [one], skbpool.SkbBatch([other])):
    try:
        encoder.push_many(frames, 0, 1)
    except errors.FrameTooLarge:
        refused += 1
print(refused, encoder.pending)
"""


def test_an_exception_is_made_while_another_thread_pushes() -> None:
    # A process of its own: a hang with the interpreter lock held would be this one's too.
    run = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.stdout.split() == ["3", "3"], run.stderr


class _Pushes:
    """When a frame arrived, told while another frame is pushed."""

    def __init__(self, encoder: FrameEncoder):
        self._encoder = encoder

    def __index__(self) -> int:
        assert self._encoder.push(bytes(1000), NOW) is None
        return NOW


def test_a_message_has_as_many_frames_as_told_also_when_others_push() -> None:
    encoder = FrameEncoder(4096)
    encoder.push_many([bytes(1000)] * 3, 0, NOW)
    message, count, _ = encoder.push_many([(bytes(1000), _Pushes(encoder), 0, 1, 0)], 0, NOW)
    assert message is not None
    assert count == len(frames_of(frame_pb2.IngestRequest.FromString(message).batch)) == 4


def test_a_port_resumes_where_another_ended() -> None:
    hub = Hub(Pool(1024))
    with IngestPort(hub, "in", resume=IngestProgress()) as port:
        port.submit(request(numbered([60, 60]), 4))
        assert isinstance(port.progress(), IngestProgress)
    progress = port.progress()  # after its end too
    with IngestPort(hub, "in", resume=progress) as port:
        told = acknowledged(port.submit(request(numbered([60]), 5)))
        assert (told.acked_through, told.accepted, told.duplicates) == (5, 3, 0)
        told = acknowledged(port.submit(request(numbered([60]), 4)))
        assert (told.acked_through, told.accepted, told.duplicates) == (5, 3, 1)
        with pytest.raises(skbpool.MalformedBatch, match="sequence is 7 where 5"):
            port.submit(request(numbered([60]), 7))
