"""Measures the Python API beside memoryview, bytes and dpkt. `make bench-python`.

    python bench/python_api.py [--rounds N] [--seconds S] [--no-write]

Rounds alternate between ours and theirs; medians of the ratios judge, and the spread is their
range. Both sides run in this process, on one core, and are timed by its thread's processor time;
the loop around them is part of both.

Writes bench/results/python.json and, with every sample, bench/results/python-raw.json.
"""

import argparse
import os
import platform
import sys
import time
import timeit
from collections import defaultdict
from dataclasses import dataclass

import arguments
import dpkt
import machine
import skbpool
from ratios import Goal, Row, note, show, write

CORE = 1
FRAME = bytes(
    dpkt.ethernet.Ethernet(
        src=b"\x02" * 6,
        dst=b"\x03" * 6,
        data=dpkt.ip.IP(
            src=bytes([10, 0, 0, 1]),
            dst=bytes([192, 0, 2, 7]),
            p=dpkt.ip.IP_PROTO_TCP,
            len=50,
            data=dpkt.tcp.TCP(sport=50_000, dport=443, data=bytes(10)),
        ),
    )
)
PACKETS = 256


@dataclass(frozen=True)
class Comparison:
    """Two statements that do the same for `packets` packets."""

    goal: Goal
    ours: str
    peer: str
    packets: int = 1


COMPARISONS = [
    Comparison(
        Goal("slice", "ns", 0.6, note="peer: memoryview"),
        "skb[14:34]",
        "view[14:34]",
    ),
    Comparison(
        Goal("slice_each", "ns", note="another packet each time; peer: list of memoryviews"),
        "for each in skbs: each[14:34]",
        "for each in views: each[14:34]",
        PACKETS,
    ),
    Comparison(
        Goal("slice_three", "ns", note="three headers, kept; peer: memoryview"),
        "skb[:14], skb[14:34], skb[34:54]",
        "view[:14], view[14:34], view[34:54]",
    ),
    Comparison(
        Goal("slice_beside_bytes", "ns", note="peer: bytes, which copies"),
        "skb[14:34]",
        "copy[14:34]",
    ),
    Comparison(
        Goal("iterate_length", "ns", bound=60, note="a packet; peer: list of memoryviews"),
        "for each in batch: len(each)",
        "for each in views: len(each)",
        PACKETS,
    ),
    Comparison(
        Goal("iterate_length_beside_bytes", "ns", note="a packet; peer: list of bytes"),
        "for each in batch: len(each)",
        "for each in copies: len(each)",
        PACKETS,
    ),
    Comparison(
        Goal("copy_out", "ns", note="64 bytes; peer: memoryview"),
        "bytes(skb)",
        "bytes(view)",
    ),
    Comparison(
        Goal("read_byte", "ns", note="peer: memoryview"),
        "skb[12]",
        "view[12]",
    ),
    Comparison(
        Goal("five_tuple", "ns", 0.05, note="unpacked; peer: dpkt"),
        "source, destination, source_port, destination_port, protocol = skb.five_tuple",
        "source, destination, source_port, destination_port, protocol = by_dpkt(copy)",
    ),
    Comparison(
        Goal("five_tuple_batch", "ns", 0.05, note="a packet, as columns; peer: dpkt, one by one"),
        "batch.five_tuples()",
        "for each in copies: by_dpkt(each)",
        PACKETS,
    ),
    Comparison(
        Goal("five_tuple_count", "ns", 0.05, note="a packet, counted in a dict; peer: dpkt"),
        "for each in batch.five_tuples(): counts[each] = counts.get(each, 0) + 1",
        "for each in map(by_dpkt, copies): counts[each] = counts.get(each, 0) + 1",
        PACKETS,
    ),
]


def by_dpkt(frame: bytes) -> tuple[bytes, bytes, int, int, int]:
    """Return the five-tuple of a TCP segment in IPv4, as a program with dpkt does."""
    datagram = dpkt.ethernet.Ethernet(frame).data
    segment = datagram.data
    return datagram.src, datagram.dst, segment.sport, segment.dport, datagram.p


def measure(statement: str, packets: int, seconds: float, names: dict[str, object]) -> float:
    """Return nanoseconds a packet of this thread's processor time."""
    timer = timeit.Timer(statement, timer=time.thread_time, globals=names)
    timer.timeit(100)
    number, took, done = 1000 // packets + 1, 0.0, 0
    while took < seconds:
        took += timer.timeit(number)
        done += number
    return took * 1e9 / (done * packets)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the Python API.")
    parser.add_argument("--rounds", type=arguments.rounds, default=5)
    parser.add_argument("--seconds", type=arguments.seconds, default=0.25, help="of each sample")
    parser.add_argument("--no-write", action="store_true", help="only print the table")
    options = parser.parse_args()
    about = machine.describe()
    os.sched_setaffinity(0, {CORE})
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with skbpool.Pool(16) as pool:
        skbs = [view for buffer in pool.alloc_bulk(8) for view in cut(buffer)]
        names: dict[str, object] = {
            "skb": skbs[0],
            "view": memoryview(skbs[1]),
            "copy": FRAME,
            "batch": skbpool.SkbBatch(skb.clone() for skb in skbs),
            "views": [memoryview(FRAME) for _ in skbs],
            "copies": [bytes(skb) for skb in skbs],
            "skbs": skbs,
            "by_dpkt": by_dpkt,
            "counts": {},
        }
        for number in range(options.rounds):
            note(f"round {number + 1} of {options.rounds}")
            for each in COMPARISONS:
                sides = [("ours", each.ours), ("peer", each.peer)]
                for side, statement in sides if number % 2 == 0 else sides[::-1]:
                    figure = measure(statement, each.packets, options.seconds, names)
                    samples[each.goal.op][side].append(figure)
        assert tuple(skbs[0].five_tuple or ()) == by_dpkt(FRAME)
        names.clear()
        del skbs
    rows = [
        Row(each.goal, samples[each.goal.op]["ours"], samples[each.goal.op]["peer"])
        for each in COMPARISONS
    ]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{about['cpu']}, load {about['load_average'][0]}; {python}")
    show("Python", rows, "peer")
    if not options.no_write:
        raw = {
            "machine": about,
            "load_average_after": machine.load(),
            "python": python,
            "dpkt": dpkt.__version__,
        }
        write(
            "python",
            rows,
            {
                **raw,
                "pinned_to_cores": [CORE],
                "seconds_a_sample": options.seconds,
                "samples": samples,
            },
        )
    return 0


def cut(buffer: skbpool.Buffer) -> list[skbpool.Skb]:
    """Cut an eighth of the packets out of one buffer."""
    views = PACKETS // 8
    memory = memoryview(buffer)
    for number in range(views):
        memory[number * 64 : number * 64 + 64] = FRAME
    memory.release()
    with buffer.arm(views) as armed:
        return [armed.skb(number * 64, 64) for number in range(views)]


if __name__ == "__main__":
    sys.exit(main())
