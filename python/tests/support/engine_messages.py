"""Messages made and read by Google's protobuf, which shares no code with the product."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from skbpool.v1 import frame_batch_pb2, frame_pb2


class Given(NamedTuple):
    """A frame and what is known of it."""

    data: bytes
    timestamp_ns: int = 1_700_000_000_000_000_000
    original_length: int | None = None
    """None: as many as it has."""


def numbered(lengths: Iterable[int]) -> list[Given]:
    """Return frames of these lengths, whose bytes tell which they are."""
    return [
        Given(bytes((31 * number + 7 * at) % 256 for at in range(length)), 1_000_000 + number)
        for number, length in enumerate(lengths)
    ]


def request(
    frames: Sequence[Given],
    sequence: int = 1,
    *,
    link_type: int = 1,
    interface: int = 0,
    driver: str = "",
) -> bytes:
    """Return an encoded IngestRequest."""
    base = min((frame.timestamp_ns for frame in frames), default=0)
    lengths = [len(frame.data) for frame in frames]
    originals = [
        length if frame.original_length is None else frame.original_length
        for frame, length in zip(frames, lengths, strict=True)
    ]
    batch = frame_batch_pb2.FrameBatch(
        frames=b"".join(frame.data for frame in frames),
        length=lengths,
        time_offset_ns=[frame.timestamp_ns - base for frame in frames],
        original_length=originals if originals != lengths else [],
        base_time_ns=base,
        link_type=link_type,
        interface=interface,
        sequence=sequence,
    )
    return frame_pb2.IngestRequest(batch=batch, driver=driver).SerializeToString()


def frames_of(batch: frame_batch_pb2.FrameBatch) -> list[Given]:
    """Return the frames of a batch."""
    found = []
    end = 0
    for number, length in enumerate(batch.length):
        start, end = end, end + length
        offset = batch.time_offset_ns[number] if batch.time_offset_ns else 0
        original = batch.original_length[number] if batch.original_length else length
        found.append(
            Given(
                batch.frames[start:end],
                batch.base_time_ns + offset,
                None if original == length else original,
            )
        )
    return found


def subscribed(message: bytes) -> list[Given]:
    """Return the frames of an encoded SubscribeResponse."""
    return frames_of(frame_pb2.SubscribeResponse.FromString(message).batch)


def acknowledged(message: bytes) -> frame_pb2.IngestResponse:
    """Return a decoded IngestResponse."""
    return frame_pb2.IngestResponse.FromString(message)
