"""`skbpool lease list`: the sessions that were lent buffers."""

import typer

from skbpool.cli.holder import print_holders
from skbpool.cli.options import Json, Server
from skbpool.cli.plugins import Command, Group

HELP = """Buffers lent to clients.

\b
Examples:
  skbpool lease list
"""

app = typer.Typer(
    name="lease",
    cls=Group,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)

LIST = """List the lease sessions with what each was lent, the most bytes first.

'holder list' shows drivers and consumers beside them, and 'holder revoke' ends one.

\b
Keys of --json:
  holders[]  as of 'holder list'

\b
Examples:
  skbpool lease list
  skbpool lease list --json | jq '.holders[].name'
"""


@app.callback()
def _lease() -> None:
    """Keep `list` a word of its own, though it is the only one."""


@app.command("list", cls=Command, help=LIST)
def list_(server: Server = None, json: Json = False) -> None:
    """List the lease sessions."""
    print_holders("Leases", server, json, lambda row: row["kind"] == "session")
