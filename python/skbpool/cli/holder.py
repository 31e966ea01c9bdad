"""`skbpool holder list|revoke`: who holds references, and ending a session from outside."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skbpool.cli.failure import bad_value
from skbpool.cli.options import Json, Server, server_address, whole_number
from skbpool.cli.plugins import Command, Group

if TYPE_CHECKING:
    from skbpool.v1 import server_pb2

HELP = """Who holds buffers, and ending sessions.

\b
Examples:
  skbpool holder list
  skbpool holder revoke leaky --reason 'held for a week'
"""

app = typer.Typer(
    name="holder",
    cls=Group,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)

LIST = """List drivers, consumers and sessions with what they hold, the most bytes first.

\b
Keys of --json:
  holders[]  name, kind ("driver", "consumer", "session"), count (references), bytes,
             oldest_at_least, oldest_at_most (seconds that the oldest is held; null: none is),
             peak_count, peak_bytes (the most at a time), session (number; 0: it is none),
             gone (it left, and others have what it holds)

\b
Examples:
  skbpool holder list
  skbpool holder list --json | jq '.holders[] | select(.oldest_at_least > 60)'
"""

REVOKE = """End somebody's lease session.

Its handles are dead, its buffers and skbs come home, its client is told. Views inside the daemon
are never revoked: a driver or consumer is refused.

\b
Keys of --json:
  session (number), name, handles (that were dropped), bytes

\b
Examples:
  skbpool holder revoke leaky --reason 'held for a week'
  skbpool holder revoke --session 12
"""

COLUMNS = ("count", "bytes", "oldest", "peak\ncount", "peak\nbytes")


@app.command("list", cls=Command, help=LIST)
def list_(server: Server = None, json: Json = False) -> None:
    """List who holds what."""
    print_holders("Holders", server, json, lambda _holder: True)


@app.command("revoke", cls=Command, help=REVOKE)
def revoke(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the session.", show_default=False)
    ] = "",
    session: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            parser=whole_number(0, (1 << 64) - 1, "as 'holder list' tells"),
            help="Its number, where several have the name.",
            show_default=False,
        ),
    ] = 0,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for its client.")] = "",
    server: Server = None,
    json: Json = False,
) -> None:
    """End somebody's lease session."""
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.cli.output import counted, print_data, print_json
    from skbpool.client import Client

    if not name and not session:
        raise bad_value("NAME", "name the session, or give its --session number")
    with Client(server_address(server)) as client:
        done = client.revoke_session(name, session=session, reason=reason)
    if json:
        figures = {"session": done.session, "name": done.name, "handles": done.handles}
        print_json({**figures, "bytes": done.bytes})
    else:
        held = f"{counted(done.handles, 'handle')}, {counted(done.bytes, 'byte')}"
        print_data(f"session {done.session} ({done.name}) is revoked: {held} came home\n")


def print_holders(title: str, server: str | None, json: bool, wanted: Any) -> None:
    """Print the holders that are wanted."""
    from skbpool.cli.output import print_json
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        found = [row for row in as_dicts(client.holders()) if wanted(row)]
    if json:
        print_json({"holders": found})
    else:
        show(title, found)


def show(title: str, holders: Sequence[dict[str, Any]]) -> None:
    """Print holders as a table."""
    from skbpool.cli.output import count, print_tables, table

    made = table(title, "holder", "kind", "session", *COLUMNS)
    for row in holders:
        made.add_row(
            row["name"] + (" (gone)" if row["gone"] else ""),
            row["kind"],
            count(row["session"]) if row["session"] else "",
            count(row["count"]),
            count(row["bytes"]),
            age(row["oldest_at_least"]),
            count(row["peak_count"]),
            count(row["peak_bytes"]),
        )
    print_tables(made if holders else "nobody holds anything")


def as_dicts(holders: "Iterable[server_pb2.Holder]") -> list[dict[str, Any]]:
    """Return holders under their documented keys."""
    from skbpool.cli.output import enum_name
    from skbpool.v1 import server_pb2

    return [
        {
            "name": holder.name,
            "kind": enum_name(server_pb2.HolderKind.Name, holder.kind, "HOLDER_KIND_"),
            "count": holder.count,
            "bytes": holder.bytes,
            "oldest_at_least": holder_age(holder, "oldest_at_least"),
            "oldest_at_most": holder_age(holder, "oldest_at_most"),
            "peak_count": holder.peak_count,
            "peak_bytes": holder.peak_bytes,
            "session": holder.session,
            "gone": holder.gone,
        }
        for holder in holders
    ]


def holder_age(holder: "server_pb2.Holder", bound: Any) -> float | None:
    """Return a bound on the age of the oldest reference in seconds; None if none is held."""
    if not holder.HasField(bound):
        return None
    return float(getattr(holder, bound).ToNanoseconds() / 1e9)


def age(duration: float | None) -> str:
    """Return an age for people: `350 ms`, `42 s`, `3 min`, `5.0 h`."""
    from skbpool.cli.output import seconds

    if duration is None:
        return ""
    if duration < 100:
        return seconds(duration)
    if duration < 2 * 3600:
        return f"{duration / 60:.0f} min"
    return f"{duration / 3600:.1f} h"
