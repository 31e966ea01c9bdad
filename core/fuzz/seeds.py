"""Write the seeds of the corpora: inputs that reach what random bytes would take long to find.

    python core/fuzz/seeds.py

Each file is named for what it is. What the fuzzer found beyond them is named `found-…` and stays.
"""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
ETHERNET, RAW = 1, 101


def varint(value: int) -> bytes:
    """Encode a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def scalar(number: int, value: int) -> bytes:
    """Encode a field of wire type 0."""
    return varint(number << 3) + varint(value)


def run(number: int, data: bytes) -> bytes:
    """Encode a field of wire type 2."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def words(values: list[int]) -> bytes:
    """Encode packed fixed32."""
    return struct.pack(f"<{len(values)}I", *values)


def batch(
    frames: list[bytes],
    *,
    times: list[int] | None = None,
    originals: list[int] | None = None,
    base: int = 1_700_000_000_000_000_000,
    link_type: int = ETHERNET,
    interface: int = 0,
    sequence: int = 1,
) -> bytes:
    """Encode a FrameBatch as other implementations do."""
    return b"".join(
        [
            run(1, b"".join(frames)),
            run(2, words([len(frame) for frame in frames])),
            run(3, words(times)) if times else b"",
            run(4, words(originals)) if originals else b"",
            scalar(5, base),
            scalar(6, link_type),
            scalar(7, interface),
            scalar(8, sequence),
        ]
    )


def batches() -> dict[str, bytes]:
    """Return batches, sound and damaged."""
    three = [b"abc", b"", b"defgh"]
    plain = batch(three)
    unpacked = b"".join(
        b"\x15" + struct.pack("<I", len(frame)) for frame in three
    )  # field 2, wire type 5
    group = b"\x7b" + scalar(1, 5) + b"\x7c"  # group 15
    return {
        "empty": b"",
        "three-frames": plain,
        "every-column": batch(three, times=[0, 7, 2**32 - 1], originals=[3, 60, 1500], interface=2),
        "no-frames": batch([]),
        "frames-of-1500": batch([bytes(1500)] * 3, times=[1, 2, 3]),
        "lengths-unpacked": run(1, b"".join(three)) + unpacked,
        "lengths-in-two-runs": run(1, b"abcd") + run(2, words([1])) + run(2, words([3])),
        "frames-twice": run(1, b"lost") + plain,
        "unknown-fields": scalar(99, 1) + plain + run(98, b"x") + group,
        "groups-in-groups": b"\x7b" * 99 + b"\x7c" * 99,
        "groups-too-deep": b"\x7b" * 102 + b"\x7c" * 102,
        "group-open": plain + b"\x7b",
        "varint-longer-than-needed": b"\x40\x81\x80\x80\x00",
        "varint-too-long": b"\x40" + b"\xff" * 10,
        "varint-over-64-bits": b"\x40" + b"\xff" * 9 + b"\x02",
        "upper-bits-of-uint32": scalar(7, 2**40 + 3),
        "lengths-exceed-data": run(1, b"abc") + run(2, words([4])),
        "data-exceeds-lengths": run(1, b"abc") + run(2, words([2])),
        "lengths-wrap-32-bits": run(1, b"ab") + run(2, words([2**32 - 1, 3])),
        "column-count": run(1, b"ab") + run(2, words([1, 1])) + run(3, words([5])),
        "column-no-multiple-of-4": run(2, b"\0\0\0"),
        "time-at-the-end": batch([b"a"], times=[2**32 - 1], base=2**64 - 2**32),
        "time-beyond-the-end": batch([b"a"], times=[2**32 - 1], base=2**64 - 2**32 + 1),
        "link-type-over-16-bits": scalar(6, 65_536),
        "interface-over-16-bits": batch([b"a"], interface=65_536),
        "wrong-wire-type": b"\x0d\0\0\0\0",
        "cut-in-a-field": plain[:-1],
        "key-zero": b"\x00\x00",
    }


def requests(extra: dict[str, bytes]) -> dict[str, bytes]:
    """Return batches inside of a request or response, in its field 1, and what stands beside."""
    whole = batch([b"abc", b"d"], times=[0, 9])
    inside = {name: run(1, data) for name, data in batches().items()}
    return {
        **inside,
        "batch-in-two-pieces": run(1, whole[:8]) + run(1, whole[8:]),
        "no-batch": b"",
        **{name: run(1, whole) + field for name, field in extra.items()},
    }


def pieces(messages: list[bytes]) -> bytes:
    """Put each message's length before it."""
    return b"".join(struct.pack("<H", len(message)) + message for message in messages)


