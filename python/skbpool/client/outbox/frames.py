"""What a program gives to a sender, as lists that are encoded in one call."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from skbpool import Skb, SkbBatch
from skbpool.client.ingest import Frame

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    One: TypeAlias = ReadableBuffer | Frame | Skb
    Frames: TypeAlias = One | SkbBatch | Iterable[One]
    """A frame, a batch, or any number of frames."""

CHUNK = 1024
"""Frames that are taken of an iterator at a time."""


def chunks(frames: "Frames") -> Iterator[Sequence[Any] | SkbBatch]:
    """Yield the frames as lists and batches; of those that are some already, the same objects."""
    if isinstance(frames, Frame | bytes | bytearray | memoryview | Skb):
        yield [frames]
    elif isinstance(frames, list | tuple | SkbBatch):
        yield frames
    elif isinstance(frames, Iterable) and not _has_buffer(frames):
        rest = iter(frames)
        while chunk := list(islice(rest, CHUNK)):
            yield chunk
    else:
        yield [cast("Any", frames)]


def _has_buffer(frames: object) -> bool:
    """Return whether it is the bytes of one frame, as an array is."""
    try:
        memoryview(frames).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True
