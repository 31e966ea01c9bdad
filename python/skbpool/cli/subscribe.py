"""`skbpool subscribe`: take frames out of the daemon."""

import os
from typing import Annotated

import typer

from skbpool.cli.failure import bad_value
from skbpool.cli.options import Json, Server, name_of_a, whole_number

MAX_COUNT = (1 << 63) - 1
MAX_QUOTA = (1 << 32) - 1

HELP = """Take frames out of the daemon.

Every frame that any driver delivers while this runs. It ends after -c frames, on Ctrl-C or
SIGTERM, or when whoever reads the output has had enough; what was received is written first.
Without -w, frames are only counted. When it ends, what the daemon has sent beyond -c counts there
as delivered; what was still queued is dropped as "detached", as `skbpool stat` shows. A line on
standard error tells when it is subscribed; a FILE that exists is emptied only then.

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
"""


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
    quota: Annotated[
        int,
        typer.Option(
            metavar="VIEWS",
            parser=whole_number(0, MAX_QUOTA, "views"),
            help="Most frames to hold at a time in the daemon; 0: its default.",
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
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.cli.taking import take

    take(write, count, name or "", quota, server, json)