def drop_count(reason: int, frames: int, size: int) -> bytes:
    """Encode field 2 of a SubscribeResponse."""
    return run(2, scalar(1, reason) + scalar(2, frames) + scalar(3, size))


def streams() -> dict[str, bytes]:
    """Return series of messages for the targets that take those."""
    one = run(1, batch([bytes(60)] * 4))
    large = run(1, batch([b"x" * 9000, b"y"], sequence=2))
    other = run(1, batch([b"raw"], link_type=RAW, interface=3, sequence=3))
    late = run(1, batch([b"late"], base=2**63))
    missed = run(1, batch([b"after"])) + drop_count(1, 5, 300)
    return {
        "one-message": pieces([one]),
        "larger-than-a-buffer": pieces([one, large]),
        "another-link-type": pieces([one, other, one]),
        "after-2106": pieces([late, one]),
        "something-missed": pieces([missed, drop_count(2, 2**64 - 1, 0), missed]),
        "refused-in-between": pieces([one, b"\xff", run(1, batch([b"a"], interface=65_536)), one]),
        "more-than-a-quota": pieces([run(1, batch([b"z"] * 200))] * 2),
    }


def pcap(
    records: list[tuple[int, int, int, bytes]],
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    minor: int = 4,
    link_type: int = ETHERNET,
    extra: bytes = b"",
) -> bytes:
    """Encode a pcap file."""
    data = struct.pack(f"{order}IHHiIII", magic, 2, minor, 0, 0, 262_144, link_type)
    for seconds, fraction, original, frame in records:
        swapped = (len(frame), original) if minor > 2 else (original, len(frame))
        data += struct.pack(f"{order}4I", seconds, fraction, *swapped) + extra + frame
    return data


