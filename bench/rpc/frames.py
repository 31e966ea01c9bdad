"""Messages made beforehand, so that a client costs as little as a client can."""

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from skbpool._native import FrameEncoder

MESSAGE_BYTES = 1 << 20
"""Largest message; batches fill it as far as whole frames do."""

FCS = 4
"""Bytes of a frame on the wire that are not in memory: its check sequence."""

MIXES = {"64": [64], "imix": [64] * 7 + [594] * 4 + [1518], "1518": [1518]}
"""Frame sizes on the wire. IMIX is the simple one: 7 of 64 bytes, 4 of 594, 1 of 1518."""

LINE_RATE_BITS = 10_000_000_000
GAP = 20
"""Bytes between frames on the wire: preamble, start delimiter and the gap between packets."""

HEADER = bytes.fromhex("02000000000102000000000288b5")
"""An Ethernet header of a local experiment (IEEE 802), which no reader takes for stamped."""


@dataclass(frozen=True)
class Message:
    """An encoded IngestRequest."""

    data: bytes
    frames: int


def line_rate(mix: str) -> float:
    """Return the frames a second that 10 GbE carries of a mix."""
    sizes = MIXES[mix]
    return LINE_RATE_BITS * len(sizes) / (8 * sum(size + GAP for size in sizes))


def messages(mix: str, count: int, max_bytes: int = MESSAGE_BYTES) -> list[Message]:
    """Return `count` messages of a mix, numbered from 1."""
    encoder = FrameEncoder(max_bytes)
    made: list[Message] = []
    frames = 0
    for number, frame in enumerate(_frames(mix)):
        data = encoder.push(frame, 1_700_000_000_000_000_000 + 672 * number)
        if data is not None:
            made.append(Message(data, frames))
            frames = 0
            if len(made) == count:
                break
        frames += 1
    return made


STAMP_FRAME_BYTES = 60
STAMP = struct.Struct(">IQ")
"""Sequence and send time, as core/nic/src/stamp.rs has them, behind the magic and the stream."""
STAMPED = (
    bytes.fromhex(
        "020000000001020000000002080045000000000000004011000000000000000000000000000900000000"
    )
    + b"SB"
    + (1).to_bytes(4, "big")
)
"""Ethernet, IPv4, UDP to the discard port, and the head of a stamp of stream 1."""


@dataclass(frozen=True)
class StampedMessage:
    """A message whose last frame has a stamp, before and behind that."""

    head: bytes
    tail: bytes
    frames: int

    def stamped(self, sequence: int) -> Message:
        """Return it with the present time."""
        stamp = STAMP.pack(sequence, time.monotonic_ns())
        return Message(b"".join((self.head, stamp, self.tail)), self.frames)


def stamped_message(mix: str) -> StampedMessage:
    """Return a message of a mix that is about as large as the others."""
    plain = messages(mix, 1)[0]
    encoder = FrameEncoder(MESSAGE_BYTES)
    frames = _frames(mix)
    for number in range(plain.frames - 1):
        encoder.push(next(frames), 1_700_000_000_000_000_000 + 672 * number)
    encoder.push(STAMPED + bytes(STAMP_FRAME_BYTES - len(STAMPED)), 1_700_000_000_000_000_000)
    data = encoder.flush()
    assert data is not None
    at = data.rindex(STAMPED) + len(STAMPED)
    return StampedMessage(data[:at], data[at + STAMP.size :], plain.frames)


def _frames(mix: str) -> Iterator[bytes]:
    fillings = [HEADER + bytes(size - FCS - len(HEADER)) for size in MIXES[mix]]
    while True:
        yield from fillings


def frames_in(message: bytes) -> int:
    """Return how many frames an encoded SubscribeResponse has, from the lengths of its fields.

    Reads the batch's first fields only, so it costs the same for any number of frames.
    """
    at = 0
    tag, at = _varint(message, at)
    if tag != 1 << 3 | 2:  # no batch: it tells what was missed
        return 0
    _, at = _varint(message, at)
    tag, at = _varint(message, at)
    if tag == 1 << 3 | 2:
        size, at = _varint(message, at)
        tag, at = _varint(message, at + size)
    if tag != 2 << 3 | 2:
        raise ValueError(f"the batch's lengths are not where they are looked for: tag {tag}")
    size, _ = _varint(message, at)
    return size // 4


def has_missed(message: bytes) -> bool:
    """Return whether a SubscribeResponse tells that frames were missed."""
    tag, at = _varint(message, 0)
    size, at = _varint(message, at)
    return tag != 1 << 3 | 2 or at + size != len(message)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
