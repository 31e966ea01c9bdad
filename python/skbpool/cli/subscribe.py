"""`skbpool subscribe`: take frames out of the daemon."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from skbpool.cli.failure import bad_value
from skbpool.cli.options import (
    Json,
    Server,
    byte_size,
    name_of_a,
    parse_duration,
    whole_number,
)

MAX_COUNT = (1 << 63) - 1
MAX_U32 = (1 << 32) - 1
MAX_U64 = (1 << 64) - 1

HELP = """Take frames out of the daemon.

Every frame that any driver delivers while this runs. It ends after -c frames, on Ctrl-C or
SIGTERM, or when whoever reads the output has had enough; what was received is written first.
Without -w, frames are only counted. When it ends, what the daemon has sent beyond -c counts there
as delivered; what was still queued is dropped as "detached", as `skbpool stat` shows. A line on
standard error tells when it is subscribed; a FILE that exists is emptied only then.

While this reads too slowly, the daemon holds frames for it up to its quota. Then, by --policy:

\b
  drop-newest  frames that come are dropped
  drop-oldest  frames of the same driver that wait longest are dropped, as "evicted"
  copy-out     frames that come are copied into memory of its own, and dropped when that is full
  block        their sender waits up to --block-at-most, if the daemon allows it, and then drops

\b
Keys of --json:
  frames   frames written, or counted
  missed   frames missed because this reader was too slow, by reason: {"quota": 12}; null if the
           connection was lost, so that it is unknown
  seconds  how long the subscription stood

\b
Examples:
  skbpool subscribe -w out.pcapng -c 1000
  skbpool subscribe -w - | tcpdump -r -
  skbpool subscribe -w headers.pcapng -s 96 --linger 20ms
  skbpool subscribe -w - --policy copy-out --copy-bytes 64MiB | tshark -r -
"""


class Policy(StrEnum):
    """What happens to frames beyond the quota."""

    DROP_NEWEST = "drop-newest"
    DROP_OLDEST = "drop-oldest"
    COPY_OUT = "copy-out"
    BLOCK = "block"


def subscribe(
    write: Annotated[
        str | None,
        typer.Option(
            "--write",
            "-w",
            metavar="FILE",
            help="Write the frames as pcapng; - is standard output.",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-c",
            metavar="N",
            parser=whole_number(1, MAX_COUNT, "frames"),
            help="End after N frames.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            parser=name_of_a("consumer"),
            help="Name of the consumer in the daemon's statistics.",
        ),
    ] = None,
    policy: Annotated[
        Policy, typer.Option(help="What happens to frames beyond the quota.")
    ] = Policy.DROP_NEWEST,
    quota: Annotated[
        int,
        typer.Option(
            metavar="VIEWS",
            parser=whole_number(0, MAX_U32, "views"),
            help="Most frames to hold at a time in the daemon; 0: its default.",
        ),
    ] = 0,
    quota_bytes: Annotated[
        int,
        typer.Option(
            metavar="SIZE",
            parser=byte_size(0, MAX_U64),
            help="Most bytes to hold, as 64KiB or 16MiB; 0: as many as the quota comes to.",
        ),
    ] = 0,
    copy_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            parser=byte_size(1, MAX_U64),
            help="Memory for copies of --policy copy-out; without it the daemon's default.",
        ),
    ] = None,
    block_at_most: Annotated[
        float | None,
        typer.Option(
            metavar="DURATION",
            parser=parse_duration,
            help="Longest wait of a sender in one delivery, for --policy block: 1ms to 24h.",
        ),
    ] = None,
    batch_frames: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number(0, MAX_U32, "frames"),
            help="Most frames of a message; 0: as many as fit.",
        ),
    ] = 0,
    batch_bytes: Annotated[
        int,
        typer.Option(
            metavar="SIZE",
            parser=byte_size(0, MAX_U64),
            help="Most bytes of a message; 0: 1 MiB, if the daemon allows that.",
        ),
    ] = 0,
    linger: Annotated[
        float | None,
        typer.Option(
            metavar="DURATION",
            parser=parse_duration,
            help="Longest that a frame waits for its message to fill: 1ms to 24h.",
        ),
    ] = None,
    snapshot_length: Annotated[
        int,
        typer.Option(
            "--snapshot-length",
            "-s",
            metavar="BYTES",
            parser=whole_number(0, MAX_U32, "bytes"),
            help="Cut frames behind so many bytes; their original length is kept. 0: not at all.",
        ),
    ] = 0,
    server: Server = None,
    json: Json = False,
) -> None:
    """Take frames out of the daemon."""
    if json and write == "-":
        raise bad_value("--json", "standard output carries the frames of -w -")
    if write == "-" and os.isatty(1):
        raise bad_value(
            "--write",
            "standard output is a terminal: name a file, or pipe it, as in "
            "skbpool subscribe -w - | tcpdump -r -",
        )
    if copy_bytes is not None and policy is not Policy.COPY_OUT:
        raise bad_value("--copy-bytes", f"it is for --policy copy-out, not {policy.value}")
    if block_at_most is not None and policy is not Policy.BLOCK:
        raise bad_value("--block-at-most", f"it is for --policy block, not {policy.value}")
    if block_at_most is None and policy is Policy.BLOCK:
        raise bad_value("--policy", "block needs --block-at-most, such as 20ms")
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.cli.taking import take

    options = {
        "name": name or "",
        "policy": policy.value.replace("-", "_"),
        "quota": quota,
        "quota_bytes": quota_bytes,
        "copy_bytes": copy_bytes or 0,
        "block_at_most": block_at_most or 0.0,
        "max_batch_frames": batch_frames,
        "max_batch_bytes": batch_bytes,
        "linger": linger or 0.0,
        "snapshot_length": snapshot_length,
    }
    take(write, count, options, server, json)