def block(order: str, kind: int, body: bytes) -> bytes:
    """Encode a block of pcapng."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def option(order: str, code: int, value: bytes) -> bytes:
    """Encode an option."""
    return struct.pack(f"{order}2H", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", minor: int = 0) -> bytes:
    """Encode a section header."""
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, minor, -1))


def interface(order: str = "<", snap: int = 0, options: bytes = b"") -> bytes:
    """Encode an interface description."""
    return block(order, 1, struct.pack(f"{order}HHI", ETHERNET, 0, snap) + options)


def enhanced(
    frame: bytes, *, order: str = "<", number: int = 0, ticks: int = 10**15, captured: int = -1
) -> bytes:
    """Encode an enhanced packet."""
    size = len(frame) if captured < 0 else captured
    head = struct.pack(f"{order}5I", number, ticks >> 32, ticks & 0xFFFFFFFF, size, len(frame) + 9)
    return block(order, 6, head + frame)


def captures() -> dict[str, bytes]:
    """Return capture files, sound and damaged."""
    records = [(1, 2, 60, b"first"), (1, 999_999, 6, b"second"), (2**32 - 1, 2**32 - 1, 0, b"")]
    both = section() + interface() + enhanced(b"frame")
    resolution = option("<", 9, b"\x89") + option("<", 14, struct.pack("<q", -1))
    big = option(">", 9, b"\x09") + option(">", 14, struct.pack(">q", 2**40)) + bytes(4)
    obsolete = struct.pack("<HHIIII", 0, 0, 0, 5, 3, 3) + b"old"
    beyond = struct.pack("<HHIIII", 0, 0, 0, 5, 7, 7) + b"old"
    simple = block("<", 3, struct.pack("<I", 9) + b"simple!!!")
    unknown = block("<", 0x0BAD, bytes(40))
    return {
        "pcap": pcap(records),
        "pcap-big-endian": pcap(records, order=">"),
        "pcap-nanoseconds": pcap(records, magic=0xA1B23C4D),
        "pcap-kuznetzov": pcap(records, magic=0xA1B2CD34, extra=bytes(8)),
        "pcap-2.2": pcap(records, minor=2),
        "pcap-2.3": pcap(records, minor=3),
        "pcap-3": pcap(records)[:4] + b"\x03\x00" + pcap(records)[6:],
        "pcap-no-frames": pcap([]),
        "pcap-cut-in-a-record": pcap(records)[:-18],
        "pcap-cut-in-the-header": pcap([])[:20],
        "pcap-frame-too-large": pcap([]) + struct.pack("<4I", 0, 0, 262_145, 262_145) + bytes(9),
        "pcapng": both,
        "pcapng-big-endian": section(">")
        + interface(">", options=big)
        + enhanced(b"frame", order=">"),
        "pcapng-minor-2": section(minor=2) + interface() + simple,
        "pcapng-two-sections": both + section(">") + interface(">") + enhanced(b"b", order=">"),
        "pcapng-powers-of-two": section()
        + interface(options=resolution)
        + enhanced(b"t", ticks=10**9 + 1),
        "pcapng-before-1970": section() + interface(options=resolution) + enhanced(b"t", ticks=0),
        "pcapng-simple-cut-at-the-snap-length": section() + interface(snap=4) + simple,
        "pcapng-obsolete": section() + interface() + block("<", 2, obsolete),
        "pcapng-obsolete-captured-beyond": section() + interface() + block("<", 2, beyond),
        "pcapng-unknown-block": section() + unknown + interface() + enhanced(b"after"),
        "pcapng-unknown-block-cut": section() + unknown[:-8],
        "pcapng-unknown-interface": both + enhanced(b"x", number=1),
        "pcapng-captured-beyond-the-block": both + enhanced(b"x", captured=5),
        "pcapng-captured-wraps": both + enhanced(b"x", captured=2**32 - 1),
        "pcapng-lengths-differ": both[:-1] + b"\x01",
        "pcapng-length-11": section() + struct.pack("<3I", 1, 11, 11),
        "pcapng-block-of-4-gib": section() + struct.pack("<3I", 6, 2**32 - 4, 0),
        "pcapng-no-byte-order": section()[:8] + bytes(20),
        "neither": b"\x1f\x8b\x08\x00 compressed",
        "nothing": b"",
    }


def stamped(sequence: int) -> bytes:
    """Return a stamped frame."""
    frame = bytearray(60)
    frame[12:15] = b"\x08\x00\x45"
    frame[23], frame[37] = 17, 9
    frame[42:60] = struct.pack(">HIIQ", 0x5342, 1, sequence, 5)
    return bytes(frame)


def stamps() -> dict[str, bytes]:
    """Return streams of stamps: a header, then a choice a frame."""
    return {
        "one-frame": stamped(7),
        "a-frame-cut-short": stamped(7)[:59],
        "in-order": b"\x01\x00" + b"\x40" * 8,
        "from-the-start": b"\x01\x01" + struct.pack("<I", 2**32 - 3) + b"\x40" * 8,
        "lost-and-late": b"\x00\x00" + b"\x00\x04\x90\x04\x70\x04\x80\x00",
        "window-and-beyond": b"\x00\x00" + b"\x00\x05\xff\xff\x06\x00\x00\x00\x80\x00",
    }


def ipv4(protocol: int, payload: bytes, *, fragment: int = 0, options: bytes = b"") -> bytes:
    """Encode an IPv4 datagram."""
    words, total = 5 + len(options) // 4, 20 + len(options) + len(payload)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, total, 7, fragment, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 192, 0, 2, 77]) + options + payload


def ipv6(next_header: int, payload: bytes) -> bytes:
    """Encode an IPv6 datagram."""
    return struct.pack(">IHBB", 6 << 28, len(payload), next_header, 64) + bytes(range(32)) + payload


def flows() -> dict[str, bytes]:
    """Return frames: a link type's place in the target's list, two cuts, the frame."""
    ports = bytes([0x12, 0x34, 0, 80]) + bytes(4)
    tcp, six = ipv4(6, ports), ipv6(17, ports)
    hop, last = bytes([60, 0]) + bytes(6), bytes([6, 1]) + bytes(14)
    fragment = bytes([17, 0, 0, 9]) + bytes(4)
    ethernet, raw, loop, cooked = (bytes([place, 16, 4]) for place in (0, 3, 8, 10))
    macs = bytes(12)
    return {
        "tcp": ethernet + macs + b"\x08\x00" + tcp,
        "two-tags": ethernet + macs + b"\x88\xa8\0\5\x81\0\0\6\x08\x00" + tcp,
        "three-tags": ethernet + macs + b"\x81\0\0\5" * 3 + b"\x08\x00" + tcp,
        "ipv6": ethernet + macs + b"\x86\xdd" + six,
        "raw-options": raw + ipv4(17, ports, options=bytes(8)),
        "raw-first-fragment": raw + ipv4(17, ports, fragment=0x2000),
        "raw-later-fragment": raw + ipv4(17, ports, fragment=0x0001),
        "raw-icmp": raw + ipv4(1, b"\x08\x00" + bytes(6)),
        "raw-cut": raw + tcp[:22],
        "raw-extensions": raw + ipv6(0, hop + last + ports),
        "raw-nine-extensions": raw + ipv6(60, hop * 8 + last + ports),
        "raw-eight-extensions": raw + ipv6(60, hop * 7 + last + ports),
        "raw-authentication": raw + ipv6(51, bytes([6, 2]) + bytes(14) + ports),
        "raw-ipv6-fragment": raw + ipv6(44, fragment + ports),
        "raw-extension-beyond-the-front": raw + ipv6(60, bytes([6, 255]) + bytes(2046) + ports),
        "loopback": loop + b"\x1e\0\0\0" + six,
        "cooked": cooked + bytes(14) + b"\x08\x00" + tcp,
        "arp": ethernet + macs + b"\x08\x06" + bytes(28),
    }


def rates() -> dict[str, bytes]:
    """Return rates as people write them."""
    texts = ["1Gbps", "1.4Mpps", "10 Gbit/s", "max", "1488.095238Mpps", "0bps", "1T frames/s"]
    texts += ["1.0000000001Gbps", "99999999999999999999kbps", "1.bps", ".5kbps", " MAX ", "\0 1pps"]
    names = ["bits", "frames", "with-a-space", "max", "most-frames", "none", "too-many"]
    names += ["not-whole", "over-64-bits", "no-fraction", "no-whole", "upper-case", "control"]
    return {name: text.encode() for name, text in zip(names, texts, strict=True)}


def calls() -> dict[str, bytes]:
    """Return series of C calls: a number each, then its arguments."""
    pool_alloc, cache_alloc = b"\x00\x00\x00", b"\x00\x00\x01"
    view = b"\x02\x00\x40\x20"
    return {
        "view-and-release": pool_alloc + view + b"\x09\x00\x00",
        "slice-beyond-the-view": pool_alloc + view + b"\x0b\x00\x00\x21",
        "clone-and-write": cache_alloc + view + b"\x0a\x00\x01\x01" + b"\x0d\x00\x00\x77",
        "armed-with-rooms": pool_alloc + b"\x03\x00\x00\x03" + b"\x04\x00\x20\x10\x08\x08" * 2,
        "memory-of-mine": b"\x01\x00\x00\x80" + view + b"\x0f\x00\x10\x55\x0e\x00\x10\x56",
        "adopted": b"\x01\x01\x02\xc0" + b"\x06\x01\x10\x20" + b"\x07\x01" + b"\x0d\x00\x00\x33",
        "chain": pool_alloc + view + pool_alloc + view + b"\x13\x00\x01" + b"\x17\x00\x00\x00",
        "batch": pool_alloc + view + b"\x19\x00" + b"\x1b\x00\x01" + b"\x1a\x00" + b"\x1b\x00\x00",
    }


def leases() -> dict[str, bytes]:
    """Return series of calls of a lease client."""
    return {
        "write-cut-deliver": b"\x08\x00\x01\x00\x10\x41\x03\x10\x20\x08\x01\x02\x05",
        "cut-twice": b"\x08\x00\x03\x00\x40\x00\x00\x00\x03\x08\x40\x08\x00\x00\x05\x07",
        "tailroom-beyond-the-buffer": b"\x08\x00\x03\x00\x10\xdc\x00\x10\x05",
        "beyond-the-buffer": b"\x08\x00\x03\x00\xff\xff\xff\xff\xff\x00\x05",
    }


def composed() -> dict[str, bytes]:
    """Return frames for the composer: a limit, a name's length, then frames."""
    roomy, tight = b"\xe0\x00\x80", b"\xc8"
    return {
        "one-frame": roomy + b"\x04\x00\x3c",
        "cut-by-bytes": tight + b"\x00" + b"\x00\x3c" * 4,
        "cut-by-time": roomy + b"\x00" + b"\x02\x05\xff\xff\xff\xff" * 3,
        "cut-by-kind": roomy + b"\x00" + b"\x00\x01\x08\x01\x65\x00\x10\x01\x01\x00\x00\x00",
        "too-large": b"\xff\xff\xff\xff\xff\x00" + b"\x00\xdc\xff" + b"\x00\x10",
    }


def main() -> None:
    """Write every seed."""
    driver = {"driver": run(2, b"card"), "driver-no-utf-8": run(2, b"\xff")}
    missed = {
        "missed": drop_count(1, 5, 300) + drop_count(7, 2**64 - 1, 0),
        "missed-with-unknown-fields": run(2, scalar(9, 9) + scalar(1, 2**40)),
    }
    responses = requests(missed)
    files = captures()
    corpora = {
        "frame_batch": batches(),
        "ingest_request": requests(driver),
        "subscribe_response": responses,
        "compose": composed(),
        "ingest": {name: b"\x20\xe0\x00\x40\x00\x40" + data for name, data in streams().items()},
        "lease": leases(),
        "view_frames": responses,
        "capture_output": {
            f"{name}{suffix}": choice + data
            for name, data in streams().items()
            for suffix, choice in (("", b"\x00"), ("-pcap", b"\x01"))
        },
        "capture": files,
        "capture_pipe": files,
        "capture_replay": files,
        "stamp": stamps(),
        "flow": flows(),
        "rate": rates(),
        "capi": calls(),
    }
    for target, inputs in corpora.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
