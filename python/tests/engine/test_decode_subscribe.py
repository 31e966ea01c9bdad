"""decode_subscribe: skbs where they lie in a message."""

import gc
import sys
from collections.abc import Iterable

import pytest
import skbpool
from skbpool._native import decode_subscribe
from skbpool.v1 import drop_reason_pb2, frame_batch_pb2, frame_pb2
from skbpool.v1.drop_reason_pb2 import DropCount


def response(original_length: Iterable[int] = (), time_offset_ns: Iterable[int] = ()) -> bytes:
    batch = frame_batch_pb2.FrameBatch(
        frames=b"onetwothree",
        length=[3, 3, 5],
        time_offset_ns=time_offset_ns,
        original_length=original_length,
        base_time_ns=7,
        link_type=113,
        interface=2,
        sequence=9,
    )
    missed = [DropCount(reason=drop_reason_pb2.DROP_REASON_QUOTA, frames=2, bytes=120)]
    return frame_pb2.SubscribeResponse(batch=batch, missed=missed).SerializeToString()


def test_the_message_is_not_copied_and_lives_as_long_as_a_view() -> None:
    message = response(original_length=[3, 4, 5], time_offset_ns=[0, 1, 2])
    before = sys.getrefcount(message)
    batch, missed, sequence = decode_subscribe(message)
    assert missed == {"quota": {"frames": 2, "bytes": 120}}
    assert sequence == 9
    assert [bytes(skb) for skb in batch] == [b"one", b"two", b"three"]
    assert [skb.original_length for skb in batch] == [3, 4, 5]
    assert [skb.timestamp_ns for skb in batch] == [7, 8, 9]
    assert {(skb.link_type, skb.port) for skb in batch} == {(113, 2)}
    start = id(message)
    assert all(start < skb.address < start + sys.getsizeof(message) for skb in batch)
    assert sys.getrefcount(message) > before
    last = batch.pop()
    batch.release()
    assert bytes(last) == b"three"
    last.release()
    gc.collect()
    assert sys.getrefcount(message) == before


def test_views_of_a_message_are_read_only() -> None:
    batch, _, _ = decode_subscribe(response())
    with memoryview(batch[0]) as view:
        assert view.readonly
    assert not batch[0].is_writable


def test_a_message_without_frames() -> None:
    batch, missed, sequence = decode_subscribe(b"")
    assert (len(batch), missed, sequence) == (0, {}, 0)
    ring_full = DropCount(reason=drop_reason_pb2.DROP_REASON_RING_FULL, frames=1, bytes=60)
    later = DropCount.FromString(bytes([0x08, 99, 0x10, 1, 0x18, 1]))
    only_missed = frame_pb2.SubscribeResponse(missed=[ring_full, later, ring_full])
    batch, missed, sequence = decode_subscribe(only_missed.SerializeToString())
    assert (len(batch), sequence) == (0, 0)
    # A reason that this version does not know keeps its number.
    assert missed == {
        "ring_full": {"frames": 2, "bytes": 120},
        "reason_99": {"frames": 1, "bytes": 1},
    }


def test_what_is_no_message_is_refused() -> None:
    message = response()
    for cut in range(1, len(message)):
        try:
            decode_subscribe(message[:cut])
        except skbpool.MalformedBatch:
            continue
        # Cut between two fields of the message.
        assert cut == len(message) - 8
    with pytest.raises(TypeError):
        decode_subscribe(bytearray(message))  # type: ignore[arg-type]
