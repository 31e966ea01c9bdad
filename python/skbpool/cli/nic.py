"""`skbpool nic`: an emulated card drives the daemon."""

from pathlib import Path
from typing import Annotated

import typer

from skbpool.cli.failure import bad_value
from skbpool.cli.options import Json, Server, name_of_a, parse_duration, whole_number

MIN_SIZE = 64
MAX_SIZE = 262_148
"""Bytes of the largest frame with its check sequence; 262,144 of them in memory."""

DEFAULT_SIZE = 64
DEFAULT_DURATION = 10.0
"""Seconds."""

MAX_COUNT = (1 << 63) - 1
MAX_LOOPS = (1 << 32) - 1

HELP = """Drive the daemon with an emulated network card.

The card sends stamped frames, or those of a capture, over a line of the given rate. While it
runs, a consumer in the daemon reads the stamps and finds out what was lost, duplicated or
reordered, and how long frames took. Frames that are dropped do not change the exit code.

\b
Keys of --json:
  offered            frames that came over the line
  accepted           frames of those that landed in a buffer of the daemon
  received           stamped frames that the reader in the daemon has read
  dropped            frames dropped on the way to the reader, by reason: {"ring_full": 12}
  lost               stamped frames that neither arrived nor were dropped for a known reason
  duplicated         stamped frames that arrived more than once
  reordered          stamped frames that arrived after a later one
  seconds            how long the line was up; at --rate max, until all was acknowledged
  frames_per_second  accepted frames a second, read or not
  bits_per_second    bits of those on the wire a second, preamble and gap included
  latency_seconds    {"p50", "p99", "max"} from sending to reading; null between hosts
With -r, received, lost, duplicated, reordered and latency_seconds are null: a capture's frames
have no stamps. Frames of any link type pass unchanged; a line tells which, unless it is Ethernet.
The daemon lets in who has the role ingest. The reader needs observe too: without, those are null.
When the connection is lost, accepted is what was acknowledged until then, and what the reader
would have told and bits_per_second are null.

\b
Examples:
  skbpool nic --rate 1Gbps --size 64 --duration 10s
  skbpool nic --rate max --duration 5s --json
  skbpool nic -r trace.pcap --loops 100 --rate 1.4Mpps
  tcpdump -i eth0 -U -w - | skbpool nic -r -
"""


def nic(
    rate: Annotated[
        str,
        typer.Option(
            metavar="RATE",
            help="Bits on the wire (1Gbps, 10Gbit/s) or frames (1.4Mpps) a second; max: as fast as "
            "it goes.",
        ),
    ] = "1Gbps",
    size: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            parser=whole_number(MIN_SIZE, MAX_SIZE, "bytes, check sequence included"),
            help="Size of a frame with its check sequence, as in RFC 2544; memory holds four "
            f"bytes less. {MIN_SIZE} to {MAX_SIZE}, by default {DEFAULT_SIZE}.",
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=parse_duration,
            help="How long the line is up: 10s, 500ms, 2m, a number alone is seconds; 1ms to 24h. "
            f"By default {DEFAULT_DURATION:g}s, with -r or -c until the frames end. A capture from "
            "a pipe has so long from the start, however late its header comes.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-c",
            metavar="N",
            parser=whole_number(1, MAX_COUNT, "frames"),
            help="End after so many frames.",
        ),
    ] = None,
    capture: Annotated[
        Path | None,
        typer.Option(
            "--read",
            "-r",
            metavar="FILE",
            help="Send a capture's frames (pcap, pcapng); - is standard input.",
        ),
    ] = None,
    loops: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number(1, MAX_LOOPS, "times"),
            help="How often to send the capture.",
        ),
    ] = 1,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            parser=name_of_a("driver"),
            help="Name of the driver in the daemon's statistics.",
        ),
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Drive the daemon with an emulated network card."""
    if capture is None and loops != 1:
        raise bad_value("--loops", "there is nothing to repeat without -r")
    if capture is not None and size is not None:
        text = "a capture's frames have sizes of their own: leave it out with -r"
        raise bad_value("--size", text)
    if duration is None and capture is None and frames is None:
        duration = DEFAULT_DURATION
    # grpcio and rich are slow to import, and `--help` can do without.
    from skbpool.cli.nic_drive import Line, drive

    line = Line(rate, size or DEFAULT_SIZE, duration, frames, capture, loops)
    drive(line, name or "", server, json)
