"""What a program gives to a sender, as lists that are encoded in one call."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from skbpool import Skb, SkbBatch
from skbpool.client.frame import Frame

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    One: TypeAlias = ReadableBuffer | Frame | Skb
    Frames: TypeAlias = One | SkbBatch | Iterable[One]
    """A frame, a batch, or any number of frames."""

CHUNK = 1024
"""Frames that are taken of an iterator at a time."""


def listed(frames: "Frames", most: int = CHUNK) -> Iterator[Sequence[Any] | SkbBatch]:
    """Yield the frames as lists and batches; of those that are some already, the same objects.

    Args:
        frames: One, or any number.
        most: Frames that are taken of an iterator at a time.

    Raises:
        TypeError: They are none.
    """
    if isinstance(frames, Frame | bytes | bytearray | memoryview | Skb):
        yield [frames]
    elif isinstance(frames, list | tuple | SkbBatch):
        yield frames
    elif _has_buffer(frames):
        yield [cast("Any", frames)]
    elif isinstance(frames, Iterable) and not _is_text(frames):
        rest = iter(frames)
        while chunk := list(islice(rest, most)):
            yield chunk
    else:
        raise TypeError(
            "frames are bytes-like objects, Frames, skbs, an iterable of these, or a batch; not "
            f"{type(frames).__name__}"
        )


def _is_text(frames: object) -> bool:
    return isinstance(frames, str)


def _has_buffer(frames: object) -> bool:
    """Return whether it is the bytes of one frame, as an array is."""
    try:
        memoryview(frames).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True
