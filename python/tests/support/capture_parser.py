"""A reader of pcap and pcapng that shares no code with the product.

Reads whole, undamaged files after draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng; anything
else raises.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTION, INTERFACE, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 3, 6
IF_TSRESOL, IF_TSOFFSET = 9, 14


class Captured(NamedTuple):
    """A frame as a file tells it."""

    timestamp_ns: int
    link_type: int
    original_length: int
    data: bytes


def read_capture(path: Path) -> list[Captured]:
    """Return every frame of the file, in its order."""
    data = path.read_bytes()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return list(_pcapng(data))
    return list(_pcap(data))


def record_offsets(path: Path) -> list[int]:
    """Return where each record of a pcap file begins, and where the last one ends."""
    data = path.read_bytes()
    order = ">" if data[:4] in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d") else "<"
    offsets = [24]
    while offsets[-1] < len(data):
        (captured,) = struct.unpack_from(f"{order}I", data, offsets[-1] + 8)
        offsets.append(offsets[-1] + 16 + captured)
    return offsets


def _pcap(data: bytes) -> Iterator[Captured]:
    order = {b"\xa1\xb2": ">", b"\xd4\xc3": "<", b"\x4d\x3c": "<"}[data[:2]]
    unit = 1 if data[:4] in (b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1") else 1000
    (link_type,) = struct.unpack_from(f"{order}I", data, 20)
    at = 24
    while at < len(data):
        seconds, fraction, captured, original = struct.unpack_from(f"{order}4I", data, at)
        at += 16
        frame = data[at : at + captured]
        assert len(frame) == captured, "the file is truncated"
        yield Captured(seconds * 10**9 + fraction * unit, link_type & 0xFFFF, original, frame)
        at += captured


@dataclass
class _Interface:
    link_type: int
    snap_length: int
    resolution: int = 6
    offset: int = 0


@dataclass
class _Section:
    order: str
    interfaces: list[_Interface] = field(default_factory=list)


def _pcapng(data: bytes) -> Iterator[Captured]:
    section = _Section("<")
    at = 0
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            magic = data[at + 8 : at + 12]
            section = _Section({b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}[magic])
        order = section.order
        kind, length = struct.unpack_from(f"{order}2I", data, at)
        body = data[at + 8 : at + length - 4]
        assert struct.unpack_from(f"{order}I", data, at + length - 4) == (length,)
        at += length
        if kind == INTERFACE:
            section.interfaces.append(_interface(order, body))
        elif kind == ENHANCED:
            number, high, low, captured, original = struct.unpack_from(f"{order}5I", body)
            interface = section.interfaces[number]
            frame = body[20 : 20 + captured]
            assert len(frame) == captured, "the block is truncated"
            yield Captured(
                _nanoseconds(interface, high << 32 | low), interface.link_type, original, frame
            )
        elif kind == SIMPLE:
            (original,) = struct.unpack_from(f"{order}I", body)
            interface = section.interfaces[0]
            captured = min(original, interface.snap_length or original)
            yield Captured(0, interface.link_type, original, body[4 : 4 + captured])


def _interface(order: str, body: bytes) -> _Interface:
    link_type, _, snap_length = struct.unpack_from(f"{order}HHI", body)
    interface = _Interface(link_type, snap_length)
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == IF_TSRESOL:
            interface.resolution = value[0]
        elif code == IF_TSOFFSET:
            (interface.offset,) = struct.unpack(f"{order}q", value)
        at += 4 + (length + 3 & ~3)
    return interface


def _nanoseconds(interface: _Interface, ticks: int) -> int:
    exponent = interface.resolution & 0x7F
    divisor = 2**exponent if interface.resolution & 0x80 else 10**exponent
    return ticks * 10**9 // divisor + interface.offset * 10**9
