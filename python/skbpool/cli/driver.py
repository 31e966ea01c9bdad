"""`skbpool driver attach|detach|list`: drivers that run inside the daemon."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from skbpool.cli.failure import bad_value
from skbpool.cli.nic import DEFAULT_SIZE, MAX_COUNT, MAX_LOOPS, MAX_SIZE, MIN_SIZE
from skbpool.cli.options import Json, Server, parse_duration, server_address, whole_number
from skbpool.cli.plugins import Command, Group

if TYPE_CHECKING:
    from skbpool.v1 import driver_pb2

HELP = """Cards and replays that run inside the daemon.

\b
Examples:
  skbpool driver attach card --rate 1Gbps
  skbpool driver attach again -r day/trace.pcap --endless
  skbpool driver list
  skbpool driver detach card
"""

app = typer.Typer(
    name="driver",
    cls=Group,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)

MAX_RING = 65_536
MAX_STREAM = (1 << 32) - 1

KEYS = """name, kind ("emulated_nic", "replay"),
  state ("running", "finished", "failed", "draining": detached, and views of its
  frames are out, "detached": and nothing is out), pool, capture (null: it is none),
  error (what ended its line before its time; null: nothing), offered (frames on its line),
  accepted (frames handed on), accepted_bytes, unclaimed (of those, without a consumer),
  dropped (the others, by reason: {"pool_empty": 12}), late (frames that the line had time
  for and that were not made), wire_bits, seconds (that the line is or was up),
  views_out, buffers_out (once it is detached)"""

ATTACH = f"""Attach a driver to the daemon: an emulated card, or with -r the replay of a capture.

It runs inside the daemon, at once and until it is detached; 'skbpool nic' drives the daemon from
outside. Captures lie on the daemon's host, below its driver.capture_directory.

\b
Keys of --json:
  {KEYS}

\b
Examples:
  skbpool driver attach card --rate 1Gbps --size 64
  skbpool driver attach card --rate 1.4Mpps --duration 10s
  skbpool driver attach again -r day/trace.pcap --original-timing --endless
"""

DETACH = f"""Detach a driver: its line goes down, what it received is delivered.

Views of its frames stay valid until they are let go of; until then it is listed as draining.

\b
Keys of --json:
  {KEYS}

\b
Examples:
  skbpool driver detach card
"""

LIST = f"""List the drivers that were attached, those that drain included.

\b
Keys of --json:
  drivers[], of each
  {KEYS}

\b
Examples:
  skbpool driver list
  skbpool driver list --json | jq '.drivers[] | select(.state == "failed").error'
"""

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the driver.", show_default=False)
]


def _rate(text: str) -> str:
    """Return a rate as it was written, once it is one."""
    from skbpool._native import parse_rate

    try:
        parse_rate(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


@app.command("attach", cls=Command, help=ATTACH)
def attach(
    name: Name,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            parser=_rate,
            help="Bits on the wire (1Gbps, 10Gbit/s) or frames (1.4Mpps) a second; max: as fast as "
            "the daemon allows. By default 1Gbps, with -r max.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            parser=whole_number(MIN_SIZE, MAX_SIZE, "bytes, check sequence included"),
            help="Size of a card's frame with its check sequence; memory holds four bytes less. "
            f"By default {DEFAULT_SIZE}.",
        ),
    ] = None,
    stream: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(0, MAX_STREAM, "as number of a stream"),
            help="Number of the stream in the stamps of a card's frames; by default 0.",
        ),
    ] = None,
    capture: Annotated[
        str | None,
        typer.Option(
            "--read",
            "-r",
            metavar="FILE",
            help="Replay this capture (pcap, pcapng), a path below the daemon's "
            "driver.capture_directory.",
        ),
    ] = None,
    loops: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(1, MAX_LOOPS, "times"),
            help="How often to replay the capture; by default once.",
        ),
    ] = None,
    endless: Annotated[
        bool, typer.Option("--endless", help="Replay the capture until something else ends it.")
    ] = False,
    original_timing: Annotated[
        bool,
        typer.Option(
            "--original-timing", help="Keep the frames' distances in time; the rate is the most."
        ),
    ] = False,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=parse_duration,
            help="End after 10s, 500ms, 2m, a number alone is seconds; 1ms to 24h.",
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
    pool: Annotated[
        str, typer.Option(metavar="POOL", help="Pool of its ring; by default the first one.")
    ] = "",
    ring: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(1, MAX_RING, "descriptors"),
            help=f"Descriptors of its ring, 1 to {MAX_RING}; by default 512, in a small pool "
            "fewer.",
        ),
    ] = None,
    block: Annotated[
        float | None,
        typer.Option(
            "--block-at-most",
            metavar="TIME",
            parser=parse_duration,
            help="Longest wait for consumers that ask for it, in one delivery: 1ms to 24h; "
            "by default none.",
        ),
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Attach a driver to the daemon."""
    _check(capture, size=size, stream=stream, loops=loops, endless=endless, timed=original_timing)
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.client import Client, Line

    rate = rate or ("1Gbps" if capture is None else "max")
    line = Line(rate, frames or 0, duration, ring or 0, block)
    with Client(server_address(server)) as client:
        if capture is None:
            attached = client.attach_nic(
                name, line, frame_size=size or DEFAULT_SIZE, stream=stream or 0, pool=pool
            )
        else:
            attached = client.attach_replay(
                name,
                capture,
                line,
                loops=0 if endless else loops or 1,
                original_timing=original_timing,
                pool=pool,
            )
    _tell(attached, json, f"driver {attached.name} is attached, on pool {attached.pool}\n")


