"""FrameEncoder: frames of Python in messages."""

import pytest
import skbpool
from engine_messages import Given, frames_of, numbered
from skbpool import Pool
from skbpool._native import FrameEncoder, ingest_opening
from skbpool.v1 import frame_pb2


def decoded(message: bytes | None) -> frame_pb2.IngestRequest:
    assert message is not None
    return frame_pb2.IngestRequest.FromString(message)


def test_a_message_is_given_when_the_next_frame_begins_another() -> None:
    encoder = FrameEncoder(4096, "probe")
    frames = numbered([1000] * 7)
    messages = [
        message
        for frame in frames
        if (message := encoder.push(frame.data, frame.timestamp_ns)) is not None
    ]
    assert (len(messages), encoder.pending) == (2, 1)
    last = encoder.flush()
    assert last is not None
    assert (encoder.flush(), encoder.pending) == (None, 0)
    messages.append(last)
    requests = [decoded(message) for message in messages]
    assert [frame for request in requests for frame in frames_of(request.batch)] == frames
    assert [request.batch.sequence for request in requests] == [1, 2, 3]
    assert [ingest_opening(message)[0] for message in messages] == ["probe", "", ""]
    assert all(len(message) <= 4096 for message in messages)


def test_what_is_told_of_a_frame_arrives() -> None:
    encoder = FrameEncoder(4096)
    assert encoder.push(b"abc", 5, 99, 113, 7) is None
    batch = decoded(encoder.flush()).batch
    assert frames_of(batch) == [Given(b"abc", 5, 99)]
    assert (batch.link_type, batch.interface) == (113, 7)


def test_anything_with_a_buffer_is_a_frame() -> None:
    pool = Pool(8)
    buffer = pool.alloc()
    memoryview(buffer)[:3] = b"skb"
    encoder = FrameEncoder(4096)
    with buffer.into_skb(0, 3) as skb:
        for data in (b"bytes", bytearray(b"array"), memoryview(b"a view")[2:], skb, b""):
            encoder.push(data, 1)
    found = [frame.data for frame in frames_of(decoded(encoder.flush()).batch)]
    assert found == [b"bytes", b"array", b"view", b"skb", b""]
    with pytest.raises(TypeError):
        encoder.push("text", 1)  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        encoder.push(memoryview(b"strided")[::2], 1)


def test_a_frame_that_cannot_be_sent_costs_no_other() -> None:
    encoder = FrameEncoder(4096)
    encoder.push(b"first", 1)
    with pytest.raises(skbpool.FrameTooLarge) as caught:
        encoder.push(bytes(5000), 1)
    assert caught.value.limit == 4096
    with pytest.raises(skbpool.FrameTooLarge, match="262144"):
        encoder.push(bytes(262_145), 1)
    with pytest.raises(ValueError, match="65535"):
        encoder.push(b"", 1, interface=65_536)
    encoder.push(b"second", 2)
    assert len(frames_of(decoded(encoder.flush()).batch)) == 2
