"""Taking one sample of one server, with what it cost and whether everything arrived."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from private_daemon import Signals

from rpc.processes import anonymous_bytes, processor_seconds
from rpc.sides import Answer, Bare, Client, Mismatch, Ours, Server

Figures = dict[str, float]
"""What a sample found, by the name of the figure."""

TRIES = 3
"""A machine that stops for longer than a consumer may be waited for spoils a sample."""


@dataclass
class Sampler:
    """Takes samples from a client that is the same for both servers."""

    client: Client
    seconds: float
    retries: int = 0
    """Samples that were thrown away because something was missed."""

    def again(self, take: Callable[[], Figures]) -> Figures:
        """Take a sample, another one if something was missed, and fail if that goes on."""
        for _ in range(TRIES - 1):
            try:
                return take()
            except Mismatch:
                self.retries += 1
        return take()

    def ingest(self, server: Server, transport: str, mix: str, streams: int = 1) -> Figures:
        """Return rates and the processor seconds a gigabyte of server and client."""
        with server.counted() as counter:
            before = processor_seconds(server.pid)
            answer = self.client.do(
                "ingest",
                address=server.address(transport),
                method=server.ingest_method,
                mix=mix,
                seconds=self.seconds,
                streams=streams,
            )
            counter.check(answer)
            used = processor_seconds(server.pid) - before
        return _rates(answer, used)

    def echo(self, server: Server, transport: str, mix: str) -> Figures:
        """Return the rate at which everything goes in and comes out again."""
        before = processor_seconds(server.pid)
        answer = self.client.do(
            "echo",
            address=server.address(transport),
            mix=mix,
            seconds=self.seconds,
            **server.echo_methods(),
        )
        used = processor_seconds(server.pid) - before
        if answer["frames"] != answer["frames_back"]:
            raise Mismatch(f"sent {answer['frames']:,}, taken out {answer['frames_back']:,} frames")
        return _rates(answer, used)

    def unary(self, server: Server, transport: str, count: int) -> Figures:
        """Return calls a second of allocate and release in turns, `count` buffers each."""
        answer = self.client.do(
            "unary",
            address=server.address(transport),
            allocate=server.allocate_methods[count],
            release=server.release_method,
            count=count,
            seconds=self.seconds,
            open_session=server.leases,
        )
        if answer["buffers"] * 2 != answer["calls"] * count:
            raise Mismatch(f"{answer['buffers']} buffers in {answer['calls']} calls of {count}")
        return {"rate": answer["calls"] / answer["seconds"]}

    def latency(self, server: Server, transport: str, mix: str, rate: float) -> Figures:
        """Return p50, p99 and p999 in seconds at `rate` messages a second."""
        with server.counted() as counter:
            answer = self.client.do(
                "latency",
                address=server.address(transport),
                method=server.stamped_method(),
                mix=mix,
                seconds=2 * self.seconds,
                rate=rate,
            )
            return counter.latency(answer)

    def soak(self, server: Server, mix: str, seconds: float) -> Figures:
        """Return the memory beside the pool after a tenth of the time at full rate, and at the end.

        The tenth is what caches of the allocators and of the transport take to fill.
        """
        with server.counted() as counter:
            found = []
            for part in (seconds / 10, seconds * 9 / 10):
                answer = self.client.do(
                    "ingest",
                    address=server.address("unix"),
                    method=server.ingest_method,
                    mix=mix,
                    seconds=part,
                )
                found.append(anonymous_bytes(server.pid))
        del counter  # what arrived is checked by the samples
        first, last = found
        return {"after": first, "end": last, "growth": last - first, "rate": _rate(answer)}


def _rate(answer: Answer) -> float:
    return float(answer["bytes"] / answer["seconds"])


def _rates(answer: Answer, used: float) -> Figures:
    gigabytes = answer["bytes"] / 1e9
    return {
        "bytes": _rate(answer),
        "frames": answer["frames"] / answer["seconds"],
        "messages": answer.get("messages", 0) / answer["seconds"],
        "cpu": used / gigabytes,
        "client_cpu": answer["client_cpu"] / gigabytes,
    }


def start(make: type[Ours] | type[Bare], signals: Signals) -> Figures:
    """Return the seconds from starting a server to its line that it listens, and its memory."""
    with TemporaryDirectory() as folder:
        begin = time.monotonic()
        with make(Path(folder), signals) as server:
            seconds = time.monotonic() - begin
            return {"seconds": seconds, "rest": anonymous_bytes(server.pid)}
