"""`skbpool nic`: an emulated card drives the daemon."""

from pathlib import Path
from typing import Annotated

import typer

from skbpool import SkbpoolError
from skbpool._native import EmulatedNic
from skbpool.cli.failure import Failure
from skbpool.cli.nic_progress import progress
from skbpool.cli.nic_report import NicReport, show
from skbpool.cli.nic_run import NicRun
from skbpool.cli.options import Json, Server, parse_duration, server_address
from skbpool.cli.output import print_json
from skbpool.cli.stopping import run_stoppable
from skbpool.client import Client
from skbpool.errors import CaptureError
from skbpool.exit_codes import ExitCode

MIN_SIZE = 64
MAX_SIZE = 262_148
"""Bytes of the largest frame with its check sequence; 262,144 of them in memory."""

DEFAULT_SIZE = 64
DEFAULT_DURATION = "10s"


HELP = """Drive the daemon with an emulated network card.

The card sends stamped frames, or those of a capture, over a line of the given rate. While it
runs, a consumer in the daemon reads the stamps and finds out what was lost, duplicated or
reordered, and how long frames took. Frames that are dropped do not change the exit code.

\b
Keys of --json:
  offered            frames that came over the line
  accepted           frames of those that landed in a buffer of the daemon
  dropped            frames dropped on the way to the reader, by reason: {"ring_full": 12}
  lost               stamped frames that neither arrived nor were dropped for a known reason
  duplicated         stamped frames that arrived more than once
  reordered          stamped frames that arrived after a later one
  seconds            how long the line was up; at --rate max, until all was acknowledged
  frames_per_second  accepted frames a second
  bits_per_second    bits of those on the wire a second, preamble and gap included
  latency_seconds    {"p50", "p99", "max"} from sending to reading; null between hosts
With -r, lost to latency_seconds are null: a capture's frames have no stamps.

\b
Examples:
  skbpool nic --rate 1Gbps --size 64 --duration 10s
  skbpool nic --rate max --duration 5s --json
  skbpool nic -r trace.pcap --loops 100 --rate 1.4Mpps
"""


def nic(
    rate: Annotated[
        str,
        typer.Option(metavar="RATE", help="1Gbps, 1.4Mpps, …; max: as fast as it goes."),
    ] = "1Gbps",
    size: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            help="Size of a frame with its check sequence, as in RFC 2544; memory holds four "
            f"bytes less. {MIN_SIZE} to {MAX_SIZE}, by default {DEFAULT_SIZE}.",
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long the line is up: 10s, 500ms, 2m; 1ms to 24h. By default "
            f"{DEFAULT_DURATION}, with -r or -c until the frames end.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option("--count", "-c", metavar="N", min=1, help="End after so many frames."),
    ] = None,
    capture: Annotated[
        Path | None,
        typer.Option(
            "--read", "-r", metavar="FILE", help="Send a capture's frames (pcap, pcapng)."
        ),
    ] = None,
    loops: Annotated[
        int, typer.Option(metavar="N", min=1, help="How often to send the capture.")
    ] = 1,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the driver in the daemon's statistics.")
    ] = "",
    server: Server = None,
    json: Json = False,
) -> None:
    """Drive the daemon with an emulated network card."""
    if capture is None and loops != 1:
        raise typer.BadParameter("there is nothing to repeat without -r", param_hint="--loops")
    if capture is not None and size is not None:
        raise typer.BadParameter(
            "a capture's frames have sizes of their own: leave it out with -r", param_hint="--size"
        )
    if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
        raise typer.BadParameter(
            f"{size} is out of range: {MIN_SIZE} to {MAX_SIZE} bytes, check sequence included",
            param_hint="--size",
        )
    if duration is None and capture is None and frames is None:
        duration = DEFAULT_DURATION
    up = None if duration is None else parse_duration(duration)
    with Client(server_address(server)) as client:
        run = NicRun(client, unpaced=unpaced(rate), duration=up, stamped=capture is None)
        card = make_card(rate, size or DEFAULT_SIZE, up, frames, capture, loops, run.stream)
        with progress(card, up, frames):
            report = run_stoppable(lambda: run.drive(card, name), card.stop)
    finish(report, json)


def unpaced(rate: str) -> bool:
    """Whether the line is as fast as the daemon."""
    return rate.strip().lower() == "max"


def make_card(
    rate: str,
    size: int,
    duration: float | None,
    frames: int | None,
    capture: Path | None,
    loops: int,
    stream: int,
) -> EmulatedNic:
    """Make the card; what it refuses is a matter of the command line or of the capture."""
    # At max the line waits for the daemon, and what is queued is only late. At a rate it goes on
    # while a busy machine keeps the sender from running: 0.7 s of 64-byte frames at 1 Gbit/s.
    buffers = 4_096 if unpaced(rate) else 16_384
    try:
        return EmulatedNic(
            rate=rate,
            buffers=buffers,
            size=size,
            frames=frames,
            duration=duration,
            stream=stream,
            capture=capture,
            loops=loops,
        )
    except CaptureError:
        raise
    except (SkbpoolError, ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from None


def finish(report: NicReport, json: bool) -> None:
    """Print the report, and fail if the capture was damaged."""
    if json:
        print_json(report.as_dict())
    else:
        show(report)
    if report.capture_error is not None:
        sent = f"{report.accepted:,} frames before it were sent"
        raise Failure(f"{report.capture_error}; {sent}", ExitCode.CAPTURE)