def _check(capture: str | None, **given: object) -> None:
    """Refuse options that say nothing together."""
    options = {"timed": "--original-timing"}
    for name in ("size", "stream") if capture is not None else ("loops", "endless", "timed"):
        if given[name] not in (None, False):
            text = (
                "there is nothing to replay without -r"
                if capture is None
                else "a capture's frames are as they are: leave it out with -r"
            )
            raise bad_value(options.get(name, f"--{name}"), text)
    if given["endless"] and given["loops"]:
        raise bad_value("--loops", "an endless replay has no number of loops: leave one out")


@app.command("detach", cls=Command, help=DETACH)
def detach(name: Name, server: Server = None, json: Json = False) -> None:
    """Detach a driver."""
    from skbpool.cli.output import counted
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        gone = client.detach_driver(name)
    frames = counted(gone.accepted_frames, "frame")
    out = f"; {counted(gone.views_out, 'view')} of them out" if gone.views_out else ""
    _tell(gone, json, f"driver {gone.name} is detached, after {frames}{out}\n")


@app.command("list", cls=Command, help=LIST)
def list_(server: Server = None, json: Json = False) -> None:
    """List the drivers."""
    from skbpool.cli.output import print_json
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        drivers = [as_dict(driver) for driver in client.drivers()]
    if json:
        print_json({"drivers": drivers})
    else:
        _show(drivers)


def _tell(driver: "driver_pb2.Driver", json: bool, text: str) -> None:
    from skbpool.cli.output import print_data, print_json

    if json:
        print_json(as_dict(driver))
    else:
        print_data(text)


def as_dict(driver: "driver_pb2.Driver") -> dict[str, Any]:
    """Return a driver under its documented keys."""
    from skbpool.cli.output import enum_name
    from skbpool.client.drops import drops_of, frames_by_reason
    from skbpool.v1 import driver_pb2

    return {
        "name": driver.name,
        "kind": enum_name(driver_pb2.DriverKind.Name, driver.kind, "DRIVER_KIND_"),
        "state": enum_name(driver_pb2.DriverState.Name, driver.state, "DRIVER_STATE_"),
        "pool": driver.pool,
        "capture": driver.capture or None,
        "error": driver.error or None,
        "offered": driver.offered_frames,
        "accepted": driver.accepted_frames,
        "accepted_bytes": driver.accepted_bytes,
        "unclaimed": driver.unclaimed_frames,
        "dropped": frames_by_reason(drops_of(driver.drops)),
        "late": driver.late_frames,
        "wire_bits": driver.wire_bits,
        "seconds": driver.up.ToNanoseconds() / 1e9,
        "views_out": driver.views_out,
        "buffers_out": driver.buffers_out,
    }


def _show(drivers: list[dict[str, Any]]) -> None:
    from skbpool.cli.holder import age
    from skbpool.cli.output import count, print_tables, reasons, table, with_unit

    columns = ("offered", "accepted", "bit/s", "up", "views\nout")
    made = table("Drivers", "driver", "kind", *columns, "dropped", "state")
    for row in drivers:
        bits = row["wire_bits"] / row["seconds"] if row["seconds"] else 0.0
        made.add_row(
            row["name"],
            row["kind"],
            count(row["offered"]),
            count(row["accepted"]),
            with_unit(bits, "bit/s"),
            age(row["seconds"]),
            count(row["views_out"]),
            reasons(row["dropped"]),
            row["state"] + (f": {row['error']}" if row["error"] else ""),
        )
    print_tables(made if drivers else "no driver is attached")
