"""What is measured, in which order, and what each figure should be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ratios import Goal

from rpc.frames import MIXES, line_rate
from rpc.samples import Figures, Sampler
from rpc.sides import STREAMS, Server

TRANSPORTS = ("unix", "tcp")
LATENCY_MIXES = ("64", "1518")
ECHO_MIXES = ("64", "1518")
WIDE_MIX = "1518"
BUFFERS = (1, 64)
QUANTILES = ("p50", "p99", "p999")
HALF = 0.5
"""Share of the highest rate at which latency is measured."""


@dataclass(frozen=True)
class Figure:
    """One row of the table: a figure of a sample, in the unit it is shown in."""

    goal: Goal
    key: str
    scale: float = 1.0


@dataclass(frozen=True)
class Path:
    """One thing to sample, and the rows that are made of it."""

    name: str
    take: Callable[[Sampler, Server, "Seen"], Figures]
    figures: list[Figure] = field(default_factory=list)


Seen = dict[str, Figures]
"""What a server's samples of this round found so far, by path."""


def ingest(mix: str, transport: str) -> Path:
    """Return the path of one stream in."""
    name = f"ingest_{mix}_{transport}"
    rate = f"10 GbE: {line_rate(mix) / 1e6:.3g} Mpps"
    return Path(
        name,
        lambda sampler, server, _: sampler.ingest(server, transport, mix),
        [
            Figure(Goal(name, "GB/s", 0.95, "higher"), "bytes", 1e-9),
            Figure(Goal(f"{name}_frames", "Mpps", better="higher", note=rate), "frames", 1e-6),
            Figure(Goal(f"{name}_cpu", "s/GB", note="of the server"), "cpu"),
            Figure(Goal(f"{name}_client_cpu", "s/GB", note="of the client"), "client_cpu"),
        ],
    )


def wide(transport: str) -> Path:
    """Return the path of many streams in at once."""
    name = f"ingest_{WIDE_MIX}_{transport}_{STREAMS}_streams"
    return Path(
        name,
        lambda sampler, server, _: sampler.ingest(server, transport, WIDE_MIX, STREAMS),
        [Figure(Goal(name, "GB/s", better="higher"), "bytes", 1e-9)],
    )


def echo(mix: str, transport: str) -> Path:
    """Return the path of one stream in and everything out again."""
    name = f"ingest_subscribe_{mix}_{transport}"
    note = "each way, linger 2 ms; bare: echo"
    return Path(
        name,
        lambda sampler, server, _: sampler.echo(server, transport, mix),
        [
            Figure(Goal(name, "GB/s", 0.9, "higher", note=note), "bytes", 1e-9),
            Figure(Goal(f"{name}_cpu", "s/GB", note="of the server"), "cpu"),
        ],
    )


def unary(count: int, transport: str) -> Path:
    """Return the path of allocate and release."""
    name = f"unary_{count}_{transport}"
    note = f"{count} buffers a call" if count > 1 else "a buffer a call"
    return Path(
        name,
        lambda sampler, server, _: sampler.unary(server, transport, count),
        [Figure(Goal(name, "calls/s", 0.8, "higher", note=note), "rate")],
    )


def latency(mix: str, transport: str) -> Path:
    """Return the path of latency at half of what this server carried just before."""
    name = f"latency_{mix}_{transport}"

    def take(sampler: Sampler, server: Server, seen: Seen) -> Figures:
        found = seen.get(f"ingest_{mix}_{transport}") or sampler.ingest(server, transport, mix)
        return sampler.latency(server, transport, mix, HALF * found["messages"])

    goals = {"p99": 3.0}
    return Path(
        name,
        take,
        [
            Figure(Goal(f"{name}_{quantile}", "ms", goals.get(quantile)), quantile, 1e3)
            for quantile in QUANTILES
        ],
    )


def all_paths() -> Iterator[Path]:
    """Yield everything that is sampled in a round, in order."""
    for transport in TRANSPORTS:
        for mix in MIXES:
            yield ingest(mix, transport)
        for mix in LATENCY_MIXES:
            yield latency(mix, transport)
        yield wide(transport)
        for mix in ECHO_MIXES:
            yield echo(mix, transport)
        for count in BUFFERS:
            yield unary(count, transport)


def start_figures() -> list[Figure]:
    """Return the rows of a start and of memory at rest."""
    return [
        Figure(Goal("start", "s", bound=0.5, note="to the line that says it serves"), "seconds"),
        Figure(Goal("memory_at_rest", "MB", note="beside the pool"), "rest", 1e-6),
    ]


def soak_figures(seconds: float) -> list[Figure]:
    """Return the rows of memory at full rate."""
    note = f"in {seconds:g} s at full rate, after a tenth of it"
    return [
        Figure(Goal("memory_growth", "MB", note=note), "growth", 1e-6),
        Figure(Goal("memory_at_rate", "MB", note="at the end"), "end", 1e-6),
    ]


def against_one(transport: str) -> Goal:
    """Return the goal of many streams beside one, both of them ours."""
    return Goal(f"streams_{STREAMS}_{transport}", "GB/s", 0.9, "higher", note="all together")
