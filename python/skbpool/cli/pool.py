"""`skbpool pool create|close|list`: the daemon's pools."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skbpool._native import MAX_BUFFERS, MAX_ORDER
from skbpool.cli.options import Json, Server, server_address, whole_number
from skbpool.cli.plugins import Command, Group

if TYPE_CHECKING:
    from skbpool.v1 import pool_pb2

HELP = """The daemon's pools.

\b
Examples:
  skbpool pool create jumbo --buffers 4096 --order 2
  skbpool pool list
  skbpool pool close jumbo
"""

app = typer.Typer(name="pool", cls=Group, help=HELP, no_args_is_help=True, rich_markup_mode=None)

KEYS = """name, buffers, buffer_bytes, order (4096 << order is buffer_bytes),
  state ("open", "orphaned": closed, and in_flight buffers are out,
  "closed": closed and gone), low_watermark, high_watermark (free buffers), is_low,
  in_flight (buffers that are out), is_huge (on huge pages),
  closed_at (seconds since the Unix epoch; null: it is open)"""

CREATE = f"""Make a pool, which sessions borrow from; it is kept until it is closed.

\b
Keys of --json:
  {KEYS}

\b
Examples:
  skbpool pool create jumbo --buffers 4096 --order 2
  skbpool pool create small --buffers 1024 --low 64 --high 128 --huge-pages try
"""

CLOSE = f"""Close a pool: nothing more is had from it.

What was had stays usable until it is let go of; until then the pool is listed as orphaned. The
daemon's first pool cannot be closed.

\b
Keys of --json:
  {KEYS}

\b
Examples:
  skbpool pool close jumbo
"""

LIST = f"""List the pools in the order of their making, orphaned ones included.

\b
Keys of --json:
  pools[], of each
  {KEYS}

\b
Examples:
  skbpool pool list
  skbpool pool list --json | jq '.pools[] | select(.state == "orphaned")'
"""


class HugePages(StrEnum):
    """Whether memory lies on huge pages."""

    NEVER = "never"
    TRY = "try"
    REQUIRE = "require"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the pool.", show_default=False)]
Mark = whole_number(0, MAX_BUFFERS, "buffers")


@app.command("create", cls=Command, help=CREATE)
def create(
    name: Name,
    buffers: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number(1, MAX_BUFFERS, "buffers"), help="Number of buffers."
        ),
    ],
    order: Annotated[
        int,
        typer.Option(
            metavar="ORDER",
            parser=whole_number(0, MAX_ORDER, "as order"),
            help="Each has 4096 << ORDER bytes.",
        ),
    ] = 0,
    low: Annotated[
        int | None,
        typer.Option(metavar="N", parser=Mark, help="With fewer free buffers it is low."),
    ] = None,
    high: Annotated[
        int | None,
        typer.Option(metavar="N", parser=Mark, help="With as many it has recovered."),
    ] = None,
    huge_pages: Annotated[
        HugePages, typer.Option(help="Have its memory on huge pages.")
    ] = HugePages.NEVER,
    server: Server = None,
    json: Json = False,
) -> None:
    """Make a pool."""
    from skbpool.cli.failure import bad_value

    if (low is None) != (high is None):
        missing = "--low" if low is None else "--high"
        raise bad_value(missing, "the watermarks need each other: give --low and --high")
    watermarks = None if low is None or high is None else (low, high)
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.cli.output import counted, print_data, print_json
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        made = client.create_pool(
            name, buffers, order, watermarks=watermarks, huge_pages=huge_pages.value
        )
    if json:
        print_json(as_dict(made))
    else:
        size = counted(made.buffer_bytes, "byte")
        print_data(f"pool {made.name} is made: {counted(made.buffers, 'buffer')} of {size}\n")


@app.command("close", cls=Command, help=CLOSE)
def close(name: Name, server: Server = None, json: Json = False) -> None:
    """Close a pool."""
    from skbpool.cli.output import counted, print_data, print_json
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        closed = client.close_pool(name)
    if json:
        print_json(as_dict(closed))
    elif closed.in_flight:
        out = counted(closed.in_flight, "buffer")
        print_data(f"pool {closed.name} is closed, and orphaned: {out} in flight\n")
    else:
        print_data(f"pool {closed.name} is closed and gone\n")


@app.command("list", cls=Command, help=LIST)
def list_(server: Server = None, json: Json = False) -> None:
    """List the pools."""
    from skbpool.cli.output import print_json
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        pools = [as_dict(pool) for pool in client.pools()]
    if json:
        print_json({"pools": pools})
    else:
        _show(pools)


def as_dict(pool: "pool_pb2.Pool") -> dict[str, Any]:
    """Return a pool under its documented keys."""
    from skbpool.cli.output import enum_name
    from skbpool.v1 import pool_pb2

    closed = pool.closed_at.ToNanoseconds() / 1e9 if pool.HasField("closed_at") else None
    return {
        "name": pool.name,
        "buffers": pool.buffers,
        "buffer_bytes": pool.buffer_bytes,
        "order": pool.order,
        "state": enum_name(pool_pb2.PoolState.Name, pool.state, "POOL_STATE_"),
        "low_watermark": pool.watermarks.low,
        "high_watermark": pool.watermarks.high,
        "is_low": pool.is_low,
        "in_flight": pool.in_flight,
        "is_huge": pool.is_huge,
        "closed_at": closed,
    }


def _show(pools: list[dict[str, Any]]) -> None:
    import time

    from skbpool.cli.holder import age
    from skbpool.cli.output import count, print_tables, table

    keys = ("buffers", "buffer_bytes", "in_flight", "low_watermark", "high_watermark")
    columns = ("buffers", "buffer\nbytes", "in\nflight", "low\nmark", "high\nmark")
    made = table("Pools", "pool", *columns, "state")
    for pool in pools:
        state = pool["state"] + (", low" if pool["is_low"] else "")
        if pool["closed_at"] is not None:
            state += f" for {age(max(time.time() - pool['closed_at'], 0.0))}"
        made.add_row(pool["name"], *(count(pool[key]) for key in keys), state)
    print_tables(made)
